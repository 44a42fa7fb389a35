"""Statistics of a rollout over all ranks, compiled: see `agents.maths.returns`. ranks: see `agents.fused.ranks`."""

import math

import numpy as np

from agents.fused.ranks import count_of, sums
from envs.kernels import kernel


@kernel
def standardize(values, total, ranks):
    """x ← (x − mean) / (s + 1e-8), where s is the sample standard deviation. values: [n]; total: Σ n over ranks."""
    mean, square = 0.0, 0.0
    for k in range(len(values)):
        mean += values[k]
    mean = sums(ranks, mean, 0.0, 0.0, 0.0, 0.0)[0] / total
    for k in range(len(values)):
        square += (values[k] - mean) ** 2
    square = sums(ranks, square, 0.0, 0.0, 0.0, 0.0)[0]
    deviation = math.sqrt(square / (total - 1)) + 1e-8
    for k in range(len(values)):
        values[k] = (values[k] - mean) / deviation


@kernel
def explained_variance(target, v, rows, ranks):
    """1 − Var(target − V) / Var(target), over all ranks, NaN if the targets do not vary."""
    error, mean, total = 0.0, 0.0, rows * count_of(ranks)
    for r in range(rows):
        error += np.float64(target[r]) - np.float64(v[r])
        mean += target[r]
    error, mean, _, _, _ = sums(ranks, error, mean, 0.0, 0.0, 0.0)
    error, mean = error / total, mean / total
    unexplained, spread = 0.0, 0.0
    for r in range(rows):
        spread += (target[r] - mean) ** 2
        unexplained += (np.float64(target[r]) - np.float64(v[r]) - error) ** 2
    unexplained, spread, _, _, _ = sums(ranks, unexplained, spread, 0.0, 0.0, 0.0)
    return 1 - unexplained / spread if spread > 0 else np.nan
