"""Learning curves: their mean height, when they reach a threshold, and several runs' curves at common steps."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from agents.logger import LATEST
from rl.experiments.statistics import Scores, mean_interval
from rl.run.results import Result


def area_under_curve(x: ArrayLike, y: ArrayLike, until: float) -> float:
    """The mean height of a curve from its first known point to `until`, by the trapezoidal rule; NaN without a point.

    x: float[K], ascending; y: float[K], NaN where unknown. After its end, a curve keeps its last height.
    """
    at, height = np.asarray(x, np.float64), np.asarray(y, np.float64)
    known = np.isfinite(height) & (at <= until)
    at, height = at[known], height[known]
    if not len(at):
        return float("nan")
    at, height = np.append(at, until), np.append(height, height[-1])
    return float(np.trapezoid(height, at) / np.ptp(at)) if np.ptp(at) else float(height[0])


def first_reached(run: Result, threshold: float) -> float | None:
    """The first training step at which the mean return of the last 100 episodes reached the threshold."""
    episodes = run.episodes()
    returns = episodes["return"]
    if len(returns) < LATEST:
        return None
    good = np.flatnonzero(np.lib.stride_tricks.sliding_window_view(returns, LATEST).mean(1) >= threshold)
    return float(episodes["step"][good[0] + LATEST - 1]) if len(good) else None


def height_along(run: Result) -> float:
    """The mean height of the learning curve."""
    metrics = run.metrics()
    return area_under_curve(metrics["step"], metrics["rollout/ep_rew_mean"], float(metrics["step"][-1]))


def on_grid(
    runs: Sequence[Mapping[str, Scores]], x: str, y: str, points: int = 200, logarithmic: bool = False
) -> tuple[Scores, Scores]:
    """Curves measured at different x on a common grid: float[K] and float[R, K].

    The grid extends from where the last curve starts to where the first one ends, so that every point covers all runs.
    Each point gets the mean of the curve, interpolated linearly, up to halfway to the next points. Raises ValueError if
    the curves share no x.
    """
    known = [(run[x], run[y], np.isfinite(run[y]) & (run[x] > 0 if logarithmic else True)) for run in runs]
    curves = [(at[use], height[use]) for at, height, use in known]
    if not curves or any(not len(at) for at, _ in curves):
        raise ValueError(f"a run holds no {y}")
    start, end = max(at[0] for at, _ in curves), min(at[-1] for at, _ in curves)
    if start > end:
        raise ValueError(f"the runs have no {x} in common")
    if start == end:
        return np.array([start]), np.array([[np.interp(start, at, height)] for at, height in curves])
    grid = (np.geomspace if logarithmic else np.linspace)(start, end, points)
    between = np.sqrt(grid[1:] * grid[:-1]) if logarithmic else (grid[1:] + grid[:-1]) / 2
    edges = np.concatenate([grid[:1], between, grid[-1:]])
    return grid, np.array([_means(at, height, edges) for at, height in curves])


def _means(at: Scores, height: Scores, edges: Scores) -> Scores:
    """The mean of a curve between each edge and the next."""
    at, first = np.unique(at, return_index=True)  # seconds are rounded, so rows may share them
    height = height[first]
    area = np.concatenate([[0.0], np.cumsum(np.diff(at) * (height[1:] + height[:-1]) / 2)])
    left = np.searchsorted(at, edges).clip(1, len(at) - 1) - 1
    until = area[left] + (edges - at[left]) * (height[left] + np.interp(edges, at, height)) / 2
    means: Scores = np.diff(until) / np.diff(edges)
    return means


def mean_curve(curves: Scores, resamples: int) -> tuple[Scores, Scores, Scores]:
    """The mean over runs at each point, with its 95 % interval: float[R, K] → three float[K]."""
    value, low, high = np.array([mean_interval(values, resamples=resamples) for values in curves.T]).T
    return value, low, high
