"""The kernels' arrays: views of the memory of torch's parameters and optimizer state, and scratch space.

A weight is stored transposed, [inputs, outputs padded], so that the inner loop of a product reads contiguous memory;
torch sees an ordinary [outputs, inputs] with other strides. The padding stays 0, because its gradient is 0.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from agents.fused.arrays import Doubles, Floats, Integers, zeros
from agents.fused.head_arrays import Head, Work
from agents.fused.vectors import PAD
from agents.settings.a2c import SCHEDULED

FAN_IN, FAN_OUT, WIDTH, WEIGHT, BIAS, COLUMN = range(6)  # columns of `Net.layers`


class Net(NamedTuple):
    """One multilayer perceptron inside the flat parameters."""

    layers: Integers  # [L, 6]: inputs, outputs, outputs padded, offsets of weight and bias, Σ widths of earlier layers
    outputs: Floats  # [≥ rows · Σ widths], the outputs of all layers, concatenated: see `agents.fused.network`


class Trunk(NamedTuple):
    """The layers that both networks share, as part of π_θ."""

    layers: Integers  # as in `Net`
    outputs: Floats  # as in `Net`, including f after the last layer
    deltas: Floats  # gradients of the outputs, in the same layout
    part: Floats  # [≥ rows, width of the last layer], one network's contribution to the gradient of the last output


class Parameters(NamedTuple):
    """Flat arrays: a Gaussian's log-std, then π_θ starting with its trunk, then V_φ from index `split` on."""

    theta: Floats  # [P]
    grad: Floats  # [P]
    square_avg: Floats  # [P], running mean of g²
    grad_avg: Floats  # [P], running mean of g, for Adam; otherwise [0]
    before: Floats  # [split], the policy's parameters before the step
    split: int


class Batch(NamedTuple):
    """A rollout; row t · N + i is environment i at time t. Extra rows hold successors that are not in the rollout."""

    raw_obs: Doubles  # [rows, D], observations as the environments return them
    x: Floats  # [rows, D], observations as the networks see them
    successor: Integers  # [T · N], the row of x that holds s′
    discrete: Integers  # [T · N, K], discrete actions, one number per factor
    continuous: Floats  # [T · N, A], continuous actions
    behavior: Floats  # [T · N, P], distribution parameters of the policy that acted
    reward: Floats  # [T, N]
    terminated: NDArray[np.bool_]  # [T, N]
    truncated: NDArray[np.bool_]  # [T, N]
    legal: NDArray[np.bool_]  # [N, A], legal actions for the observations to act on
    head: Head  # meaning of the columns of discrete, continuous and behavior


class Scratch(NamedTuple):
    delta: Floats  # gradients of the layers' outputs, as long as the longer network's outputs
    transposed: Floats  # one weight, transposed
    no_bias: Floats  # zeros, as many as the widest layer has outputs
    work: Work
    advantage: Floats  # [T, N]
    target: Floats  # [T, N]
    coefficients: NDArray[np.void]  # [1] of COEFFICIENTS, for the current update
    ranks: tuple[object, ...]  # see `agents.fused.ranks`
    trunk: Trunk | tuple[()]  # () if the networks share no layers
    h: Floats  # [rows, F padded], output of the shared layers; without shared layers, x of the batch itself


class PPOScratch(NamedTuple):
    """`Scratch` and space for PPO's minibatches; its type tells the kernels which algorithm learns."""

    delta: Floats
    transposed: Floats
    no_bias: Floats
    work: Work
    advantage: Floats
    target: Floats
    coefficients: NDArray[np.void]
    ranks: tuple[object, ...]
    trunk: Trunk | tuple[()]
    h: Floats
    x: Floats  # [batch size, D], observations of a minibatch
    part_h: Floats  # [batch size, F padded], like h
    part_advantage: Floats  # [batch size], its advantages
    part_weight: Doubles  # [batch size], ln π(a|s), then the derivative of its gain by it
    v: Floats  # [T · N], V before the update
    log_prob: Doubles  # [T · N], ln π_before(a|s)
    keys: NDArray[np.uint64]  # [T · N] over all ranks, sort keys of the steps
    order: Integers  # [T · N] over all ranks, the steps in an epoch's order
    totals: Doubles  # [8], sums over the minibatches of an update
    shuffle: NDArray[np.uint64]  # [2], `agents.minibatches.Shuffle.state`


class Norms(NamedTuple):
    """Running moments, in memory shared with `agents.maths.normalize`; each count is [1]."""

    obs_count: Doubles
    obs_mean: Doubles
    obs_m2: Doubles
    reward_count: Doubles
    reward_mean: Doubles
    reward_m2: Doubles
    returns: Doubles  # [N], discounted return of each running episode


CONSTANTS = {  # settings passed to the kernels unchanged
    "normalize_observations": np.bool_,
    "normalize_rewards": np.bool_,
    "normalize_advantage": np.bool_,
    "layer_norm": np.bool_,
    "gamma": np.float64,
    "gae_lambda": np.float64,
    "rms_prop_eps": np.float64,
    "reward_scale": np.float64,
    "clip_normalized": np.float64,
}


