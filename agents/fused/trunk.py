"""The layers that π_θ and V_φ share, forward and backward. trunk: `agents.fused.memory.Trunk`, empty if none."""

from agents.fused.network import activate, backward, forward, last_output, pass_down, through_units
from envs.kernels import inlined


@inlined
def features(theta, trunk, capacity, units, x, begin, end):
    """The input of both networks: x, or the output of the shared layers, which is computed for rows begin … end − 1."""
    h, layers = x, trunk.layers
    if len(layers) > 0:
        forward(theta, layers, trunk.outputs, capacity, units, x, begin, end)
        activate(trunk.outputs, layers, len(layers) - 1, capacity, units, begin, end)
        h = last_output(trunk.outputs, layers, capacity)
    return h


@inlined
def collect(theta, layers, deltas, trunk, capacity, transposed, no_bias, rows, first):
    """Adds ∂L/∂features of one network, after its `backward`, to the gradient of the trunk's output.

    layers, deltas: of the network; first: whether no network has added its own yet.
    """
    if len(trunk.layers) > 0:
        total, own = last_output(trunk.deltas, trunk.layers, capacity)[:rows], trunk.part[:rows]
        pass_down(theta, layers, deltas, 0, capacity, transposed, no_bias, rows, own)
        for r in range(rows):
            for k in range(own.shape[1]):
                total[r, k] = own[r, k] if first else total[r, k] + own[r, k]


@inlined
def backward_trunk(theta, grad, trunk, capacity, units, x, transposed, no_bias, rows):
    """The gradient of the shared layers, after `collect` of both networks."""
    layers = trunk.layers
    if len(layers) > 0:
        through_units(trunk.deltas, trunk.outputs, layers, len(layers) - 1, capacity, units, rows)
        backward(theta, grad, layers, trunk.outputs, trunk.deltas, capacity, units, x, transposed, no_bias, rows)
