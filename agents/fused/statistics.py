"""Statistics of a rollout over all ranks, compiled: see `agents.maths.returns`. ranks: see `agents.fused.ranks`."""

import math

import numpy as np

from agents.fused.ranks import pooled
from envs.kernels import kernel


@kernel
def standardize(values, total, ranks):
    """x ← (x − mean) / (s + 1e-8), where s is the sample standard deviation. values: [n]; total: Σ n over ranks.

    A single value stays as it is.
    """
    mean, square, count = 0.0, 0.0, len(values)
    for k in range(count):
        mean += values[k]
    mean /= max(count, 1)  # one of several ranks may have no row
    for k in range(count):
        square += (values[k] - mean) ** 2
    mean, square, _, _ = pooled(ranks, count, (mean, square, 0.0, 0.0))
    if total == 1:
        return
    deviation = math.sqrt(square / (total - 1)) + 1e-8
    for k in range(count):
        values[k] = (values[k] - mean) / deviation


@kernel
def errors_and_targets(target, v, rows):
    """Mean and Σ of squared deviations of target − V, and those of the targets, over this rank's rows."""
    error, mean = 0.0, 0.0
    for r in range(rows):
        error += np.float64(target[r]) - np.float64(v[r])
        mean += target[r]
    error, mean = error / rows, mean / rows
    unexplained, spread = 0.0, 0.0
    for r in range(rows):
        spread += (target[r] - mean) ** 2
        unexplained += (np.float64(target[r]) - np.float64(v[r]) - error) ** 2
    return error, unexplained, mean, spread


@kernel
def explained_variance(moments):
    """1 − Var(target − V) / Var(target), NaN if the targets do not vary. moments: from `errors_and_targets`."""
    return 1 - moments[1] / moments[3] if moments[3] > 0 else np.nan
