"""Kernels of traces and step rules: `agents.traces` and `agents.step_rules`, in one or two sweeps over a network.

A gradient is given by net.deltas, from `agents.fused.stream_network.backward`, and the input x of the network.
net.state: number of steps; running means σ of n, of δ² and of |δ|, as in `agents.step_rules.Intentional`.
"""

import math

from agents.fused.memory import COLUMN, FAN_IN, WIDTH
from agents.fused.network import bias_of, weight_of
from agents.step_rules import ADAPTIVE_EPS, CLIP_DECAY, CLIP_DEVIATIONS, INTENT_EPS, MOMENT_DECAY
from agents.traces import TINY
from envs.kernels import fast_kernel, inlined, kernel

RULES = ("obgd", "adaptive", "intentional")
OBGD, ADAPTIVE, INTENTIONAL = range(3)


@inlined
def input_of(net, x, i):
    """The input of layer i."""
    return x if i == 0 else net.outputs[net.layers[i - 1, COLUMN] :][: net.layers[i, FAN_IN]]


@inlined
def delta_of(net, f, i):
    """The gradients of layer i's sums, of function f of the output."""
    return net.deltas[f, net.layers[i, COLUMN] :][: net.layers[i, WIDTH]]


@fast_kernel
def size_of(x):
    """‖x‖₁."""
    total = x.dtype.type(0)
    for k in range(len(x)):
        total += abs(x[k])
    return total


@fast_kernel
def scale_functions(deltas, first, second):
    """deltas[1] ← second · deltas[1]; deltas[0] ← first · deltas[0] + deltas[1]."""
    first, second = deltas.dtype.type(first), deltas.dtype.type(second)
    for k in range(deltas.shape[1]):
        deltas[1, k] *= second
        deltas[0, k] = first * deltas[0, k] + deltas[1, k]


@kernel
def gradient_length(net, x):
    """‖∇‖₁: a gradient h δᵀ of a weight has ‖h‖₁ ‖δ‖₁, and its bias ‖δ‖₁."""
    total = 0.0
    for i in range(len(net.layers)):
        total += size_of(delta_of(net, 0, i)) * (1 + size_of(input_of(net, x, i)))
    return total


@fast_kernel
def move_row(row, amount, direction):
    """row ← row + amount · direction. Both [O]."""
    for k in range(len(row)):
        row[k] += amount * direction[k]


@kernel
def move_along_gradient(net, x, f, amount):
    """w ← w + amount · ∇ of function f."""
    amount = net.theta.dtype.type(amount)
    for i in range(len(net.layers)):
        w, h, delta = weight_of(net.theta, net.layers[i]), input_of(net, x, i), delta_of(net, f, i)
        for a in range(len(h)):
            move_row(w[a], amount * h[a], delta)
        move_row(bias_of(net.theta, net.layers[i]), amount, delta)


@fast_kernel
def accumulate_row(row, decay, h, delta):
    """row ← decay · row + h · delta, flushed; returns ‖row‖₁. Both [O]."""
    number = row.dtype.type
    tiny, total = number(TINY), number(0)
    for k in range(len(row)):
        e = decay * row[k] + h * delta[k]
        e = number(0) if abs(e) < tiny else e
        row[k] = e
        total += abs(e)
    return total


@kernel
def accumulate(net, x, decay):
    """e ← decay · e + ∇ of function 0; returns ‖e‖₁."""
    decay, one, total = net.theta.dtype.type(decay), net.theta.dtype.type(1), 0.0
    for i in range(len(net.layers)):
        e, h, delta = weight_of(net.trace, net.layers[i]), input_of(net, x, i), delta_of(net, 0, i)
        for a in range(len(h)):
            total += accumulate_row(e[a], decay, h[a], delta)
        total += accumulate_row(bias_of(net.trace, net.layers[i]), decay, one, delta)
    return total


@fast_kernel
def move_along(theta, trace, amount):
    """w ← w + amount · e. Both [P]."""
    amount = theta.dtype.type(amount)
    for k in range(len(theta)):
        theta[k] += amount * trace[k]


@kernel
def obgd(options, overshoot, delta, length):
    """The step α / max(α κ max(|δ|, 1) ‖e‖₁, 1). length: ‖e‖₁."""
    return options.step_size / max(options.step_size * overshoot * max(abs(delta), 1.0) * length, 1.0)


@fast_kernel
def squared_moves(trace, moments, delta):
    """v ← 0.999 v + 0.001 (δ e)². Both [P]."""
    number = trace.dtype.type
    decay, rest, delta = number(MOMENT_DECAY), number(1 - MOMENT_DECAY), number(delta)
    for k in range(len(trace)):
        move = delta * trace[k]
        moments[k] = decay * moments[k] + rest * move * move


@fast_kernel
def adaptive_length(trace, moments, correction):
    """‖e / d‖₁, d = √(v / correction + 1e-8). Both [P]."""
    number = trace.dtype.type
    inverse, eps, total = number(1 / correction), number(ADAPTIVE_EPS), 0.0
    for k in range(len(trace)):
        total += abs(trace[k]) / math.sqrt(moments[k] * inverse + eps)
    return total