def options_type(scheduled: Sequence[str], *further: tuple[str, type]) -> np.dtype[np.void]:
    """All settings in one record, because passing a scalar costs as much as passing an array."""
    return np.dtype(
        [
            ("activation", np.int64),
            ("optimizer", np.int64),
            ("reward_clip", np.float64),  # infinite if null
            *CONSTANTS.items(),
            *further,
            ("schedules", np.float64, (len(scheduled), 5)),  # `agents.maths.schedules.numbers_of`
        ],
        align=True,
    )


def coefficients_type(scheduled: Sequence[str]) -> np.dtype[np.void]:
    """Values of the schedules; NaN if null."""
    return np.dtype([(name, np.float64) for name in scheduled])


def report_type(metrics: Sequence[str]) -> np.dtype[np.void]:
    """The numbers of an update, metrics first."""
    return np.dtype([(name, np.float64) for name in (*metrics, "loss", "critic_learning_rate")])


OPTIONS, COEFFICIENTS = options_type(SCHEDULED), coefficients_type(SCHEDULED)

ADAPTIVE = np.dtype(  # state of the adaptive coefficients: see `agents.optimizer`
    [
        (name, np.float64)
        for name in ("step_factor", "entropy_factor", "penalty_factor", "mean_shift", "shifts", "optimizer_steps")
    ]
)

METRICS = (  # of each update, logged as train/<name>
    "policy_shift_kl", "grad_norm", "learning_rate", "policy_shift_js", "policy_loss", "value_loss", "entropy",
    "ent_coef", "explained_variance",
)  # fmt: skip

REPORT = report_type(METRICS)
Reports = NDArray[np.void]  # of REPORT


class Memory(NamedTuple):
    """Everything that a kernel works on, as one argument."""

    options: NDArray[np.void]  # [1] of OPTIONS
    params: Parameters
    policy: Net
    value: Net
    batch: Batch
    scratch: Scratch | PPOScratch
    norms: Norms
    adaptive: NDArray[np.void]  # [1] of ADAPTIVE


def padded(size: int) -> int:
    """The next multiple of PAD."""
    return -(-size // PAD) * PAD


def layer_table(net: nn.Sequential | None, offset: int) -> tuple[Integers, int]:
    """`Net.layers` of a network whose parameters start at `offset`, and the offset where they end."""
    rows, column = [], 0
    for layer in net or ():
        if isinstance(layer, nn.Linear):
            width = padded(layer.out_features)
            bias = offset + layer.in_features * width
            rows.append((layer.in_features, layer.out_features, width, offset, bias, column))
            offset, column = bias + width, column + width
    return np.array(rows, np.int64).reshape(-1, 6), offset


def room(layers: Integers, rows: int, layer_norm: bool) -> int:
    """The length of `Net.outputs`."""
    outputs = rows * int(layers[:, WIDTH].sum())
    return 2 * outputs + rows * len(layers) if layer_norm else outputs


def new_trunk(layers: Integers, rows: int, layer_norm: bool) -> Trunk | tuple[()]:
    """Arrays for the shared layers on this many rows; () without shared layers."""
    if not len(layers):
        return ()
    length = room(layers, rows, layer_norm)
    return Trunk(layers, zeros(length), zeros(length), zeros(rows, int(layers[-1, WIDTH])))


def new_features(trunk: Trunk | tuple[()], x: Floats) -> Floats:
    """An array for the output of the shared layers on x, [rows, F padded]; without shared layers, x."""
    return zeros(len(x), trunk.part.shape[1]) if trunk else x


def views(net: nn.Sequential | None, layers: Integers, flat: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Pairs of each parameter of the network and its view into a flat tensor."""
    linears = [layer for layer in net or () if isinstance(layer, nn.Linear)]
    pairs: list[tuple[Tensor, Tensor]] = []
    for layer, (fan_in, fan_out, width, weight, bias, _) in zip(linears, layers.tolist(), strict=True):
        pairs.append((layer.weight, flat.as_strided((fan_out, fan_in), (1, width), weight)))
        pairs.append((layer.bias, flat[bias : bias + fan_out]))
    return pairs


def new_batch(head: Head, rows: int, steps: int, envs: int, inputs: int) -> Batch:
    """Arrays for T steps of N environments. rows: number of rows of x; inputs: D."""
    count, shape = steps * envs, (steps, envs)
    return Batch(
        raw_obs=np.zeros((rows, inputs)),
        x=zeros(rows, inputs),
        successor=np.zeros(count, np.int64),
        discrete=np.zeros((count, max(len(head.sizes), 1)), np.int64),
        continuous=zeros(count, head.size if head.gaussian else 1),
        behavior=zeros(count, head.parameters),
        reward=zeros(*shape),
        terminated=np.zeros(shape, np.bool_),
        truncated=np.zeros(shape, np.bool_),
        legal=np.ones((envs, head.size), np.bool_),
        head=head,
    )
