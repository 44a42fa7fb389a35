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


def on_grid(runs: Sequence[Mapping[str, Scores]], x: str, y: str, points: int = 200) -> tuple[Scores, Scores]:
    """Interpolates curves measured at different x onto a common grid: float[K] and float[R, K].

    Linear interpolation. The grid extends from where the last curve starts to where the first one ends, so that
    every point covers all runs. Raises ValueError if the curves share no x.
    """
    known = [(run[x][np.isfinite(run[y])], run[y][np.isfinite(run[y])]) for run in runs]
    if not known or any(not len(at) for at, _ in known):
        raise ValueError(f"a run holds no {y}")
    start, end = max(at[0] for at, _ in known), min(at[-1] for at, _ in known)
    if start > end:
        raise ValueError(f"the runs have no {x} in common")
    grid = np.linspace(start, end, points)
    return grid, np.array([np.interp(grid, at, height) for at, height in known])


def mean_curve(curves: Scores, resamples: int) -> tuple[Scores, Scores, Scores]:
    """The mean over runs at each point, with its 95 % interval: float[R, K] → three float[K]."""
    value, low, high = np.array([mean_interval(values, resamples=resamples) for values in curves.T]).T
    return value, low, high
