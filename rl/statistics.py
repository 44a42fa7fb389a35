"""Statistics over seeds."""

import numpy as np
from numpy.typing import ArrayLike


def mean_interval(values: ArrayLike, level: float = 0.95, resamples: int = 10_000) -> tuple[float, float, float]:
    """The mean of independent runs with its percentile-bootstrap interval: (mean, low, high).

    values: float[S], one number a seed; resampled over seeds with a fixed generator, so the result is reproducible.
    Raises ValueError if there are no values. Source: Efron & Tibshirani 1993, chapter 13.
    """
    x = np.asarray(values, np.float64)
    if x.ndim != 1 or not len(x):
        raise ValueError(f"expected one number a seed, float[S], got shape {x.shape}")
    means = np.random.default_rng(0).choice(x, (resamples, len(x))).mean(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(x.mean()), float(low), float(high)
