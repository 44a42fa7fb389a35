"""Multilayer perceptrons, forward and backward. layers: int64[L, 6], see `agents.fused.memory.Net`.

capacity: number of rows that fit into `outputs` and `deltas`. With layer normalization, `outputs` also contains the
layers' normalized sums, in the same layout as their outputs, then a factor per layer and row. units: see `units_of`.
"""

from agents.fused.matmul import matmul, transpose
from agents.fused.memory import BIAS, COLUMN, FAN_IN, FAN_OUT, WEIGHT, WIDTH
from agents.fused.units import activate_all, normalize_units, through_activation, through_norm
from envs.kernels import fast_kernel, inlined, kernel


@inlined
def weight_of(theta, layer):
    """A layer's weight inside the flat parameters, [FAN_IN, WIDTH]. layer: a row of `layers`."""
    start = layer[WEIGHT]
    return theta[start : start + layer[FAN_IN] * layer[WIDTH]].reshape(layer[FAN_IN], layer[WIDTH])


@inlined
def bias_of(theta, layer):
    """A layer's bias inside the flat parameters, [WIDTH]."""
    return theta[layer[BIAS] : layer[BIAS] + layer[WIDTH]]


@inlined
def output_of(outputs, layers, i, capacity):
    """The output of layer i, [capacity, WIDTH]."""
    return flat_output(outputs, layers, i, capacity, 0, capacity).reshape(capacity, layers[i, WIDTH])


@inlined
def last_output(outputs, layers, capacity):
    """The output of the last layer, [capacity, WIDTH]."""
    return output_of(outputs, layers, len(layers) - 1, capacity)


@inlined
def flat_output(outputs, layers, i, capacity, begin, end):
    """The output of layer i for the rows from begin to end, [(end − begin) · WIDTH]."""
    start, width = layers[i, COLUMN] * capacity, layers[i, WIDTH]
    return outputs[start + begin * width : start + end * width]


@inlined
def units_of(options):
    """The activation of hidden units, and whether it follows layer normalization."""
    return options.activation, options.layer_norm


@kernel
def sums_of(layers, capacity):
    """The offset of the normalized sums in `outputs`."""
    return (layers[-1, COLUMN] + layers[-1, WIDTH]) * capacity


@kernel
def normalize(outputs, layers, i, capacity, begin, end):
    """z ← (z − mean) / √(var + 1e-5) over layer i, for the rows from begin to end; keeps z and factors."""
    size, width, sums = layers[i, FAN_OUT], layers[i, WIDTH], sums_of(layers, capacity)
    for r in range(begin, end):
        place = layers[i, COLUMN] * capacity + r * width
        outputs[2 * sums + i * capacity + r] = normalize_units(outputs, place, size, width)
        for k in range(place, place + width):
            outputs[sums + k] = outputs[k]


@kernel
def denormalize(deltas, outputs, layers, i, capacity, rows):
    """Converts the gradient of layer i's normalized sums to that of its sums, in place."""
    size, width, sums = layers[i, FAN_OUT], layers[i, WIDTH], sums_of(layers, capacity)
    for r in range(rows):
        place = layers[i, COLUMN] * capacity + r * width
        scale = outputs[2 * sums + i * capacity + r]
        through_norm(deltas, place, outputs, sums + place, size, width, scale)


@inlined
def activate(outputs, layers, i, capacity, units, begin, end):
    """h ← f(N(h)) over layer i, for the rows from begin to end."""
    activation, layer_norm = units
    if layer_norm:
        normalize(outputs, layers, i, capacity, begin, end)
    activate_all(activation, flat_output(outputs, layers, i, capacity, begin, end))


@inlined
def through_units(deltas, outputs, layers, i, capacity, units, rows):
    """Converts the gradient of layer i's output to that of its sums, in place."""
    activation, layer_norm = units
    delta = flat_output(deltas, layers, i, capacity, 0, rows)
    through_activation(activation, delta, flat_output(outputs, layers, i, capacity, 0, rows))
    if layer_norm:
        denormalize(deltas, outputs, layers, i, capacity, rows)


@inlined
def pass_down(theta, layers, deltas, i, capacity, transposed, no_bias, rows, below):
    """below = δ_i W_iᵀ, the gradient of layer i's input, [rows, inputs padded]."""
    layer, width = layers[i], below.shape[1]
    w = transposed[: layer[WIDTH] * width].reshape(layer[WIDTH], width)
    transpose(weight_of(theta, layer), w)
    matmul(output_of(deltas, layers, i, capacity)[:rows], w[: layer[FAN_OUT]], no_bias, below)


@kernel
def forward(theta, layers, outputs, capacity, units, x, begin, end):
    """h_i = f(N(h_{i−1} W_i + b_i)), in the last layer without f and N, for the rows from begin to end. x: [≥ end, D].

    N: layer normalization, or nothing.
    """
    h, rows = x[begin:end], end - begin
    for i in range(len(layers)):
        y = flat_output(outputs, layers, i, capacity, begin, end).reshape(rows, layers[i, WIDTH])
        matmul(h, weight_of(theta, layers[i]), bias_of(theta, layers[i]), y)
        if i < len(layers) - 1:
            activate(outputs, layers, i, capacity, units, begin, end)
        h = y


@kernel
def backward(theta, grad, layers, outputs, deltas, capacity, units, x, transposed, no_bias, rows):
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
            below = output_of(deltas, layers, i - 1, capacity)[:rows]
            pass_down(theta, layers, deltas, i, capacity, transposed, no_bias, rows, below)
            through_units(deltas, outputs, layers, i - 1, capacity, units, rows)


@fast_kernel
def sum_rows(delta, total):
    """total = Σ_r delta[r]. delta: [rows, width]; total: [width]."""
    for k in range(len(total)):
        total[k] = 0
    for r in range(delta.shape[0]):
        row = delta[r]
        for k in range(delta.shape[1]):
            total[k] += row[k]


@kernel
def copy_row(source, i, target, j):
    """target[j] ← source[i], which may have another dtype."""
    for k in range(target.shape[1]):
        target[j, k] = source[i, k]
