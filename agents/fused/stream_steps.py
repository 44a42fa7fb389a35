"""Kernels of traces and step rules: `agents.traces` and `agents.step_rules`, in one or two passes over a network.

A gradient is given by net.deltas and net.outputs, see `agents.fused.stream_network`. net.state: number of steps;
running means σ of n, of δ² and of |δ|, see `agents.step_rules.Intentional`.
"""

import math

import numpy as np

from agents.fused.memory import COLUMN, FAN_IN, WEIGHT, WIDTH
from agents.fused.rows import add_gradient, decay_and_add_gradient, row_size, row_sum
from agents.step_rules import ADAPTIVE_EPS, CLIP_DECAY, CLIP_DEVIATIONS, INTENT_EPS, MOMENT_DECAY
from agents.traces import TINY
from envs.kernels import inlined, kernel

_f64 = np.float64
RULES = ("obgd", "adaptive", "intentional")
OBGD, ADAPTIVE, INTENTIONAL = range(3)


@inlined
def input_of(layers, i):
    """The offset of layer i's input."""
    return layers[i - 1, COLUMN] if i > 0 else 0


@kernel
def gradient_length(layers, outputs, deltas):
    """‖∇‖₁: a weight's gradient h dᵀ has ‖h‖₁ ‖d‖₁, its bias's ‖d‖₁."""
    total = 0.0
    for i in range(len(layers)):
        h, d = input_of(layers, i), layers[i, COLUMN]
        rows = d - h if i > 0 else layers[0, COLUMN]  # padded
        total += row_size(deltas, d, layers[i, WIDTH]) * (1 + row_size(outputs, h, rows))
    return total


@kernel
def move_along_gradient(layers, theta, outputs, deltas):
    """w ← w + ∇ of function 0."""
    for i in range(len(layers)):
        h, d = input_of(layers, i), layers[i, COLUMN]
        add_gradient(theta, layers[i, WEIGHT], layers[i, WIDTH], layers[i, FAN_IN], outputs, h, deltas, d)


@kernel
def accumulate(layers, trace, outputs, deltas, decay):
    """e ← decay · e + ∇ of function 0; returns ‖e‖₁."""
    decay, tiny, total = trace.dtype.type(decay), trace.dtype.type(TINY), 0.0
    for i in range(len(layers)):
        weight, width, count = layers[i, WEIGHT], layers[i, WIDTH], layers[i, FAN_IN]
        h, d = input_of(layers, i), layers[i, COLUMN]
        total += decay_and_add_gradient(trace, weight, width, count, outputs, h, deltas, d, decay, tiny)
    return total


@kernel
def scale_functions(deltas, first, second):
    """The two halves of deltas: first · d₀ + second · d₁, and second · d₁."""
    first, second, half = deltas.dtype.type(first), deltas.dtype.type(second), len(deltas) // 2
    for k in range(half):
        deltas[half + k] *= second
        deltas[k] = first * deltas[k] + deltas[half + k]


@kernel
def move_along(theta, trace, amount):
    """w ← w + amount · e. Both [P]."""
    amount = theta.dtype.type(amount)
    for k in range(len(theta)):
        theta[k] += amount * trace[k]


@kernel
def move_towards(average, theta, rate):
    """θ̄ ← θ̄ + rate · (θ − θ̄). Both [P]."""
    rate = theta.dtype.type(rate)
    for k in range(len(theta)):
        average[k] += rate * (theta[k] - average[k])


@kernel
def obgd(options, overshoot, delta, length):
    """The step α / max(α κ max(|δ|, 1) ‖e‖₁, 1). length: ‖e‖₁."""
    return options.step_size / max(options.step_size * overshoot * max(abs(delta), 1.0) * length, 1.0)


@kernel
def adaptive_length(trace, moments, gradient, delta, correction):
    """v ← 0.999 v + 0.001 (δ e)²; returns ‖e / d‖₁, d = √(v / correction + 1e-8). All [P]; overwrites the gradient."""
    number = trace.dtype.type
    decay, rest, delta = number(MOMENT_DECAY), number(1 - MOMENT_DECAY), number(delta)
    inverse, eps = number(1 / correction), number(ADAPTIVE_EPS)
    for k in range(len(trace)):
        move = delta * trace[k]
        v = decay * moments[k] + rest * move * move
        moments[k] = v
        gradient[k] = trace[k] / math.sqrt(v * inverse + eps)
    return row_size(gradient, 0, len(gradient))


