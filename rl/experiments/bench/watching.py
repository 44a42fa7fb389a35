"""Benchmarks watching: the time that a run spends on files, evaluations, the best model and logs."""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from agents import A2C
from agents.hooks import Checkpoints, Evaluations, Hook, Patience, StopAt
from agents.settings.actor_critic import Engine
from agents.settings.run import updates_per_row
from rl.experiments.bench.systems import Shape
from rl.experiments.pages import Page, paragraph, table
from rl.run.recorder import Recorder
from rl.run.sinks.base import Described
from rl.run.sinks.hook import Sinks, is_installed
from rl.run.sinks.process import SINKS

ENV, SHAPE = "CartPole-v1", Shape(8, 5)
EVENTS = ("on_begin", "on_episode", "on_update", "on_log", "on_steps", "on_evaluation", "on_checkpoint", "on_end")
EPISODES, FILES, GOALS, BEST, LOGS = "episodes of evaluations", "files", "evaluations", "best model", "logs"


class Length(NamedTuple):
    """Environment steps of a run and between its evaluations."""

    steps: int
    interval: int


LENGTHS: Mapping[Engine, Length] = {"fused": Length(2_000_000, 100_000), "torch": Length(60_000, 10_000)}


class Spent(NamedTuple):
    """Seconds of a run: spent in training, and in hooks on training's thread."""

    training: float
    hooks: Mapping[str, float]


def measure(repeats: int, of: Mapping[Engine, Length] = LENGTHS) -> dict[Engine, list[Spent]]:
    with TemporaryDirectory() as store:
        os.environ["TRACKIO_DIR"] = store  # instead of the user's own; trackio reads it only once
        return {engine: [_spent(engine, length) for _ in range(repeats)] for engine, length in of.items()}


def logs() -> list[str]:
    """The installed logs."""
    return [name for name in SINKS if is_installed(name)]


def _spent(engine: Engine, length: Length) -> Spent:
    agent, clock = A2C(ENV, seed=0, num_envs=SHAPE.envs, n_steps=SHAPE.steps, engine=engine), Clock()
    with ExitStack() as stack:
        stack.callback(agent.worlds.close)
        directory = Path(stack.enter_context(TemporaryDirectory()), "run")
        directory.mkdir()
        recorder = Recorder(directory, agent.loop.logger, None, evaluates=True)
        sinks = Sinks(logs(), Described(directory, ENV, agent.name, 0, agent.settings))
        stack.callback(recorder.close)
        stack.callback(sinks.close)
        evaluations, checkpoints = Evaluations(length.interval), Checkpoints(directory)
        hooks = [recorder, sinks, evaluations, Patience(10**6), StopAt(10**6), checkpoints]
        every = updates_per_row(None, SHAPE.rows)
        agent.learn(2 * every * SHAPE.rows, hooks, log_interval=every)  # may compile; opens the logs
        sinks.wait()
        for hook, name in zip(hooks, (FILES, LOGS, GOALS, GOALS, GOALS, FILES), strict=True):
            clock.count(hook, name)
        clock.count(checkpoints, BEST, ("on_evaluation", "on_end"))
        before, played = agent.loop.seconds, evaluations.spent
        agent.learn(length.steps, hooks, log_interval=every)
        played = evaluations.spent - played
        seconds = {**clock.seconds, EPISODES: played, GOALS: clock.seconds[GOALS] - played}
        return Spent(agent.loop.seconds - before, seconds)


class Clock:
    """Counts the seconds that hooks spend in events, without the hooks that they call in turn."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = dict.fromkeys((FILES, GOALS, BEST, LOGS), 0.0)
        self._inside = 0.0  # seconds in hooks called by the current one

    def count(self, hook: Hook, name: str, events: tuple[str, ...] = EVENTS) -> None:
        """Adds the hook's time in these events to the seconds under this name."""
        for event in events:
            handler = getattr(hook, event)
            setattr(hook, event, self._timed(getattr(handler, "uncounted", handler), name))

    def _timed(self, handler: Callable[..., None], name: str) -> Callable[..., None]:
        def timed(*arguments: object) -> None:
            outside, self._inside, start = self._inside, 0.0, time.perf_counter()
            try:
                handler(*arguments)
            finally:
                seconds = time.perf_counter() - start
                self.seconds[name] += seconds - self._inside
                self._inside = outside + seconds

        timed.uncounted = handler  # type: ignore[attr-defined]
        return timed


def page(runs: Mapping[Engine, list[Spent]], command: str, machine: str) -> Page:
    repeats, every = len(next(iter(runs.values()))), updates_per_row(None, SHAPE.rows) * SHAPE.rows
    watching = (GOALS, BEST, LOGS)
    heads = ["engine", "steps", "steps between evaluations", "training", EPISODES, FILES, *watching, "**watching**"]
    rows, costs = list[list[str]](), list[str]()
    for engine, each in runs.items():
        shares = [{name: run.hooks[name] / run.training for name in run.hooks} for run in each]
        parts = [median(share[name] for share in shares) for name in (EPISODES, FILES, *watching)]
        total = median(sum(share[name] for name in watching) for share in shares)
        length = LENGTHS[engine]
        rows.append(
            [engine, f"{length.steps:,}", f"{length.interval:,}", f"{median(run.training for run in each):.2f} s",
             *(f"{100 * part:.2f} %" for part in (*parts, total))]
        )  # fmt: skip
        costs.append(f"{100 * total:.2f} % with the {engine} engine (the episodes: {100 * parts[0]:.0f} %)")
    about = f"""How much time does watching a run take? Without the episodes of the evaluations, it costs
        {" and ".join(costs)} of the time of training, which is collecting and updating. The runs are A2C on {ENV}
        with {SHAPE.envs} environments and {SHAPE.steps} steps per update; times are those in the thread that trains,
        medians of {repeats} runs. "Files" are metrics.csv with a row every {every:,} steps, episodes.csv, and
        checkpoints, which every run writes. "Evaluations" are everything around their episodes: the rows of
        evaluations.csv, patience and a goal. "Best model" is best.pt and what is written with it. "Logs" are
        {", ".join(logs())}, all at once; they do their work in another process, on the other core. "Watching" is the
        sum of evaluations, best model and logs."""
    numbers: dict[str, object] = {}
    for engine, each in runs.items():
        numbers[engine] = [{"training": run.training, **run.hooks} for run in each]
    return Page("What watching costs", command, machine, [paragraph(about), table(heads, rows)], numbers)
