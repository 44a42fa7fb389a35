"""A run while it trains: its directory, its checkpoints, and what is kept when it fails."""

import traceback
from pathlib import Path
from typing import NamedTuple

import torch

from agents.registry import Learner
from rl.checkpoint import CheckpointError
from rl.command import RunFailed
from rl.config import RunSettings
from rl.loop import SELDOM, Status
from rl.record import Recorder


class Run(NamedTuple):
    """A run ready to train: new, or taken up again."""

    directory: Path
    settings: RunSettings
    name: str  # of its agent
    agent: Learner
    recorder: Recorder
    source: str  # where the settings came from


class Checkpoints:
    """A hook that saves after the first update past each multiple of `checkpoint_interval`."""

    interval = SELDOM

    def __init__(self, this: Run) -> None:
        self._this, self._saved = this, this.agent.loop.step // this.settings.checkpoint_interval

    def __call__(self, status: Status) -> None:
        due = status.step // self._this.settings.checkpoint_interval
        if due > self._saved:
            self._saved = due
            save(self._this)


def failure(this: Run, error: Exception) -> RunFailed:
    report = this.directory / "error.txt"
    report.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    parameters = [p for network in this.agent.networks for p in network.parameters()]
    kept = "no checkpoint, since the parameters are not finite"
    if all(bool(torch.isfinite(p).all()) for p in parameters):
        kept = f"a checkpoint at step {this.agent.loop.step:,}"
        try:
            if not checkpoint_path(this).exists():  # one taken at the end of the iteration holds more than this can
                save(this)
        except (CheckpointError, OSError) as unsaved:
            kept = f"no checkpoint: {unsaved}"
    this.recorder.close()
    what = str(error) or type(error).__name__
    return RunFailed(f"{what} (step {this.agent.loop.step:,}; kept {kept}; traceback in {report})")


def save(this: Run) -> None:
    """A checkpoint of this step; the newest two stay."""
    path = checkpoint_path(this)
    directory = path.parent
    this.agent.save(path, {"recorder": this.recorder.state_dict()})
    leftovers = directory.glob(".step-*.tmp")  # of a process that was killed while it wrote
    for old in (*sorted(directory.glob("step-*.pt"))[:-2], *leftovers):
        old.unlink()


def checkpoint_path(this: Run) -> Path:
    return this.directory / "checkpoints" / f"step-{this.agent.loop.step:012}.pt"