@fast_kernel
def accumulate_moments(row, moments, decay, h, delta, inverse):
    """e ← decay · e + g; v ← 0.999 v + 0.001 g²; returns Σ g²/d and Σ e²/d, d = √(v · inverse) + 1e-8. All [O]."""
    number = row.dtype.type
    tiny, keep, rest, eps = number(TINY), number(MOMENT_DECAY), number(1 - MOMENT_DECAY), number(INTENT_EPS)
    n, z = number(0), number(0)
    for k in range(len(row)):
        g = h * delta[k]
        e = decay * row[k] + g
        e = number(0) if abs(e) < tiny else e
        row[k] = e
        moments[k] = keep * moments[k] + rest * g * g
        d = math.sqrt(moments[k] * inverse) + eps
        n += g * g / d
        z += e * e / d
    return n, z


@kernel
def intentional(net, x, decay, delta, intent, relative):
    """The step and the TD error of `agents.step_rules.Intentional`, after accumulating the trace and the moments."""
    state, number = net.state, net.theta.dtype.type
    state[0] += 1
    seen, inverse = 1 - CLIP_DECAY ** state[0], number(1 / (1 - MOMENT_DECAY ** state[0]))
    state[2] += (1 - CLIP_DECAY) * (delta**2 - state[2])
    limit = CLIP_DEVIATIONS * math.sqrt(state[2] / seen)
    delta = min(max(delta, -limit), limit)
    state[3] += (1 - CLIP_DECAY) * (abs(delta) - state[3])
    n, z, weak, one = 0.0, 0.0, number(decay), number(1)
    for i in range(len(net.layers)):
        layer, h, slope = net.layers[i], input_of(net, x, i), delta_of(net, 0, i)
        e, v = weight_of(net.trace, layer), weight_of(net.moments, layer)
        for a in range(len(h)):
            more_n, more_z = accumulate_moments(e[a], v[a], weak, h[a], slope, inverse)
            n, z = n + more_n, z + more_z
        e_bias, v_bias = bias_of(net.trace, layer), bias_of(net.moments, layer)
        more_n, more_z = accumulate_moments(e_bias, v_bias, weak, one, slope, inverse)
        n, z = n + more_n, z + more_z
    state[1] += (1 - decay) * (n - state[1])
    step = intent / max(math.sqrt(state[1] / (1 - decay ** state[0]) * z), INTENT_EPS)
    return step, delta / max(state[3] / seen, INTENT_EPS) if relative else delta


@fast_kernel
def move_scaled_row(row, trace, moments, amount, h, push, inverse, inside, outside):
    """row ← row + (amount · e + h · push) / d, d = √(v · inverse + inside) + outside. All [O]."""
    for k in range(len(row)):
        row[k] += (amount * trace[k] + h * push[k]) / (math.sqrt(moments[k] * inverse + inside) + outside)


@kernel
def move_scaled(net, x, amount, inverse, inside, outside):
    """w ← w + (amount · e + ∇ of function 1) / d."""
    number = net.theta.dtype.type
    amount, inverse, inside, outside = number(amount), number(inverse), number(inside), number(outside)
    for i in range(len(net.layers)):
        layer, h, push = net.layers[i], input_of(net, x, i), delta_of(net, 1, i)
        w, e, v = weight_of(net.theta, layer), weight_of(net.trace, layer), weight_of(net.moments, layer)
        for a in range(len(h)):
            move_scaled_row(w[a], e[a], v[a], amount, h[a], push, inverse, inside, outside)
        rows = bias_of(net.theta, layer), bias_of(net.trace, layer), bias_of(net.moments, layer)
        move_scaled_row(rows[0], rows[1], rows[2], amount, number(1), push, inverse, inside, outside)


@kernel
def measure(options, net, x, delta, overshoot, intent, relative):
    """The step of the rule and the TD error that it takes; the trace has then taken in the gradient of function 0."""
    decay = options.gamma * options.trace_decay
    if options.rule == INTENTIONAL:
        return intentional(net, x, decay, delta, intent, relative)
    if options.rule == OBGD and decay == 0:
        return obgd(options, overshoot, delta, gradient_length(net, x)), delta
    length = accumulate(net, x, decay)
    if options.rule == ADAPTIVE:
        net.state[0] += 1
        squared_moves(net.trace, net.moments, delta)
        length = adaptive_length(net.trace, net.moments, 1 - MOMENT_DECAY ** net.state[0])
    return obgd(options, overshoot, delta, length), delta


@kernel
def advance(options, net, x, step, delta, functions):
    """w ← w + step · (δ e + ∇ of function 1) / d; without function 1 if functions is 1. Changes net.deltas."""
    if options.rule == OBGD:
        if options.gamma * options.trace_decay > 0:
            move_along(net.theta, net.trace, step * delta)
            if functions == 2:
                move_along_gradient(net, x, 1, step)
            return
        scale_functions(net.deltas, step * delta, step if functions == 2 else 0.0)
        move_along_gradient(net, x, 0, 1.0)
        return
    inverse = 1 / (1 - MOMENT_DECAY ** net.state[0])
    scale_functions(net.deltas, 0.0, step if functions == 2 else 0.0)
    inside, outside = (ADAPTIVE_EPS, 0.0) if options.rule == ADAPTIVE else (0.0, INTENT_EPS)
    move_scaled(net, x, step * delta, inverse, inside, outside)
