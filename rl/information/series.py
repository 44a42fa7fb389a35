"""Two functions that vanish to second order, by a series where the direct formula would cancel.

φ makes the terms of a KL divergence, ψ those of a JS divergence. Both are elementwise.
"""

import math

import torch
from torch import Tensor

from rl.information.closed_form import closed_form

NEAR = 0.125  # |x| up to which φ and ψ are their series
_ORDER = 9  # of both; what is left out is below 4e-14 of the sum


def phi_series(x: Tensor) -> Tensor:
    """φ(x) = x²/2 + x³/6 + … for |x| ≤ 1/8. Works in place, so not for autograd: see `phi`."""
    total = torch.full_like(x, 1 / math.factorial(_ORDER))
    for k in range(_ORDER - 1, 1, -1):
        total.mul_(x).add_(1 / math.factorial(k))
    return total.mul_(x).mul_(x)


def phi_values(x: Tensor) -> Tensor:
    """φ(x) = eˣ − 1 − x ≥ 0 for every x, to a few units in the last place. Not for autograd: see `phi`."""
    return torch.where(x.abs() <= NEAR, phi_series(x), x.expm1().sub_(x))


def psi_values(t: Tensor) -> Tensor:
    """ψ(t) = (1 + t) ln(1 + t) + (1 − t) ln(1 − t) for |t| ≤ 1; 0 ≤ ψ ≤ 2 ln 2. Not for autograd."""
    square = t.square()
    series = torch.zeros_like(t)
    for k in range(_ORDER, 0, -1):
        series.add_(1 / (k * (2 * k - 1))).mul_(square)
    direct = torch.special.xlog1py(1 + t, t) + torch.special.xlog1py(1 - t, -t)
    return torch.where(t.abs() <= NEAR, series, direct)


phi = closed_form(phi_values, lambda x, _: (x.expm1(),))  # φ for autograd
