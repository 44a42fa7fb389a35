"""A multilayer perceptron on one input: forward, and its gradient into an eligibility trace.

layers: int64[L, 6], see `agents.fused.memory.Net`; theta, trace: flat parameters and their trace, [P].
"""

import math
from typing import NamedTuple

from agents.fused.memory import BIAS, COLUMN, FAN_IN, FAN_OUT, WEIGHT, WIDTH, Doubles, Floats, Integers
from envs.kernels import fast_kernel, kernel

ACTIVATIONS = ("tanh", "relu", "leaky_relu")
TANH, RELU, LEAKY_RELU = range(3)
_SLOPE = 0.01  # of leaky ReLU below 0
_EPS = 1e-5  # of layer normalization
_TINY = 1e-30  # smaller traces are set to 0: denormal numbers are slow


class StreamNet(NamedTuple):
    """A network, its trace, and what a forward pass leaves for the gradient."""

    layers: Integers  # [L, 6]
    theta: Floats  # [P]
    trace: Floats  # [P]
    units: Floats  # [Σ widths], of each layer the normalized sums, or the sums without layer normalization
    outputs: Floats  # [Σ widths], of each layer the activations; of the last one its sums
    deltas: Floats  # [Σ widths], gradients of the sums
    scales: Doubles  # [L], 1 / √(variance + 1e-5) of each layer's sums


@fast_kernel
def sums(theta, layer, h, z):
    """z = h W + b. h: [FAN_IN]; z: [WIDTH]."""
    width, weight, bias = layer[WIDTH], layer[WEIGHT], layer[BIAS]
    for k in range(width):
        z[k] = theta[bias + k]
    for a in range(layer[FAN_IN]):
        row, value = theta[weight + a * width : weight + (a + 1) * width], h[a]
        for k in range(width):
            z[k] += value * row[k]


@fast_kernel
def normalize_units(z, size):
    """z ← (z − mean) / √(var + 1e-5) over its first `size` numbers; returns the factor."""
    mean, square = 0.0, 0.0
    for k in range(size):
        mean += z[k]
    mean /= size
    for k in range(size):
        square += (z[k] - mean) ** 2
    scale = 1 / math.sqrt(square / size + _EPS)
    for k in range(size):
        z[k] = (z[k] - mean) * scale
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
        sums(net.theta, layers[i], h, out if last else z)
        if not last:
            net.scales[i] = normalize_units(z, size) if layer_norm else 1.0
            activate(activation, z[:size], out[:size])
        h = out
    return h


@fast_kernel
def accumulate(trace, layer, h, delta, decay):
    """e ← decay · e + ∂/∂(W, b) for the gradient delta of the layer's sums; returns ‖e‖₁."""
    number = trace.dtype.type
    width, weight, bias, tiny = layer[WIDTH], layer[WEIGHT], layer[BIAS], number(_TINY)
    decay, length = number(decay), 0.0
    for a in range(layer[FAN_IN]):
        row, value, total = trace[weight + a * width : weight + (a + 1) * width], h[a], number(0)
        for k in range(width):
            e = decay * row[k] + value * delta[k]
            e = number(0) if abs(e) < tiny else e
            row[k] = e
            total += abs(e)
        length += total
    row, total = trace[bias : bias + width], number(0)
    for k in range(width):
        e = decay * row[k] + delta[k]
        e = number(0) if abs(e) < tiny else e
        row[k] = e
        total += abs(e)
    return length + total


@fast_kernel
def below(theta, layer, delta, under):
    """under = W δ. delta: [WIDTH]; under: [FAN_IN]."""
    width, weight = layer[WIDTH], layer[WEIGHT]
    for a in range(layer[FAN_IN]):
        row, total = theta[weight + a * width : weight + (a + 1) * width], theta.dtype.type(0)
        for k in range(width):
            total += row[k] * delta[k]
        under[a] = total


@fast_kernel
def through_units(activation, layer_norm, z, h, delta, scale):
    """From the gradient of the activations to that of the sums, in place. z: normalized sums; all [n]."""
    size, mean, product = len(z), 0.0, 0.0
    if activation == TANH:
        for k in range(size):
            delta[k] *= 1 - h[k] * h[k]
    else:
        slope = delta.dtype.type(_SLOPE if activation == LEAKY_RELU else 0.0)
        for k in range(size):
            delta[k] *= 1 if z[k] > 0 else slope
    if layer_norm:
        for k in range(size):
            mean += delta[k]
            product += delta[k] * z[k]
        mean, product = mean / size, product / size
        for k in range(size):
            delta[k] = scale * (delta[k] - mean - z[k] * product)


@kernel
def trace_gradient(net, activation, layer_norm, x, decay):
    """e ← decay · e + ∇ for the gradient of the output in the last part of net.deltas; returns ‖e‖₁.

    Needs the forward pass on x.
    """
    layers, length = net.layers, 0.0
    for i in range(len(layers) - 1, -1, -1):
        begin, width = layers[i, COLUMN], layers[i, WIDTH]
        delta = net.deltas[begin : begin + width]
        if i == 0:
            length += accumulate(net.trace, layers[i], x, delta, decay)
        else:
            start, size = layers[i - 1, COLUMN], layers[i - 1, FAN_OUT]
            h = net.outputs[start : start + size]
            length += accumulate(net.trace, layers[i], h, delta, decay)
            under = net.deltas[start : start + size]
            below(net.theta, layers[i], delta, under)
            through_units(activation, layer_norm, net.units[start : start + size], h, under, net.scales[i - 1])
    return length


@fast_kernel
def move(theta, trace, amount):
    """w ← w + amount · e. Both [P]."""
    amount = theta.dtype.type(amount)
    for k in range(len(theta)):
        theta[k] += amount * trace[k]
