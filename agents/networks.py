"""The policy network π_θ and the value network V_φ, and how an observation becomes their input."""

import math
from itertools import pairwise
from typing import Literal

import torch
from gymnasium import spaces
from torch import Generator, Tensor, nn

from rl.distributions import Categorical, DiagonalGaussian

Activation = Literal["tanh", "relu"]
Space = spaces.Box | spaces.Discrete
_ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}


def input_size(space: Space) -> int:
    """D, the length of the vector that `encode` makes of one observation."""
    return int(space.n) if isinstance(space, spaces.Discrete) else math.prod(space.shape)


def encode(space: Space, obs: Tensor) -> Tensor:
    """Box: flattened; Discrete: one-hot. obs: [..., *space.shape]. Returns float[..., D], float64 where obs is.

    Raises ValueError if an observation is not in a Discrete space.
    """
    if isinstance(space, spaces.Discrete):
        index = obs.long() - int(space.start)
        if not bool(((index >= 0) & (index < int(space.n))).all()):
            raise ValueError(f"observation {obs.flatten().tolist()} is not in {space}")
        return nn.functional.one_hot(index, int(space.n)).float()
    batch = obs.shape[: obs.ndim - len(space.shape)]
    flat = obs.reshape(*batch, -1)
    return flat if flat.dtype == torch.float64 else flat.float()


def mlp(sizes: list[int], activation: Activation, output_gain: float, generator: Generator) -> nn.Sequential:
    """Linear layers of these sizes with activations between.

    Weights are orthogonal with gain √2, the last layer's with `output_gain`; biases are zero.
    """
    layers: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        last = i == len(sizes) - 2
        linear = nn.Linear(fan_in, fan_out, device="meta").to_empty(device="cpu")  # leaves the global generator alone
        nn.init.orthogonal_(linear.weight, output_gain if last else math.sqrt(2), generator)
        nn.init.zeros_(linear.bias)
        layers += [linear] if last else [linear, _ACTIVATIONS[activation]()]
    return nn.Sequential(*layers)


class Policy(nn.Module):
    """π_θ(a|s): logits for Discrete actions; mean and a state-independent log-std for Box actions."""

    def __init__(
        self, obs_size: int, action_space: Space, net_arch: tuple[int, ...], activation: Activation,
        log_std_init: float, generator: Generator,
    ) -> None:  # fmt: skip
        super().__init__()
        self.net = mlp([obs_size, *net_arch, input_size(action_space)], activation, 0.01, generator)
        self.log_std: nn.Parameter | None = None
        if isinstance(action_space, spaces.Box):
            self.log_std = nn.Parameter(torch.full((input_size(action_space),), log_std_init))

    def distribution(self, raw: Tensor) -> Categorical | DiagonalGaussian:
        """The distribution with these raw parameters, float32[..., P], as a rollout stores them."""
        if self.log_std is None:
            return Categorical(raw, validate=False)
        mean, log_std = raw.chunk(2, -1)
        return DiagonalGaussian(mean, log_std, validate=False)

    def forward(self, x: Tensor) -> Categorical | DiagonalGaussian:
        """x: float32[..., D]."""
        out = self.net(x)
        if self.log_std is None:
            return Categorical(out, validate=False)
        return DiagonalGaussian(out, self.log_std.expand_as(out), validate=False)


class Value(nn.Module):
    """V_φ(s), float32[...]."""

    def __init__(self, obs_size: int, net_arch: tuple[int, ...], activation: Activation, generator: Generator) -> None:
        super().__init__()
        self.net = mlp([obs_size, *net_arch, 1], activation, 1.0, generator)

    def forward(self, x: Tensor) -> Tensor:
        """x: float32[..., D]."""
        v: Tensor = self.net(x)
        return v.squeeze(-1)