@kernel
def intended_squares(trace, gradient, moments, decay, correction):
    """e ← decay · e + g; v ← 0.999 v + 0.001 g²; returns Σ g²/d and Σ e²/d, d = √(v / correction) + 1e-8.

    All [P]; overwrites the gradient.
    """
    number = trace.dtype.type
    decay, inverse, tiny, eps = number(decay), number(1 / correction), number(TINY), number(INTENT_EPS)
    keep, rest = number(MOMENT_DECAY), number(1 - MOMENT_DECAY)
    for k in range(len(trace)):
        e = decay * trace[k] + gradient[k]
        trace[k] = number(0) if abs(e) < tiny else e
        square = gradient[k] * gradient[k]
        moments[k] = keep * moments[k] + rest * square
        gradient[k] = square / (math.sqrt(moments[k] * inverse) + eps)
    n = row_sum(gradient, 0, len(gradient))
    for k in range(len(trace)):
        gradient[k] = trace[k] * trace[k] / (math.sqrt(moments[k] * inverse) + eps)
    return n, row_sum(gradient, 0, len(gradient))


@kernel
def intentional(net, decay, delta, intent, relative):
    """The step and the TD error of `agents.step_rules.Intentional`, after the trace and the moments are updated."""
    state = net.state
    state[0] += 1
    seen = 1 - CLIP_DECAY ** state[0]
    state[2] += (1 - CLIP_DECAY) * (delta**2 - state[2])
    limit = CLIP_DEVIATIONS * math.sqrt(state[2] / seen)
    delta = min(max(delta, -limit), limit)
    state[3] += (1 - CLIP_DECAY) * (abs(delta) - state[3])
    accumulate(net.layers, net.gradient, net.outputs, net.deltas, 0.0)
    n, z = intended_squares(net.trace, net.gradient, net.moments, decay, 1 - MOMENT_DECAY ** state[0])
    state[1] += (1 - decay) * (n - state[1])
    step = intent / max(math.sqrt(state[1] / (1 - decay ** state[0]) * z), INTENT_EPS)
    return step, delta / max(state[3] / seen, INTENT_EPS) if relative else delta


@kernel
def move_scaled(theta, trace, gradient, moments, amount, step, inverse, inside, outside):
    """w ← w + (amount · e + step · g) / d, d = √(v · inverse + inside) + outside. All [P]."""
    number = theta.dtype.type
    amount, step, inverse, inside, outside = (
        number(amount), number(step), number(inverse), number(inside), number(outside),
    )  # fmt: skip
    for k in range(len(theta)):
        theta[k] += (amount * trace[k] + step * gradient[k]) / (math.sqrt(moments[k] * inverse + inside) + outside)


@inlined
def measure(options, net, delta, overshoot, intent, relative):
    """The rule's step and the TD error that it uses; afterwards the trace includes the gradient of function 0."""
    decay = options.gamma * options.trace_decay
    if options.rule == INTENTIONAL:
        return intentional(net, decay, delta, intent, relative)
    if options.rule == OBGD and decay == 0:
        return obgd(options, overshoot, delta, gradient_length(net.layers, net.outputs, net.deltas)), delta
    length = accumulate(net.layers, net.trace, net.outputs, net.deltas, decay)
    if options.rule == ADAPTIVE:
        net.state[0] += 1
        length = _f64(adaptive_length(net.trace, net.moments, net.gradient, delta, 1 - MOMENT_DECAY ** net.state[0]))
    return obgd(options, overshoot, delta, length), delta


@inlined
def advance(options, net, step, delta, functions):
    """w ← w + step · (δ e + ∇ of function 1) / d; without function 1 if functions is 1. Modifies net.deltas."""
    push = step if functions == 2 else 0.0
    if options.rule != OBGD:
        if functions == 2:
            accumulate(net.layers, net.gradient, net.outputs, net.deltas[len(net.outputs) :], 0.0)
        inverse = 1 / (1 - MOMENT_DECAY ** net.state[0])
        inside, outside = (ADAPTIVE_EPS, 0.0) if options.rule == ADAPTIVE else (0.0, INTENT_EPS)
        move_scaled(net.theta, net.trace, net.gradient, net.moments, step * delta, push, inverse, inside, outside)
    elif options.gamma * options.trace_decay > 0:
        move_along(net.theta, net.trace, step * delta)
        if functions == 2:
            scale_functions(net.deltas, 0.0, push)
            move_along_gradient(net.layers, net.theta, net.outputs, net.deltas)
    else:
        scale_functions(net.deltas, step * delta, push)
        move_along_gradient(net.layers, net.theta, net.outputs, net.deltas)


@inlined
def finish(options, net, ended):
    """Clears the trace at an episode's end; at γλ = 0 after every step, except with ObGD, which never writes it."""
    decay = options.gamma * options.trace_decay
    if (ended and decay > 0) or (decay == 0 and options.rule != OBGD):
        net.trace[:] = 0.0
