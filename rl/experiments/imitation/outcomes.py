"""What there is of an experiment: experts, lines, and where a line stands beside its expert."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rl.experiments.imitation.experiments import BOUND, Experiment, Measured
from rl.experiments.parallel import Line
from rl.experiments.statistics import Interval, mean_interval, normalized
from rl.run.results import Columns, Result, read_columns


class Expert(NamedTuple):
    """Whom the lines of an environment learn from."""

    line: Line
    result: Result
    file: Path  # the demonstrations
    returns: Sequence[float]  # of their episodes
    transitions: int
    parameters: tuple[int, int]  # of π_θ, and of it and V_φ

    @property
    def score(self) -> float:
        """The mean return of the deterministic evaluation."""
        return self.result.summary["eval_mean"]


class Case(NamedTuple):
    """An environment of an experiment, and what there is of it."""

    env: str
    expert: Expert | None  # None where lines are held to each other
    random: float  # mean return of uniformly random actions
    lines: Sequence[Line]
    results: Sequence[Sequence[Result]]  # of each line, those of its seeds
    parameters: Sequence[tuple[int, int]]  # of each line, as `Expert.parameters`


class Report(NamedTuple):
    """What a page is made of."""

    experiment: Experiment
    made: str  # by which command
    machine: str  # on which
    seeds: Sequence[int]
    cases: Sequence[Case]


class Standing(NamedTuple):
    """A line over its seeds, and where it stands beside the expert."""

    mean: Interval  # of the deterministic evaluations
    worst: float
    stochastic: Interval
    ratio: Interval  # of the mean to the expert's return, see `ratio`
    way: Interval  # share of the way from random actions to the expert
    reaches: bool  # whether both are at least the bound
    surely: bool  # whether the lower ends of their intervals are
    seconds: float  # of training, median


def ratio(score: float, expert: float) -> float:
    """score / expert; of negative returns expert / score, so that it is at least b where score ≥ expert / b.

    ∞ if the expert's return is negative and the score is not.
    """
    if expert > 0:
        return score / expert
    return expert / score if score < 0 else float("inf")


def standing(runs: Sequence[Result], expert: float, random: float) -> Standing:
    """expert, random: mean returns."""
    mean = mean_interval([run.summary["eval_mean"] for run in runs])
    plain = Interval(*(ratio(x, expert) for x in mean))
    way = Interval(*normalized(mean, random, expert).tolist())
    return Standing(
        mean=mean,
        worst=min(run.summary["eval_mean"] for run in runs),
        stochastic=mean_interval([run.summary["eval_stochastic_mean"] for run in runs]),
        ratio=plain,
        way=way,
        reaches=min(plain.value, way.value) >= BOUND,
        surely=min(plain.low, way.low) >= BOUND,
        seconds=float(np.median([run.summary["train_seconds"] for run in runs])),
    )


def from_recorded(run: Columns) -> bool:
    """Whether a run, by its metrics, learned from recorded transitions."""
    return "validation/loss" in run


def at_the_end(runs: Sequence[Result], measured: Measured) -> float | None:
    """The mean over the last tenth of training, and over runs; None where it is not measured."""
    columns = [read_columns(run.directory / "metrics.csv") for run in runs]
    name = measured.recorded if from_recorded(columns[0]) else measured.playing
    if name is None:
        return None
    return float(np.mean([np.nanmean(x[name][x["step"] >= 0.9 * x["step"][-1]]) for x in columns]))


def bounds(expert: float, random: float) -> tuple[float, float]:
    """The mean returns at which `ratio`, and the share of the way from random actions, reach the bound."""
    return expert * BOUND if expert > 0 else expert / BOUND, random + BOUND * (expert - random)
