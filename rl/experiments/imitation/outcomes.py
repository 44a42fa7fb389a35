"""Outcomes of an experiment: experts, lines, and a line's scores relative to its expert."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rl.experiments.imitation.experiments import BOUND, Experiment, Measured
from rl.experiments.parallel import Line
from rl.experiments.statistics import Interval, mean_interval, normalized
from rl.run.results import Columns, Result, column


class Expert(NamedTuple):
    """The agent that an environment's lines learn from."""

    line: Line
    result: Result
    file: Path  # with the demonstrations
    returns: Sequence[float]  # returns of the demonstrated episodes
    transitions: int
    parameters: tuple[int, int]  # number in π_θ, and in π_θ and V_φ together

    @property
    def score(self) -> float:
        """The mean return of the deterministic evaluation."""
        return self.result.summary["eval_mean"]


class Outcome(NamedTuple):
    """The results of an experiment in one environment."""

    env: str
    expert: Expert | None  # None if lines are compared with each other
    random: float  # mean return of uniformly random actions
    lines: Sequence[Line]
    results: Sequence[Sequence[Result]]  # results[line][seed]
    parameters: Sequence[tuple[int, int]]  # of each line, as in `Expert.parameters`


class Report(NamedTuple):
    """Input of a page."""

    experiment: Experiment
    command: str
    machine: str
    seeds: Sequence[int]
    outcomes: Sequence[Outcome]


class AgainstExpert(NamedTuple):
    """A line over its seeds, relative to its expert."""

    mean: Interval  # of the deterministic evaluations
    worst: float
    stochastic: Interval
    ratio: Interval  # mean / expert's return, see `ratio`
    way: Interval  # share of the distance from random actions to the expert
    reaches: bool  # whether both are at least the bound
    surely: bool  # whether the lower ends of both intervals are


def ratio(score: float, expert: float) -> float:
    """score / expert; for negative returns expert / score, so that it is at least b if score ≥ expert / b.

    ∞ if the expert's return is negative and the score is not.
    """
    if expert > 0:
        return score / expert
    return expert / score if score < 0 else float("inf")


def against_expert(runs: Sequence[Result], expert: float, random: float) -> AgainstExpert:
    """expert, random: mean returns."""
    mean = mean_interval(column(runs))
    plain = type(mean)(*(ratio(x, expert) for x in mean))
    way = type(mean)(*normalized(mean, random, expert).tolist())
    return AgainstExpert(
        mean=mean,
        worst=min(column(runs)),
        stochastic=mean_interval(column(runs, "eval_stochastic_mean")),
        ratio=plain,
        way=way,
        reaches=min(plain.value, way.value) >= BOUND,
        surely=min(plain.low, way.low) >= BOUND,
    )


def from_recorded(run: Columns) -> bool:
    """Whether a run, judged by its metrics, learned from recorded transitions."""
    return "validation/loss" in run


def at_the_end(runs: Sequence[Result], measured: Measured) -> float | None:
    """The mean over the last tenth of training and over runs; None if it is not measured."""
    columns = [run.metrics() for run in runs]
    name = measured.recorded if from_recorded(columns[0]) else measured.playing
    if name is None:
        return None
    return float(np.mean([np.nanmean(x[name][x["step"] >= 0.9 * x["step"][-1]]) for x in columns]))


def bounds(expert: float, random: float) -> tuple[float, float]:
    """Mean returns at which `ratio`, and the share of the distance from random actions, reach the bound."""
    return expert * BOUND if expert > 0 else expert / BOUND, random + BOUND * (expert - random)
