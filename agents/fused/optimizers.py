"""The optimizer's step over flat parameters: `agents.optimizer` in compiled form."""

import math

import numpy as np

from envs.kernels import fast_kernel, kernel

RMSPROP, RMSPROP_TF_LIKE, ADAM = range(3)


@fast_kernel
def sum_of_squares(grad):
    total = grad.dtype.type(0)
    for k in range(len(grad)):
        total += grad[k] * grad[k]
    return total


@fast_kernel
def rmsprop(theta, grad, square, scale, rate, inside, outside):
    """s ← α s + (1 − α) g², θ ← θ − rate · g / (√(s + inside) + outside), where g is scale · grad.

    ε is outside the root in torch's form, and inside in TensorFlow's.
    """
    number = theta.dtype.type
    scale, rate, inside, outside = number(scale), number(rate), number(inside), number(outside)
    keep, take = number(0.99), number(1 - 0.99)
    for k in range(len(theta)):
        g = scale * grad[k]
        square[k] = keep * square[k] + take * g * g
        theta[k] -= rate * g / (np.sqrt(square[k] + inside) + outside)


@fast_kernel
def adam(theta, grad, square, mean, scale, rate, eps, step):
    """m ← β₁ m + (1 − β₁) g, s ← β₂ s + (1 − β₂) g², θ ← θ − rate · m̂ / (√ŝ + ε), both corrected for `step`."""
    number = theta.dtype.type
    rate = number(rate / (1 - 0.9**step))
    root = number(1 / math.sqrt(1 - 0.999**step))
    scale, eps, one, keep = number(scale), number(eps), number(1 - 0.9), number(0.999)
    take = number(1 - 0.999)
    for k in range(len(theta)):
        g = scale * grad[k]
        mean[k] += one * (g - mean[k])
        square[k] = keep * square[k] + take * g * g
        theta[k] -= rate * mean[k] / (np.sqrt(square[k]) * root + eps)


@kernel
def descend(params, optimizer, scale, actor_rate, critic_rate, eps, step):
    """One step of π_θ and one of V_φ, each with its rate."""
    for begin, end, rate in ((0, params.split, actor_rate), (params.split, len(params.theta), critic_rate)):
        theta, grad, square = params.theta[begin:end], params.grad[begin:end], params.square[begin:end]
        if optimizer == RMSPROP:
            rmsprop(theta, grad, square, scale, rate, 0.0, eps)
        elif optimizer == RMSPROP_TF_LIKE:
            rmsprop(theta, grad, square, scale, rate, eps, 0.0)
        else:
            adam(theta, grad, square, params.mean[begin:end], scale, rate, eps, step)
