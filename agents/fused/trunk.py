"""The layers shared by π_θ and V_φ, forward and backward. trunk: a `Trunk`; or (), which compiles to nothing."""

from numba import types

from agents.fused.network import activate, backward, copy_row, forward, last_output, pass_down, through_units
from envs.kernels import kernel, overload_of


def features(theta, trunk, capacity, units, x, h, begin, end):
    """h ← the output of the shared layers, for the rows from begin to end. Without shared layers, h is x itself."""


def collect(theta, layers, deltas, trunk, capacity, transposed, no_bias, rows, first):
    """Adds one network's ∂L/∂features, after its `backward`, to the gradient of the trunk's output.

    layers, deltas: the network's; first: whether this is the first network to do so.
    """


def backward_trunk(theta, grad, trunk, capacity, units, x, transposed, no_bias, rows):
    """The gradient of the shared layers, after `collect` of both networks."""


@kernel
def _features(theta, layers, outputs, capacity, units, x, h, begin, end):
    forward(theta, layers, outputs, capacity, units, x, begin, end)
    activate(outputs, layers, len(layers) - 1, capacity, units, begin, end)
    last = last_output(outputs, layers, capacity)
    for r in range(begin, end):
        copy_row(last, r, h, r)


@kernel
def _collect(theta, layers, deltas, trunk, capacity, transposed, no_bias, rows, first):
    total, own = last_output(trunk.deltas, trunk.layers, capacity)[:rows], trunk.part[:rows]
    pass_down(theta, layers, deltas, 0, capacity, transposed, no_bias, rows, own)
    for r in range(rows):
        for k in range(own.shape[1]):
            total[r, k] = own[r, k] if first else total[r, k] + own[r, k]


@kernel
def _backward(theta, grad, trunk, capacity, units, x, transposed, no_bias, rows):
    layers, outputs, deltas = trunk.layers, trunk.outputs, trunk.deltas
    through_units(deltas, outputs, layers, len(layers) - 1, capacity, units, rows)
    backward(theta, grad, layers, outputs, deltas, capacity, units, x, transposed, no_bias, rows)


def _empty(trunk: types.Type) -> bool:
    return isinstance(trunk, types.BaseTuple) and len(trunk) == 0


@overload_of(features)
def _features_of(theta, trunk, capacity, units, x, h, begin, end):
    if _empty(trunk):
        return lambda theta, trunk, capacity, units, x, h, begin, end: None
    return lambda theta, trunk, capacity, units, x, h, begin, end: _features(
        theta, trunk.layers, trunk.outputs, capacity, units, x, h, begin, end
    )


@overload_of(collect)
def _collect_of(theta, layers, deltas, trunk, capacity, transposed, no_bias, rows, first):
    if _empty(trunk):
        return lambda theta, layers, deltas, trunk, capacity, transposed, no_bias, rows, first: None
    return lambda theta, layers, deltas, trunk, capacity, transposed, no_bias, rows, first: _collect(
        theta, layers, deltas, trunk, capacity, transposed, no_bias, rows, first
    )


@overload_of(backward_trunk)
def _backward_trunk_of(theta, grad, trunk, capacity, units, x, transposed, no_bias, rows):
    if _empty(trunk):
        return lambda theta, grad, trunk, capacity, units, x, transposed, no_bias, rows: None
    return lambda theta, grad, trunk, capacity, units, x, transposed, no_bias, rows: _backward(
        theta, grad, trunk, capacity, units, x, transposed, no_bias, rows
    )
