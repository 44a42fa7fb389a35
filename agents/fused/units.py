"""Hidden units: activation, and the layer normalization before it, forward and backward."""

import math

import numpy as np

from agents.fused.rows import row_dot, row_sum
from envs.kernels import fast_kernel, kernel

ACTIVATIONS = ("tanh", "relu", "leaky_relu")
TANH, RELU, LEAKY_RELU = range(3)
LEAK = 0.01  # of leaky ReLU below 0
_EPS = 1e-5  # of layer normalization


@kernel
def normalize_units(units, begin, size, width):
    """z ← (z − mean) / √(var + 1e-5) over `size` units starting at `begin`; returns the factor. width: padded size."""
    z, number = units[begin : begin + size], units.dtype.type
    inverse = number(1) / number(size)
    mean = row_sum(units, begin, width) * inverse
    for k in range(size):
        z[k] -= mean
    scale = number(1) / math.sqrt(row_dot(units, begin, units, begin, width) * inverse + number(_EPS))
    for k in range(size):
        z[k] *= scale
    return scale


@kernel
def through_norm(deltas, place, units, begin, size, width, scale):
    """Converts the gradient of normalized sums z, at `begin` in units, to that of the sums, at `place` in deltas.

    δ ← scale · (δ − mean δ − z · mean(δ z)). scale: from `normalize_units`.
    """
    z, d = units[begin : begin + size], deltas[place : place + size]
    number = d.dtype.type
    inverse = number(1) / number(size)
    mean, product = row_sum(deltas, place, width) * inverse, row_dot(deltas, place, units, begin, width) * inverse
    for k in range(size):
        d[k] = scale * (d[k] - mean - z[k] * product)


@fast_kernel
def tanh_all(y):
    """y ← tanh(y), as y P(y²) / Q(y²) on |y| ≤ 7.9: within 4e-7 of the value, so float32 only. y: [n].

    P and Q: a least-squares fit, reweighted until its relative error was uniform, 6e-9 before rounding.
    """
    for k in range(len(y)):
        x = y[k]
        x = np.float32(7.9) if x > np.float32(7.9) else x  # comparisons rather than min, so that NaN stays NaN
        x = np.float32(-7.9) if x < np.float32(-7.9) else x
        u = x * x
        p = np.float32(1.54282213e-08)
        p = p * u + np.float32(2.20234219e-05)
        p = p * u + np.float32(3.57900278e-03)
        p = p * u + np.float32(1.34506297e-01)
        p = p * u + np.float32(9.99999994e-01)
        q = np.float32(8.59888080e-07)
        q = q * u + np.float32(3.42366811e-04)
        q = q * u + np.float32(2.61922790e-02)
        q = q * u + np.float32(4.67839577e-01)
        q = q * u + np.float32(1.0)
        y[k] = x * p / q


@kernel
def exact_tanh_all(y):
    """y ← tanh(y). y: float64[n]."""
    for k in range(len(y)):
        y[k] = math.tanh(y[k])


@fast_kernel
def rectify_all(y, leak):
    """y ← y where y > 0, else leak · y. y: [n]."""
    zero, leak = y.dtype.type(0), y.dtype.type(leak)
    for k in range(len(y)):
        y[k] = leak * y[k] if y[k] < zero else y[k]


@kernel
def activate_all(activation, y):
    """y ← f(y). y: [n]."""
    if activation != TANH:
        rectify_all(y, LEAK if activation == LEAKY_RELU else 0.0)
    elif y.itemsize == 4:
        tanh_all(y)
    else:
        exact_tanh_all(y)


@fast_kernel
def tanh_slope(delta, h):
    """δ ← δ (1 − h²), where h is the tanh layer's output. Both [n]."""
    one = delta.dtype.type(1)
    for k in range(len(delta)):
        delta[k] *= one - h[k] * h[k]


@fast_kernel
def rectifier_slope(delta, h, leak):
    """δ ← δ where h > 0, else leak · δ. Both [n]."""
    zero, leak = delta.dtype.type(0), delta.dtype.type(leak)
    for k in range(len(delta)):
        delta[k] = delta[k] if h[k] > zero else leak * delta[k]


@kernel
def through_activation(activation, delta, h):
    """δ ← δ f′, where h = f(y) is the activation. Both [n]."""
    if activation == TANH:
        tanh_slope(delta, h)
    else:
        rectifier_slope(delta, h, LEAK if activation == LEAKY_RELU else 0.0)
