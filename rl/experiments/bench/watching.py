"""The benchmark of watching: a run with evaluations, best model and logs, beside one that has its files alone."""

import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from agents import A2C
from agents.hooks import Checkpoints, Evaluations, Hook, Patience, StopAt
from agents.settings.actor_critic import Engine
from agents.settings.run import updates_per_row
from rl.experiments.bench.systems import Shape
from rl.experiments.bench.timing import Rates
from rl.experiments.pages import Page, paragraph, table
from rl.run.recorder import Recorder
from rl.run.sinks.base import SINKS, Described
from rl.run.sinks.hook import Sinks, is_installed

ENV, SHAPE = "CartPole-v1", Shape(8, 5)
FILES, EVALUATED, LOGGED = "files", "files, evaluations", "files, evaluations, logs"
ALONE, BUSY = "alone", "files, evaluations, busy"
_COMPUTES = [sys.executable, "-c", "print(flush=True)\nwhile True: pass"]


class Turn(NamedTuple):
    """A system's turn: short, so that systems that are compared meet the same machine; with one evaluation."""

    steps: int
    in_a_repeat: int


TURNS: Mapping[Engine, Turn] = {"fused": Turn(100_000, 5), "torch": Turn(10_000, 1)}


def measure(repeats: int, of: Mapping[Engine, Turn] = TURNS) -> dict[Engine, dict[str, Rates]]:
    """Engine → system → steps a second of each turn, the time of evaluations left out."""
    with TemporaryDirectory() as store:
        os.environ["TRACKIO_DIR"] = store  # in place of the user's own; trackio reads it once
        return {engine: _rates(engine, turn.steps, repeats * turn.in_a_repeat) for engine, turn in of.items()}


def logs() -> list[str]:
    """All that are installed."""
    return [name for name in SINKS if is_installed(name)]


def _rates(engine: Engine, steps: int, turns: int) -> dict[str, Rates]:
    with ExitStack() as stack:
        systems = {
            ALONE: _System(engine, stack),
            FILES: _System(engine, stack, files=True),
            EVALUATED: _System(engine, stack, files=True, interval=steps),
            BUSY: _System(engine, stack, files=True, interval=steps, busy=True),
            LOGGED: _System(engine, stack, files=True, interval=steps, logs=logs()),
        }
        for system in systems.values():  # opens logs, compiles, and begins where all are alike
            system.take(steps)
        rates = {name: list[float]() for name in systems}
        for _ in range(turns):
            for name, system in systems.items():
                rates[name].append(steps / system.take(steps))
    return {name: Rates(each) for name, each in rates.items()}


class _System:
    """A run that takes turns with others. The stack closes it."""

    def __init__(
        self, engine: Engine, stack: ExitStack, *, files: bool = False, interval: int = 0, logs: Sequence[str] = (),
        busy: bool = False,
    ) -> None:  # fmt: skip
        self._agent = A2C(ENV, seed=0, num_envs=SHAPE.envs, n_steps=SHAPE.steps, engine=engine)
        stack.callback(self._agent.worlds.close)
        self._evaluations = Evaluations(interval) if interval else None
        self._hooks, self._sinks, self._busy = list[Hook](), None, busy
        if files:
            directory = Path(stack.enter_context(TemporaryDirectory()), "run")
            directory.mkdir()
            recorder = Recorder(directory, self._agent.loop.logger, None, bool(interval))
            self._sinks = Sinks(logs, Described(directory, ENV, self._agent.name, 0, self._agent.settings))
            stack.callback(recorder.close)
            stack.callback(self._sinks.close)
            goals = [self._evaluations, Patience(10**6), StopAt(10**6)] if self._evaluations else []
            self._hooks = [recorder, self._sinks, *goals, Checkpoints(directory)]

    _sinks: Sinks | None

    def take(self, steps: int) -> float:
        """Trains; returns the seconds without those of evaluations. Logs that lag behind are waited for afterwards."""
        with computing() if self._busy else nullcontext():
            before, start = self._spent, time.perf_counter()
            self._agent.learn(steps, self._hooks, log_interval=updates_per_row(None, SHAPE.rows))
            seconds = time.perf_counter() - start - (self._spent - before)
        if self._sinks is not None:
            self._sinks.wait()
        return seconds

    @property
    def _spent(self) -> float:
        return self._evaluations.spent if self._evaluations else 0.0


@contextmanager
def computing() -> Iterator[None]:
    """Another process computes."""
    with subprocess.Popen(_COMPUTES, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


def cost(rates: Mapping[str, Rates], system: str) -> tuple[float, float, float]:
    """The share of speed that a system loses beside files alone: the median over turns, and its 95 % interval.

    The ends of the interval are order statistics: the number of turns below a median is binomial.
    """
    shares = sorted(1 - rate / files for rate, files in zip(rates[system].each, rates[FILES].each, strict=True))
    count = len(shares)
    outside = max(math.floor(count / 2 - 0.98 * math.sqrt(count)), 0)  # 1.96 standard deviations of a binomial
    return median(shares), shares[outside], shares[count - 1 - outside]


def page(rates: Mapping[Engine, Mapping[str, Rates]], command: str, machine: str) -> Page:
    every = updates_per_row(None, SHAPE.rows) * SHAPE.rows
    about = f"""Environment steps a second of A2C on {ENV}, {SHAPE}: medians of turns, which all took one after
        the other. Files: metrics.csv, episodes.csv and checkpoints, as every run writes them. Evaluations: one a turn,
        with the best model, patience and a goal; the time that their episodes take is left out, everything else around
        them is counted. Logs: {", ".join(logs())}, all at once, in a process of their own, a row every {every:,} steps;
        a turn ends once they have caught up, which takes none of its time. Busy: another process, which has nothing to
        do with the run, computes on the other core. A column in bold shows the median over turns of the share of speed
        that was lost beside files alone in the same turn, with its 95 % interval, which assumes nothing of the
        distribution. Below 0 is noise."""
    rows = []
    for engine, systems in rates.items():
        medians = [f"{rate.median:,.0f}" for rate in systems.values()]
        costs = [
            f"{100 * middle:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
            for middle, low, high in (cost(systems, name) for name in (EVALUATED, BUSY, LOGGED))
        ]
        turns = f"{len(systems[FILES].each)} of {TURNS[engine].steps:,} steps"
        rows.append([engine, turns, *medians, *costs])
    heads = [
        "engine", "turns", *next(iter(rates.values())), "**evaluations cost**",
        "**evaluations, busy**", "**evaluations and logs**",
    ]  # fmt: skip
    numbers = dict[str, object]()
    for engine, systems in rates.items():
        numbers[engine] = {name: of.each for name, of in systems.items()}
    return Page("What watching costs", command, machine, [paragraph(about), table(heads, rows)], numbers)
