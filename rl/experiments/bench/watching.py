"""The benchmark of watching: training with files, evaluations, best model and logs, beside training alone."""

import os
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from agents import A2C
from agents.hooks import Checkpoints, Evaluations, Hook, Patience, StopAt
from agents.settings.actor_critic import Engine
from agents.settings.run import updates_per_row
from rl.experiments.bench.systems import Shape
from rl.experiments.bench.timing import Rates
from rl.experiments.pages import Page, paragraph, table
from rl.run.recorder import Recorder
from rl.run.sinks.base import Described
from rl.run.sinks.hook import SINKS, Sinks, is_installed

ENV, SHAPE = "CartPole-v1", Shape(8, 5)
STEPS: Mapping[Engine, int] = {"fused": 2_000_000, "torch": 60_000}  # of a repeat
CHECKPOINTS, EVALUATIONS = 50_000, 20_000  # environment steps between them
ALONE, FILES, EVALUATED, LOGGED = "alone", "files", "files, evaluations", "files, evaluations, logs"
_SYSTEMS = (ALONE, FILES, EVALUATED, LOGGED)


def measure(repeats: int, steps: Mapping[Engine, int] = STEPS) -> dict[str, dict[str, Rates]]:
    """Engine → system → steps a second, the time of evaluations left out; the systems take turns."""
    rates: dict[str, dict[str, list[float]]] = {engine: {name: [] for name in _SYSTEMS} for engine in steps}
    with TemporaryDirectory() as store:
        os.environ["TRACKIO_DIR"] = store  # in place of the user's own; trackio reads it once
        for _ in range(repeats):
            for engine, count in steps.items():
                for name in _SYSTEMS:
                    rates[engine][name].append(_rate(engine, name, count))
    return {engine: {name: Rates(each) for name, each in of.items()} for engine, of in rates.items()}


def row_steps() -> int:
    """Environment steps between rows of metrics."""
    return updates_per_row(None, SHAPE.rows) * SHAPE.rows


def logs() -> list[str]:
    """All that are installed."""
    return [name for name in SINKS if is_installed(name)]


def _rate(engine: Engine, system: str, steps: int) -> float:
    agent = A2C(ENV, seed=0, num_envs=SHAPE.envs, n_steps=SHAPE.steps, engine=engine)
    agent.learn(SHAPE.rows)  # may compile
    evaluations = Evaluations(EVALUATIONS) if system in (EVALUATED, LOGGED) else None
    with TemporaryDirectory() as folder:
        directory = Path(folder, "run")
        directory.mkdir()
        described = Described(directory, ENV, agent.name, 0, agent.settings)
        with (
            closing(Recorder(directory, agent.loop.logger, None, evaluations is not None)) as recorder,
            closing(Sinks(logs() if system == LOGGED else (), described)) as sinks,
        ):
            hooks: list[Hook] = [] if system == ALONE else [recorder, sinks, Checkpoints(directory, CHECKPOINTS)]
            hooks[2:2] = [evaluations, Patience(10**6), StopAt(10**6)] if evaluations else []
            agent.learn(2 * row_steps(), hooks, log_interval=updates_per_row(None, SHAPE.rows))
            sinks.wait()  # they are open now
            before = evaluations.spent if evaluations else 0.0
            start = time.perf_counter()
            agent.learn(steps, hooks, log_interval=updates_per_row(None, SHAPE.rows))
            spent = time.perf_counter() - start - (evaluations.spent - before if evaluations else 0.0)
    agent.worlds.close()
    return steps / spent


def page(rates: Mapping[str, Mapping[str, Rates]], repeats: int, command: str, machine: str) -> Page:
    about = f"""Environment steps a second of A2C on {ENV}, {SHAPE}: medians of {repeats} repeats, in which all took
        turns. Files: metrics.csv, episodes.csv and a checkpoint every {CHECKPOINTS:,} steps, as every run writes them.
        Evaluations: one every {EVALUATIONS:,} steps, with the best model, patience and a goal; the time that its
        episodes take is left out, everything else around it is counted. Logs,
        which were open before: {", ".join(logs())}, all at once, which a thread of their own writes, on the other
        core."""
    rows = []
    for engine, systems in rates.items():
        medians = [systems[name].median for name in _SYSTEMS]
        _, files, evaluated, logged = medians
        evaluation, row = (1 / evaluated - 1 / files) * EVALUATIONS, (1 / logged - 1 / evaluated) * row_steps()
        rows.append(
            [engine, *(f"{rate:,.0f}" for rate in medians), f"{1e3 * evaluation:.1f} ms", f"{1e3 * row:.2f} ms"]
        )
    heads = ["engine", *_SYSTEMS, "**an evaluation costs**", "**a row of all logs costs**"]
    note = f"""The last two columns are the time that training lost for each evaluation
        and for each row of metrics, one every {row_steps():,} steps; below 0 is noise."""
    numbers = {engine: {name: of.each for name, of in systems.items()} for engine, systems in rates.items()}
    return Page(
        "What watching costs", command, machine, [paragraph(about), table(heads, rows), paragraph(note)], numbers
    )
