"""RMSprop and Adam over flat parameters, [P], compiled; each gradient is multiplied by `scale` first."""

import math

import numpy as np

from envs.kernels import fast_kernel, kernel

RMSPROP, RMSPROP_TF_LIKE, ADAM = range(3)


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
        square_avg[k] = keep * square_avg[k] + take * g * g
        theta[k] -= rate * g / (np.sqrt(square_avg[k] + eps_inside) + eps_outside)


@fast_kernel
def adam(theta, grad, square_avg, grad_avg, scale, rate, eps, step):
    """m ← β₁ m + (1 − β₁) g, s ← β₂ s + (1 − β₂) g², θ ← θ − rate · m̂ / (√ŝ + ε), with (β₁, β₂) = (0.9, 0.999).

    m̂ and ŝ are corrected for the bias at `step`, which counts from 1.
    """
    number = theta.dtype.type
    rate = number(rate / (1 - 0.9**step))
    root = number(1 / math.sqrt(1 - 0.999**step))
    scale, eps, one, keep = number(scale), number(eps), number(1 - 0.9), number(0.999)
    take = number(1 - 0.999)
    for k in range(len(theta)):
        g = scale * grad[k]
        grad_avg[k] += one * (g - grad_avg[k])
        square_avg[k] = keep * square_avg[k] + take * g * g
        theta[k] -= rate * grad_avg[k] / (np.sqrt(square_avg[k]) * root + eps)


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
