"""Gaussians squashed into bounds by tanh: `agents.maths.distributions.BoundedGaussian`, compiled.

bounds: float[2, A], low and high; or () for a Gaussian without squashing, which compiles to nothing. u: [rows, A], the
actions before tanh, from a Gaussian with parameters z. The density of u is that of the action up to a term without
parameters, so KL divergences, scores and probability ratios are the same.
"""

import math

import numpy as np
from numba import types

from agents.maths.information.gaussian import REACH, hermite, legendre
from envs.kernels import kernel, overload_of

_LOG_2, _ROOT_2, _ROOT_2_PI = math.log(2), math.sqrt(2), math.sqrt(2 * math.pi)
_HERMITE, _HERMITE_WEIGHT = hermite()
_HERMITE_WEIGHT = _HERMITE_WEIGHT / _ROOT_2_PI
_U, _U_WEIGHT = REACH / 2 * (legendre()[0] + 1), REACH / 2 * legendre()[1]


def squash(bounds, k, u):
    """The action l + (h − l) (tanh u + 1)/2 of dimension k."""


def inner(head, continuous, order, work):
    """The rows `order` of the actions before squashing, and the indices of these rows in the returned array."""


def add_squashing(head, z, u, advantage, ent_coef, share, g):
    """Returns what squashing adds to Σ −ln π(a) Â and to Σ H; adds its contribution to the gradient, g.

    See `agents.fused.densities.gaussian_losses`, which treats u as the actions.
    """


def _unbounded(bounds: types.Type) -> bool:
    return isinstance(bounds, types.BaseTuple)


def _bounds_of(head):
    return head.types[head.fields.index("bounds")]


@overload_of(squash)
def _squash_of(bounds, k, u):
    if _unbounded(bounds):
        return lambda bounds, k, u: u

    def call(bounds, k, u):
        low, high, one = bounds[0, k], bounds[1, k], bounds.dtype.type(1)
        half = (high - low) * bounds.dtype.type(0.5)
        return min(max(low + half * (np.tanh(u) + one), low), high)

    return call


@overload_of(inner)
def _inner_of(head, continuous, order, work):
    if _unbounded(_bounds_of(head)):
        return lambda head, continuous, order, work: (continuous, order)

    def call(head, continuous, order, work):
        u = work.u[: len(order)]
        _unsquash(head.bounds, head.limit, continuous, order, u)
        return u, work.order[: len(order)]

    return call


@overload_of(add_squashing)
def _add_squashing_of(head, z, u, advantage, ent_coef, share, g):
    if _unbounded(_bounds_of(head)):
        return lambda head, z, u, advantage, ent_coef, share, g: (0.0, 0.0)
    return lambda head, z, u, advantage, ent_coef, share, g: _add(head.bounds, z, u, advantage, ent_coef, share, g)


@kernel
def log_tanh_slope(u):
    """ln(1 − tanh²u): see `agents.maths.information.log_tanh_slope`."""
    size = abs(u)
    if size < 1:
        return -math.log1p(math.sinh(u) ** 2)
    return 2 * (_LOG_2 - size - math.log1p(math.exp(-2 * size)))


@kernel
def expected_slope(mean, std):
    """E[ln(1 − tanh²u)], u ~ N(μ, σ²), and its derivatives by μ and ln σ.

    With the quadratures of `agents.maths.information.tanh_gaussian_entropy`, and equally accurate.
    """
    total, by_mean, by_log_std = 0.0, 0.0, 0.0
    if std <= 1:
        for j in range(len(_HERMITE)):
            u, weight = mean + std * _HERMITE[j], _HERMITE_WEIGHT[j]
            slope = -2 * math.tanh(u) * weight
            total += weight * log_tanh_slope(u)
            by_mean += slope
            by_log_std += slope * std * _HERMITE[j]
        return total, by_mean, by_log_std
    z = mean / std
    bell, tail = math.sqrt(2 / math.pi) * math.exp(-0.5 * z * z), math.erf(z / _ROOT_2)
    for j in range(len(_U)):
        near, far = (_U[j] - mean) / std, (-_U[j] - mean) / std
        weight = _U_WEIGHT[j] * math.log1p(math.exp(-2 * _U[j])) / (std * _ROOT_2_PI)
        here, there = weight * math.exp(-0.5 * near * near), weight * math.exp(-0.5 * far * far)
        total += here + there
        by_mean += (here * near + there * far) / std
        by_log_std += here * (near * near - 1) + there * (far * far - 1)
    size = std * bell + mean * tail  # E|u|
    return 2 * (_LOG_2 - size - total), -2 * (tail + by_mean), -2 * (std * bell + by_log_std)


@kernel
def _unsquash(bounds, limit, continuous, order, u):
    """u = atanh of the actions in the rows `order`. limit: the largest number below 1, used in place of ±1."""
    number = u.dtype.type
    one, half, largest = number(1), number(0.5), number(limit)
    for r in range(len(order)):
        for k in range(u.shape[1]):
            low, high = bounds[0, k], bounds[1, k]
            unit = (continuous[order[r], k] - low) / ((high - low) * half) - one
            u[r, k] = np.arctanh(min(max(unit, -largest), largest))


@kernel
def _add(bounds, z, u, advantage, ent_coef, share, g):
    loss, entropy, n = 0.0, 0.0, u.shape[1]
    for k in range(n):
        log_half = math.log(0.5 * (np.float64(bounds[1, k]) - np.float64(bounds[0, k])))
        for r in range(len(z)):
            slope, by_mean, by_log_std = expected_slope(z[r, k], math.exp(z[r, n + k]))
            loss += (log_tanh_slope(np.float64(u[r, k])) + log_half) * advantage[r]
            entropy += slope + log_half
            g[r, k] -= share * ent_coef * by_mean
            g[r, n + k] -= share * ent_coef * by_log_std
    return loss, entropy
