"""Statistics over runs: intervals, aggregates, comparisons. Scores of a task are float[R], one number a run (a seed).

Source of iqm, probability of improvement, performance profiles and the stratified bootstrap: Agarwal et al. 2021,
"Deep reinforcement learning at the edge of the statistical precipice".
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Scores = NDArray[np.float64]
Statistic = Callable[[Sequence[Scores]], Scores]  # of tasks, each float[..., R]; gives float[...]


class Interval(NamedTuple):
    """An estimate and its bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self:.1f}" if np.isfinite(self.value) else "–"

    def __format__(self, spec: str) -> str:
        """ ".2f" → "0.82 [0.64, 0.97]"."""
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]" if spec else str(self)

    def overlaps(self, other: "Interval") -> bool:
        return self.low <= other.high and other.low <= self.high


class Reached(NamedTuple):
    """When runs reached a threshold: how many of them, and the median over all, ∞ where fewer than half did."""

    hits: int
    runs: int
    median: float

    @property
    def moment(self) -> str:
        """The median, or a dash where it is ∞."""
        return f"{self.median:,.0f}" if np.isfinite(self.median) else "–"


def as_plain(value: object) -> object:
    """As JSON holds it, which has no infinity: null where a threshold was never reached, or a score is unknown."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: as_plain(part) for name, part in value._asdict().items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value


def mean(tasks: Sequence[Scores]) -> Scores:
    """The mean over tasks of the mean over runs: float[..., R] each, gives float[...]."""
    return np.asarray(np.mean([task.mean(-1) for task in tasks], 0))


def iqm(tasks: Sequence[Scores]) -> Scores:
    """The mean of the middle half of all runs of all tasks: float[..., R] each, gives float[...].

    A quarter is cut off at each end, rounded down to whole runs: of 10, the two lowest and the two highest.
    """
    pooled = np.sort(np.concatenate(list(tasks), -1), -1)
    cut = pooled.shape[-1] // 4
    return np.asarray(pooled[..., cut : pooled.shape[-1] - cut].mean(-1))


def bootstrap(
    tasks: Sequence[ArrayLike], statistic: Statistic = mean, level: float = 0.95, resamples: int = 10_000
) -> Interval:
    """The statistic with its percentile interval from a stratified bootstrap: runs are resampled within each task.

    tasks: float[R] each, R may differ. The generator is fixed, so the result is reproducible.
    Raises ValueError if there is no task, or a task without runs. Source: Efron & Tibshirani 1993, chapter 13.
    """
    x = [_scores(task) for task in tasks]
    if not x:
        raise ValueError("expected at least one task")
    rng = np.random.default_rng(0)
    resampled = [rng.choice(task, (resamples, len(task))) for task in x]
    low, high = np.quantile(statistic(resampled), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(statistic(x)), float(low), float(high))


def mean_interval(values: ArrayLike, level: float = 0.95, resamples: int = 10_000) -> Interval:
    """The mean over runs of one task, with its bootstrap interval."""
    return bootstrap([values], mean, level, resamples)


def probability_of_improvement(x: Sequence[ArrayLike], y: Sequence[ArrayLike], level: float = 0.95) -> Interval:
    """P(X > Y) + ½ P(X = Y) for a run of x and a run of y of the same task, mean over tasks, with its interval.

    x, y: the tasks of either side, in one order, float[R] each. Raises ValueError if they are not equally many.
    """
    if len(x) != len(y):
        raise ValueError(f"expected the same tasks on both sides, got {len(x)} and {len(y)}")

    def improvement(both: Sequence[Scores]) -> Scores:
        ours, theirs = both[: len(x)], both[len(x) :]
        return mean([_wins(a, b)[..., None] for a, b in zip(ours, theirs, strict=True)])

    return bootstrap([*x, *y], improvement, level, resamples=2_000)


def _wins(a: Scores, b: Scores) -> Scores:
    """float[..., R] and float[..., S] → float[...]: the share of pairs that a wins, half of the ties with it."""
    difference = a[..., :, None] - b[..., None, :]
    return np.asarray(((difference > 0) + 0.5 * (difference == 0)).mean((-1, -2)))


def performance_profile(tasks: Sequence[ArrayLike], thresholds: ArrayLike) -> tuple[Scores, Scores, Scores]:
    """The share of runs that score above each threshold, mean over tasks, with its interval: three float[K]."""
    at, runs = np.asarray(thresholds, np.float64), [_scores(task) for task in tasks]
    intervals = [bootstrap([1.0 * (task > t) for task in runs], mean, resamples=1_000) for t in at]
    value, low, high = np.array(intervals).reshape(len(at), 3).T
    return value, low, high


def normalized(scores: ArrayLike, worst: float, reference: float) -> Scores:
    """(score − worst) / (reference − worst): 0 is the worst, such as a random policy, and 1 the reference."""
    if not reference > worst:
        raise ValueError(f"the reference score {reference} must be above the worst, {worst}")
    return (_scores(scores) - worst) / (reference - worst)


def area_under_curve(x: ArrayLike, y: ArrayLike, until: float) -> float:
    """The mean height of a curve from its first known point to `until`, by trapezoids; NaN without a known point.

    x: float[K], ascending; y: float[K], NaN where unknown. A curve that ends before `until` holds its last height.
    """
    at, height = np.asarray(x, np.float64), np.asarray(y, np.float64)
    known = np.isfinite(height) & (at <= until)
    at, height = at[known], height[known]
    if not len(at):
        return float("nan")
    at, height = np.append(at, until), np.append(height, height[-1])
    return float(np.trapezoid(height, at) / np.ptp(at)) if np.ptp(at) else float(height[0])


def reached(at: Sequence[float | None]) -> Reached:
    """Steps or seconds at which each run reached a threshold, None where it never did; such a run counts as ∞."""
    times = [np.inf if moment is None else float(moment) for moment in at]
    below = [t for t in times if np.isfinite(t)]
    ordered = sorted(times)
    middle = ordered[(len(ordered) - 1) // 2 : len(ordered) // 2 + 1]
    return Reached(len(below), len(times), float(np.mean(middle)) if middle else float("nan"))


def on_grid(runs: Sequence[Mapping[str, Scores]], x: str, y: str, points: int = 200) -> tuple[Scores, Scores]:
    """Interpolates curves that were measured at different x at common ones: float[K] and float[R, K].

    Straight lines between measurements; the grid reaches from where the last run begins to be known to where the first
    one ends, so that every point is a statement about all runs. Raises ValueError if no x is common to all.
    """
    known = [(run[x][np.isfinite(run[y])], run[y][np.isfinite(run[y])]) for run in runs]
    if not known or any(not len(at) for at, _ in known):
        raise ValueError(f"a run holds no {y}")
    start, end = max(at[0] for at, _ in known), min(at[-1] for at, _ in known)
    if start > end:
        raise ValueError(f"the runs have no {x} in common")
    grid = np.linspace(start, end, points)
    return grid, np.array([np.interp(grid, at, height) for at, height in known])


def _scores(values: ArrayLike) -> Scores:
    x = np.asarray(values, np.float64)
    if x.ndim != 1 or not len(x):
        raise ValueError(f"expected one number a run, float[R], got shape {x.shape}")
    return x
