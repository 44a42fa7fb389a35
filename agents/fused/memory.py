"""What the kernels work on: arrays over the memory of torch's own parameters and optimizer state, and scratch space.

A weight lies transposed, [inputs, outputs padded], so that a product's inner loop runs along memory; torch sees it as
an ordinary [outputs, inputs] with other strides. What is padding stays 0: its gradient is 0.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from agents.fused.matmul import PAD
from agents.settings.a2c import SCHEDULED

Floats = NDArray[np.floating]

Doubles = NDArray[np.float64]

Integers = NDArray[np.int64]

FAN_IN, FAN_OUT, WIDTH, WEIGHT, BIAS, COLUMN = range(6)  # of a row of `layers`; WIDTH is FAN_OUT padded


class Net(NamedTuple):
    """One multilayer perceptron inside the flat parameters."""

    layers: Integers  # [L, 6]: sizes, offsets of weight and bias, and the sum of the widths before
    outputs: Floats  # [rows · Σ widths], each layer's output, one after the other


class Parameters(NamedTuple):
    """π_θ's first, then V_φ's, from `split` on; a Gaussian's log-std first of all."""

    theta: Floats  # [P]
    grad: Floats  # [P]
    square: Floats  # [P], of RMSprop or Adam
    mean: Floats  # [P] for Adam, else [0]
    start: Floats  # [split], the policy's before the step
    split: int


class Batch(NamedTuple):
    """A rollout, its rows one after the other: row t · N + i is environment i at time t."""

    raw: Doubles  # [rows, D], observations as they came
    x: Floats  # [rows, D], what the networks see: the observations, then successors that are none of these
    successor: Integers  # [T · N], the row of x that follows
    discrete: Integers  # [T · N], actions that are counted
    continuous: Floats  # [T · N, A], actions that are real
    behavior: Floats  # [T · N, P], raw parameters of the policy that acted
    reward: Floats  # [T, N]
    terminated: NDArray[np.bool_]  # [T, N]
    truncated: NDArray[np.bool_]  # [T, N]


class Scratch(NamedTuple):
    delta: Floats  # gradients with respect to layer outputs, as long as the larger net's outputs
    turned: Floats  # one weight matrix, transposed
    nothing: Floats  # zeros, as many as the widest layer
    work: Doubles  # [2 · actions]
    advantage: Floats  # [T, N]
    target: Floats  # [T, N]
    coefficients: NDArray[np.void]  # [1] of COEFFICIENTS, in the current update


class Norms(NamedTuple):
    """Running moments, shared with `agents.maths.normalize`; counts are 0-dimensional there and [1] here."""

    obs_count: Doubles
    obs_mean: Doubles
    obs_m2: Doubles
    reward_count: Doubles
    reward_mean: Doubles
    reward_m2: Doubles
    returns: Doubles  # [N], discounted, under way


CONSTANTS = {  # settings that the kernels read as they are
    "normalize_observations": np.bool_,
    "normalize_rewards": np.bool_,
    "normalize_advantage": np.bool_,
    "gamma": np.float64,
    "gae_lambda": np.float64,
    "rms_prop_eps": np.float64,
    "reward_scale": np.float64,
    "clip_normalized": np.float64,
}

OPTIONS = np.dtype(  # all settings in one record, because a scalar argument costs a call as much as an array does
    [
        ("gaussian", np.bool_),
        ("relu", np.bool_),
        ("actions", np.int64),  # number of discrete actions, or dimension of a continuous one
        ("optimizer", np.int64),
        ("reward_clip", np.float64),  # infinite if null
        *CONSTANTS.items(),
        ("schedules", np.float64, (len(SCHEDULED), 5)),  # `agents.maths.schedules.numbers_of`
    ],
    align=True,
)

COEFFICIENTS = np.dtype([(name, np.float64) for name in SCHEDULED])  # values of the schedules; NaN if null


class Memory(NamedTuple):
    """All of it, as one argument."""

    options: NDArray[np.void]  # [1] of OPTIONS
    params: Parameters
    policy: Net
    value: Net
    batch: Batch
    scratch: Scratch
    norms: Norms
    adaptive: Doubles  # step factor, entropy factor, mean shift, shifts, optimizer steps: see `agents.optimizer`


def padded(size: int) -> int:
    return -(-size // PAD) * PAD


def layers_of(net: nn.Sequential, offset: int) -> tuple[Integers, int]:
    """The table of a network's layers, its parameters beginning at `offset`; and where they end."""
    rows, column = [], 0
    for layer in net:
        if isinstance(layer, nn.Linear):
            width = padded(layer.out_features)
            bias = offset + layer.in_features * width
            rows.append((layer.in_features, layer.out_features, width, offset, bias, column))
            offset, column = bias + width, column + width
    return np.array(rows, np.int64), offset


def views(net: nn.Sequential, layers: Integers, flat: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Each parameter of the network, and its place in a flat tensor."""
    linears = [layer for layer in net if isinstance(layer, nn.Linear)]
    pairs: list[tuple[Tensor, Tensor]] = []
    for layer, (fan_in, fan_out, width, weight, bias, _) in zip(linears, layers.tolist(), strict=True):
        pairs.append((layer.weight, flat.as_strided((fan_out, fan_in), (1, width), weight)))
        pairs.append((layer.bias, flat[bias : bias + fan_out]))
    return pairs


def zeros(*shape: int) -> Floats:
    """In torch's default type."""
    return torch.zeros(shape).numpy()
