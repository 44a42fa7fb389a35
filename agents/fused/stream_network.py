"""A multilayer perceptron on one input: forward, and backward to the gradients of its layers' sums.

layers: int64[L, 6], see `agents.fused.memory.Net`. A weight's gradient is the outer product of the layer's input and of
the gradient of its sums; it is never stored, except in a trace.
"""

import math
from typing import NamedTuple

from agents.fused.matmul import matmul
from agents.fused.memory import COLUMN, FAN_OUT, WIDTH, Doubles, Floats, Integers
from agents.fused.network import bias_of, weight_of
from envs.kernels import fast_kernel, kernel

ACTIVATIONS = ("tanh", "relu", "leaky_relu")
TANH, RELU, LEAKY_RELU = range(3)
_SLOPE = 0.01  # of leaky ReLU below 0
_EPS = 1e-5  # of layer normalization


class StreamNet(NamedTuple):
    """A network, its trace, and what a forward pass leaves for the gradient."""

    layers: Integers  # [L, 6]
    theta: Floats  # [P]
    trace: Floats  # [P]
    moments: Floats  # [P], running mean of squared gradients or steps; [0] if the step rule has none
    state: Doubles  # [4], of the step rule: see `agents.fused.stream_steps`
    units: Floats  # [Σ widths], of each layer the normalized sums, or the sums without layer normalization
    outputs: Floats  # [Σ widths], of each layer the activations; of the last one its sums
    deltas: Floats  # [2, Σ widths], gradients of the sums, of two functions of the output
    scales: Doubles  # [L], 1 / √(variance + 1e-5) of each layer's sums


@fast_kernel
def normalize_units(z, size):
    """z ← (z − mean) / √(var + 1e-5) over its first `size` numbers; returns the factor."""
    mean, square, one = z.dtype.type(0), z.dtype.type(0), z.dtype.type(1)
    for k in range(size):
        mean += z[k]
    mean = mean / z.dtype.type(size)
    for k in range(size):
        z[k] -= mean
        square += z[k] * z[k]
    scale = one / math.sqrt(square / z.dtype.type(size) + z.dtype.type(_EPS))
    for k in range(size):
        z[k] *= scale
    return scale


@fast_kernel
def activate(activation, z, h):
    """h = f(z). Both [n]."""
    if activation == TANH:
        for k in range(len(z)):
            h[k] = math.tanh(z[k])
    else:
        slope = z.dtype.type(_SLOPE if activation == LEAKY_RELU else 0.0)
        for k in range(len(z)):
            h[k] = z[k] if z[k] > 0 else slope * z[k]


@kernel
def forward(net, activation, layer_norm, x):
    """The network's output on x, [D]; returned as a view of net.outputs."""
    layers, h = net.layers, x
    for i in range(len(layers)):
        begin, width, size = layers[i, COLUMN], layers[i, WIDTH], layers[i, FAN_OUT]
        z, out = net.units[begin : begin + width], net.outputs[begin : begin + width]
        last = i == len(layers) - 1
        sums = out if last else z
        matmul(
            h.reshape(1, len(h)), weight_of(net.theta, layers[i]), bias_of(net.theta, layers[i]), sums.reshape(1, width)
        )
        if not last:
            net.scales[i] = normalize_units(z, size) if layer_norm else 1.0
            activate(activation, z[:size], out[:size])
        h = out
    return h


@fast_kernel
def below(w, delta, under):
    """under = W δ. w: [I, O]; delta: [O]; under: [I]."""
    for a in range(len(under)):
        row, total = w[a], w.dtype.type(0)
        for k in range(len(delta)):
            total += row[k] * delta[k]
        under[a] = total


@fast_kernel
def through_units(activation, layer_norm, z, h, delta, scale):
    """From the gradient of the activations to that of the sums, in place. z: normalized sums; all [n]."""
    number, size = delta.dtype.type, len(z)
    mean, product = number(0), number(0)
    if activation == TANH:
        for k in range(size):
            delta[k] *= number(1) - h[k] * h[k]
    else:
        slope = number(_SLOPE if activation == LEAKY_RELU else 0.0)
        for k in range(size):
            delta[k] *= number(1) if z[k] > 0 else slope
    if layer_norm:
        for k in range(size):
            mean += delta[k]
            product += delta[k] * z[k]
        mean, product, scale = mean / number(size), product / number(size), number(scale)
        for k in range(size):
            delta[k] = scale * (delta[k] - mean - z[k] * product)


@kernel
def backward(net, activation, layer_norm, functions):
    """Fills net.deltas of the hidden layers, for the gradients of the outputs in its last part.

    functions: how many rows of deltas. Needs the forward pass on the input.
    """
    layers = net.layers
    for i in range(len(layers) - 1, 0, -1):
        begin, width = layers[i, COLUMN], layers[i, WIDTH]
        start, size = layers[i - 1, COLUMN], layers[i - 1, FAN_OUT]
        z, h = net.units[start : start + size], net.outputs[start : start + size]
        for f in range(functions):
            under = net.deltas[f, start : start + size]
            below(weight_of(net.theta, layers[i]), net.deltas[f, begin : begin + width], under)
            through_units(activation, layer_norm, z, h, under, net.scales[i - 1])
