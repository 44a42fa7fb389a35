"""Curves of several runs on a common grid, and their mean with its interval."""

from collections.abc import Mapping, Sequence

import numpy as np

from rl.experiments.statistics import Scores, mean_interval


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
