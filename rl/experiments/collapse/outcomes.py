"""Outcomes of a condition's runs: shares with Wilson intervals, the first fall, and runs aligned at it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rl.experiments.collapse.training import CURVE, Run
from rl.experiments.statistics import Interval, Reached, mean_interval, reached, wilson

FAILED, SUCCEEDED = 50, 475  # failed below 50, succeeded at 475 or more
PEAK, FALL = 75, 0.5  # fall: the mean of 20 episodes drops below FALL times its earlier maximum ≥ PEAK
GRID = np.arange(-15_000, 30_001, 2_500)  # environment steps since the fall
_Z = 1.959964  # quantile for a 95 % normal interval


class Outcome(NamedTuple):
    """Outcome of one condition's runs."""

    mean: Interval
    failed: Interval
    succeeded: Interval
    solved: Reached
    fell: int  # runs that fell at least once
    recovered: int  # of these, runs that succeeded in the end


def outcome(runs: Sequence[Run]) -> Outcome:
    score, fell = np.array([run.score for run in runs]), fallen(runs)
    return Outcome(
        mean_interval(score), share(score < FAILED), share(score >= SUCCEEDED),
        reached([run.solved_at for run in runs]), len(fell), sum(run.score >= SUCCEEDED for run in fell),
    )  # fmt: skip


def share(hits: NDArray[np.bool_]) -> Interval:
    """A share of runs, with Wilson's 95 % interval."""
    return wilson(float(hits.mean()), len(hits), _Z)


def difference(a: Interval, b: Interval) -> Interval:
    """a − b of two shares with Wilson intervals, with its 95 % interval. Source: Newcombe 1998, method 10."""
    value = a.value - b.value
    low = value - np.hypot(a.value - a.low, b.high - b.value)
    return Interval(value, float(low), value + float(np.hypot(a.high - a.value, b.value - b.low)))


def fall(curve: Sequence[float | None]) -> int | None:
    """The step of the first fall of a learning curve."""
    height = np.array([np.nan if x is None else x for x in curve])
    peak = np.fmax.accumulate(height)
    fallen = (peak >= PEAK) & (height < FALL * peak)
    return (int(fallen.argmax()) + 1) * CURVE if fallen.any() else None


def middle(runs: Sequence[Run], name: str) -> float:
    """Median over runs of a quantity at the end of training; NaN if no run has the quantity."""
    known = [run.end[name] for run in runs if name in run.end]
    return float(np.median(known)) if known else float("nan")


def fallen(runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if fall(run.curve) is not None]


def groups(baseline: Sequence[Run], unclipped: Sequence[Run]) -> dict[str, list[Run]]:
    """The runs that fell: the baseline's failed and its successful ones, and those without a clip."""
    found = {
        "baseline, failed in the end": [run for run in fallen(baseline) if run.score < FAILED],
        "baseline, succeeded": [run for run in fallen(baseline) if run.score >= SUCCEEDED],
        "no clip": fallen(unclipped),
    }
    return {label: runs for label, runs in found.items() if runs}


def aligned(runs: Sequence[Run], name: str) -> NDArray[np.float64]:
    """A quantity of the diagnostics at GRID around each run's fall: float[R, K], NaN where unknown."""
    rows = []
    for run in runs:
        start = fall(run.curve)
        assert start is not None, "only runs that fell can be aligned"
        step, x = np.array([(row["step"], row[name]) for row in run.record if name in row]).reshape(-1, 2).T
        rows.append(np.interp(start + GRID, step, x, np.nan, np.nan) if len(step) else np.full(len(GRID), np.nan))
    return np.array(rows).reshape(len(rows), len(GRID))


def medians(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median of each run that has any number. x: float[R, K]."""
    return np.asarray(np.nanmedian(x[np.isfinite(x).any(1)], 1))
