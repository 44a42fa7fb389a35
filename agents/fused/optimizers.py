"""RMSprop and Adam on flat parameters, [P], compiled; each gradient is first multiplied by `scale`.

Running means that have decayed below the smallest normal float32 become 0: denormal numbers are slow, and they are
negligible beside ε.
"""

import math

import numpy as np
from numba import types

from envs.kernels import fast_kernel, kernel, overload_of

RMSPROP, RMSPROP_TF_LIKE, ADAM = range(3)
_TINY = float(np.finfo(np.float32).tiny)


def root(x):
    """√x, x ≥ 0; for float32 as x / √x, which compiles to an estimate of 1/√x and a Newton step: within 3e-7."""


@overload_of(root, fast=True)
def _root(x):
    if x == types.float32:
        return lambda x: x / np.sqrt(x + np.float32(_TINY))
    return lambda x: np.sqrt(x)


@fast_kernel
def flushed(x):
    """x, or 0 if it is smaller than every normal float32."""
    number = np.float32(_TINY)
    return np.float32(0) if -number < x < number else x


@fast_kernel
def sum_of_squares(grad):
    """Σ g². grad: [P]."""
    total = grad.dtype.type(0)
    for k in range(len(grad)):
        total += grad[k] * grad[k]
    return total


@fast_kernel
def rmsprop(theta, grad, square_avg, scale, rate, eps_inside, eps_outside):
    """s ← α s + (1 − α) g², θ ← θ − rate · g / (√(s + eps_inside) + eps_outside), with α = 0.99.

    torch adds ε outside the root, TensorFlow inside.
    """
    number = theta.dtype.type
    scale, rate, eps_inside, eps_outside = number(scale), number(rate), number(eps_inside), number(eps_outside)
    keep, take = number(0.99), number(1 - 0.99)
    for k in range(len(theta)):
        g = scale * grad[k]
        square = flushed(keep * square_avg[k] + take * g * g)
        square_avg[k] = square
        theta[k] -= rate * g / (root(square + eps_inside) + eps_outside)


@fast_kernel
def adam(theta, grad, square_avg, grad_avg, scale, rate, eps, step):
    """m ← β₁ m + (1 − β₁) g, s ← β₂ s + (1 − β₂) g², θ ← θ − rate · m̂ / (√ŝ + ε), with (β₁, β₂) = (0.9, 0.999).

    m̂ and ŝ are corrected for the bias at `step`, which counts from 1.
    """
    number = theta.dtype.type
    rate = number(rate / (1 - 0.9**step))
    unbiased = number(1 / math.sqrt(1 - 0.999**step))
    scale, eps, one, keep = number(scale), number(eps), number(1 - 0.9), number(0.999)
    take = number(1 - 0.999)
    for k in range(len(theta)):
        g = scale * grad[k]
        mean = flushed(grad_avg[k] + one * (g - grad_avg[k]))
        square = flushed(keep * square_avg[k] + take * g * g)
        grad_avg[k], square_avg[k] = mean, square
        theta[k] -= rate * mean / (root(square) * unbiased + eps)


@kernel
def descend(params, optimizer, scale, actor_rate, critic_rate, eps, step):
    """One step of π_θ and of V_φ, each at its learning rate. params: `memory.Parameters`."""
    for begin, end, rate in ((0, params.split, actor_rate), (params.split, len(params.theta), critic_rate)):
        theta, grad, square_avg = params.theta[begin:end], params.grad[begin:end], params.square_avg[begin:end]
        if optimizer == RMSPROP:
            rmsprop(theta, grad, square_avg, scale, rate, 0.0, eps)
        elif optimizer == RMSPROP_TF_LIKE:
            rmsprop(theta, grad, square_avg, scale, rate, eps, 0.0)
        else:
            adam(theta, grad, square_avg, params.grad_avg[begin:end], scale, rate, eps, step)
