"""A multilayer perceptron on a single input: forward, and backward to the gradients of its layers' sums.

layers: int64[L, 6], see `agents.fused.memory.Net`. A weight's gradient is the outer product of the layer's input and
the gradient of its sums; it is never stored, except in a trace.
"""

import math
from typing import NamedTuple

from agents.fused.arrays import Doubles, Floats, Integers
from agents.fused.memory import COLUMN, FAN_IN, FAN_OUT, WEIGHT, WIDTH
from agents.fused.rows import row_product, transposed_product
from agents.fused.units import LEAK, LEAKY_RELU, TANH, normalize_units, through_norm
from envs.kernels import inlined, kernel


class StreamNet(NamedTuple):
    """A network, its trace, and what a forward pass keeps for the gradient.

    units, outputs and deltas contain the D inputs, padded, followed by a part for each layer, at COLUMN.
    """

    layers: Integers  # [L, 6], with COLUMN counted from the input's first number
    theta: Floats  # [P]
    trace: Floats  # [P]
    moments: Floats  # [P], running mean of squared gradients or steps; [0] if the step rule has none
    gradient: Floats  # [P], a gradient, if there are moments
    state: Doubles  # [4], of the step rule: see `agents.fused.stream_steps`
    units: Floats  # [W], normalized sums; without layer normalization, the sums
    outputs: Floats  # [W], the input, and the activations; for the last layer, its sums
    deltas: Floats  # [2 W], gradients of the sums, for two functions of the output
    scales: Floats  # [L], 1 / √(variance + 1e-5) of each layer's sums


@kernel
def activate(activation, units, outputs, begin, size):
    """h = f(z), for `size` units from `begin` on."""
    z, h = units[begin : begin + size], outputs[begin : begin + size]
    if activation == TANH:
        for k in range(size):
            h[k] = math.tanh(z[k])
    else:
        slope = z.dtype.type(LEAK if activation == LEAKY_RELU else 0.0)
        for k in range(size):
            h[k] = z[k] if z[k] > 0 else slope * z[k]


@kernel
def forward_pass(layers, theta, units, outputs, scales, activation, layer_norm, x, r):
    """The network on x[r]; returns where its outputs begin in `outputs`."""
    place, last = 0, len(layers) - 1
    for k in range(x.shape[1]):
        outputs[k] = x[r, k]
    for i in range(len(layers)):
        begin, place, width, size = place, layers[i, COLUMN], layers[i, WIDTH], layers[i, FAN_OUT]
        sums = outputs if i == last else units
        row_product(theta, layers[i, WEIGHT], width, layers[i, FAN_IN], outputs, begin, sums, place)
        if i < last:
            if layer_norm:
                scales[i] = normalize_units(units, place, size, width)
            activate(activation, units, outputs, place, size)
    return place


@inlined
def forward(net, activation, layer_norm, x, r):
    """The network on x[r]; returns where its outputs begin in net.outputs."""
    return forward_pass(net.layers, net.theta, net.units, net.outputs, net.scales, activation, layer_norm, x, r)


@kernel
def through_units(activation, layer_norm, units, outputs, begin, size, width, deltas, place, scale):
    """Converts the gradient of the activations to that of the sums, in place, starting at `place`."""
    z, h, d = units[begin : begin + size], outputs[begin : begin + size], deltas[place : place + size]
    number = d.dtype.type
    if activation == TANH:
        for k in range(size):
            d[k] *= number(1) - h[k] * h[k]
    else:
        slope = number(LEAK if activation == LEAKY_RELU else 0.0)
        for k in range(size):
            d[k] *= number(1) if z[k] > 0 else slope
    if layer_norm:
        through_norm(deltas, place, units, begin, size, width, scale)


@kernel
def backward_pass(layers, theta, units, outputs, deltas, scales, activation, layer_norm, functions):
    whole = len(outputs)
    for i in range(len(layers) - 1, 0, -1):
        place, begin = layers[i, COLUMN], layers[i - 1, COLUMN]
        size, width = layers[i - 1, FAN_OUT], layers[i - 1, WIDTH]
        second = whole if functions == 2 else 0
        transposed_product(theta, layers[i, WEIGHT], layers[i, WIDTH], size, deltas, place, second, deltas, begin)
        for f in range(0, functions * whole, whole):
            through_units(activation, layer_norm, units, outputs, begin, size, width, deltas, f + begin, scales[i - 1])


@inlined
def backward(net, activation, layer_norm, functions):
    """Fills net.deltas of the hidden layers, from the gradients of the outputs in its last part.

    functions: number of functions of the outputs, at most two. Requires the forward pass on the input.
    """
    backward_pass(
        net.layers, net.theta, net.units, net.outputs, net.deltas, net.scales, activation, layer_norm, functions
    )
