"""Multilayer perceptrons, forward and backward. layers: int64[L, 6], see `agents.fused.memory.Net`.

capacity: rows for which `outputs` and `deltas` have room.
"""

import math

import numpy as np

from agents.fused.matmul import matmul, transpose
from agents.fused.memory import BIAS, COLUMN, FAN_IN, FAN_OUT, WEIGHT, WIDTH
from envs.kernels import fast_kernel, kernel


@fast_kernel
def tanh_all(y):
    """y ← tanh(y), as y P(y²) / Q(y²) on |y| ≤ 7.9: within 4e-7 of the value, so float32 only. y: [n].

    P and Q: a least-squares fit, reweighted until its relative error was uniform, 6e-9 before rounding.
    """
    for k in range(len(y)):
        x = y[k]
        x = np.float32(7.9) if x > np.float32(7.9) else x  # comparisons, so that NaN stays NaN
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
def relu_all(y):
    """y ← max(y, 0). y: [n]."""
    zero = y.dtype.type(0)
    for k in range(len(y)):
        y[k] = zero if y[k] < zero else y[k]


@kernel
def weight_of(theta, layer):
    """A layer's weight inside the flat parameters, [FAN_IN, WIDTH]. layer: a row of `layers`."""
    start = layer[WEIGHT]
    return theta[start : start + layer[FAN_IN] * layer[WIDTH]].reshape(layer[FAN_IN], layer[WIDTH])


@kernel
def bias_of(theta, layer):
    """A layer's bias inside the flat parameters, [WIDTH]."""
    return theta[layer[BIAS] : layer[BIAS] + layer[WIDTH]]


@kernel
def output_of(outputs, layers, i, capacity):
    """The output of layer i, [capacity, WIDTH]."""
    return flat_output(outputs, layers, i, capacity, 0, capacity).reshape(capacity, layers[i, WIDTH])


@kernel
def last_output(outputs, layers, capacity):
    """The output of the last layer, [capacity, WIDTH]."""
    return output_of(outputs, layers, len(layers) - 1, capacity)


@kernel
def flat_output(outputs, layers, i, capacity, begin, end):
    """The output of layer i for the rows from begin to end, [(end − begin) · WIDTH]."""
    start, width = layers[i, COLUMN] * capacity, layers[i, WIDTH]
    return outputs[start + begin * width : start + end * width]


@kernel
def forward(theta, layers, outputs, capacity, relu, x, begin, end):
    """h_i = f(h_{i−1} W_i + b_i), the last layer without f, for the rows from begin to end. x: [≥ end, D]."""
    h, rows = x[begin:end], end - begin
    for i in range(len(layers)):
        flat = flat_output(outputs, layers, i, capacity, begin, end)
        y = flat.reshape(rows, layers[i, WIDTH])
        matmul(h, weight_of(theta, layers[i]), bias_of(theta, layers[i]), y)
        if i < len(layers) - 1:
            if relu:
                relu_all(flat)
            elif theta.itemsize == 4:
                tanh_all(flat)
            else:
                exact_tanh_all(flat)
        h = y


@kernel
def backward(theta, grad, layers, outputs, deltas, capacity, relu, x, transposed, no_bias, rows):
    """∂L/∂W_i = h_{i−1}ᵀ δ_i, ∂L/∂b_i = Σ δ_i, δ_{i−1} = f′ (δ_i W_iᵀ); the caller has written δ of the last layer.

    transposed: scratch space for one weight; no_bias: zeros.
    """
    for i in range(len(layers) - 1, -1, -1):
        layer = layers[i]
        delta = output_of(deltas, layers, i, capacity)[:rows]
        h = (x if i == 0 else output_of(outputs, layers, i - 1, capacity))[:rows]
        matmul(h.T, delta, no_bias, weight_of(grad, layer))
        sum_rows(delta, bias_of(grad, layer))
        if i > 0:
            w = transposed[: layer[WIDTH] * h.shape[1]].reshape(layer[WIDTH], h.shape[1])
            transpose(weight_of(theta, layer), w)
            below = flat_output(deltas, layers, i - 1, capacity, 0, rows)
            matmul(delta, w[: layer[FAN_OUT]], no_bias, below.reshape(h.shape))
            above = flat_output(outputs, layers, i - 1, capacity, 0, rows)
            if relu:
                relu_slope(below, above)
            else:
                tanh_slope(below, above)


@fast_kernel
def sum_rows(delta, total):
    """total = Σ_r delta[r]. delta: [rows, width]; total: [width]."""
    for k in range(len(total)):
        total[k] = 0
    for r in range(delta.shape[0]):
        row = delta[r]
        for k in range(delta.shape[1]):
            total[k] += row[k]


@fast_kernel
def tanh_slope(delta, h):
    """δ ← δ (1 − h²), where h is the tanh layer's output. Both [n]."""
    one = delta.dtype.type(1)
    for k in range(len(delta)):
        delta[k] *= one - h[k] * h[k]


@fast_kernel
def relu_slope(delta, h):
    """δ ← δ where h > 0, else 0. Both [n]."""
    zero = delta.dtype.type(0)
    for k in range(len(delta)):
        delta[k] = delta[k] if h[k] > zero else zero


@kernel
def copy_row(source, i, target, j):
    """target[j] ← source[i], which may be of another type."""
    for k in range(target.shape[1]):
        target[j, k] = source[i, k]
