"""A command that trains, and faults in what it runs on: Ray's workers import this module."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import ray

import rl.run.summary
from agents.training import Hook, Training
from rl.run.training import main

MARKS = "PERIL"  # environment variable with the folder of marker files
POISONED = 99  # seed of a run that kills each of its workers


def train(argv: list[str], hooks: Sequence[Hook] = ()) -> int:
    rl.run.summary.learning_curve = no_figure  # inside a worker's process
    return main(argv, [*hooks, Poison(), Peril(Path(os.environ[MARKS]))])


def no_figure(directory: Path, *of: object) -> Path:
    """Replaces the figure, which takes longer than a short run."""
    return directory / "learning_curve.png"


class Peril(Hook):
    """In mid-run: requests Ctrl-C, or kills a worker of the head node, or requests the end of the other node."""

    step_interval = 240  # environment steps; between two checkpoints

    def __init__(self, marks: Path) -> None:
        self.marks = marks

    def on_steps(self, training: Training) -> None:
        if (self.marks / "ctrl-c").exists():
            (self.marks / "ctrl-c").unlink()
            (self.marks / "pipe").write_text("interrupt the driver")
            while training.stopped is None:
                os.sched_yield()
        at_head = ray.get_runtime_context().get_node_id() == (self.marks / "head").read_text()
        try:
            (self.marks / ("worker" if at_head else "node")).touch(exist_ok=False)
        except FileExistsError:
            return
        if at_head:
            os.kill(os.getpid(), signal.SIGKILL)
        (self.marks / "pipe").write_text("the node may end")
        signal.pause()


class Poison(Hook):
    """Kills every worker of the poisoned run before its first checkpoint."""

    step_interval = 40

    def on_steps(self, training: Training) -> None:
        if training.agent.seed == POISONED:
            os.kill(os.getpid(), signal.SIGKILL)
