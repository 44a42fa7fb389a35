"""The policy network π_θ and the value network V_φ, and how an observation becomes their input."""

import math
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from gymnasium import spaces
from torch import Generator, Tensor, nn

from agents.maths.distributions import Distribution
from agents.networks.encoders import Features, Memory, Own, Past, orthogonal
from agents.networks.heads import Head
from envs.spaces import Flat

Activation = Literal["tanh", "relu"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}


def input_size(space: Flat) -> int:
    """D, the length of the vector that `encode` makes of one observation."""
    return int(space.n) if isinstance(space, spaces.Discrete) else math.prod(space.shape)


def encode(space: Flat, obs: Tensor) -> Tensor:
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


def mlp(sizes: list[int], activation: Activation, output_gain: float | None, generator: Generator) -> nn.Sequential:
    """Linear layers of these sizes with activations between, and one at the end if there is no output_gain.

    Weights are orthogonal with gain √2, the last layer's with `output_gain`; biases are zero.
    """
    layers: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        gain = output_gain if i == len(sizes) - 2 else None
        linear = nn.Linear(fan_in, fan_out, device="meta")
        layers.append(orthogonal(linear, math.sqrt(2) if gain is None else gain, generator))
        if gain is None:
            layers.append(_ACTIVATIONS[activation]())
    return nn.Sequential(*layers)


class Seen(NamedTuple):
    """What a trunk makes of observations."""

    features: Tensor  # float32[..., F]
    memory: Tensor | None  # float32[..., H], if it has one


class Trunk(nn.Module):
    """What comes before the layers of π_θ or V_φ alone: for images, a module of one's own, a memory, shared layers."""

    def __init__(
        self, inputs: int, encoder: Features | Own | None = None, memory: Memory | None = None,
        shared: nn.Sequential | None = None, size: int | None = None,
    ) -> None:  # fmt: skip
        """inputs: length D of an observation; size: length F of the features, by default that of the last part."""
        super().__init__()
        self.encoder, self.memory, self.shared = encoder, memory, shared
        parts = [part.size for part in (encoder, memory) if part is not None]
        self.size = size or (parts[-1] if parts else inputs)

    @property
    def empty(self) -> bool:
        return self.encoder is None and self.memory is None and self.shared is None

    def forward(self, x: Tensor, past: Past | None = None) -> Seen:
        """x: float32[..., D], [T, N, D] with a past. Without one, a memory starts from 0 at every row."""
        z = x if self.encoder is None else self.encoder(x)
        h: Tensor | None = None
        if self.memory is not None:
            h = z = self.memory(z, past) if past is not None else self._at_once(z)
        return Seen(z if self.shared is None else self.shared(z), h)

    def _at_once(self, z: Tensor) -> Tensor:
        assert self.memory is not None
        rows = z.reshape(1, -1, z.shape[-1])
        past = Past(rows.new_zeros(rows.shape[1], self.memory.size), torch.zeros(rows.shape[:2], dtype=torch.bool))
        h: Tensor = self.memory(rows, past)
        return h.reshape(*z.shape[:-1], -1)


class Policy(nn.Module):
    """π_θ(a|s)."""

    def __init__(
        self, trunk: Trunk, head: Head, net_arch: tuple[int, ...], activation: Activation, log_std_init: float,
        generator: Generator,
    ) -> None:  # fmt: skip
        super().__init__()
        self.trunk, self.head, self.log_std_init = trunk, head, log_std_init
        self.net = mlp([trunk.size, *net_arch, head.outputs], activation, 0.01, generator)
        log_std = head.log_std(log_std_init, net_arch[-1] if net_arch else trunk.size)
        self.log_std = None if log_std is None else nn.Parameter(log_std)

    def raw(self, features: Tensor, legal: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Parameters of the distribution, float32[..., P], −inf for what is not legal; and the last hidden layer."""
        hidden = self.net[:-1](features)
        raw = self.head.raw(self.net[-1](hidden), hidden, self.log_std, self.log_std_init)
        return (raw if legal is None else raw.masked_fill(~legal, -math.inf)), hidden

    def distribution(self, raw: Tensor) -> Distribution:
        """The distribution with these raw parameters, as a rollout stores them."""
        return self.head.distribution(raw)

    def forward(self, x: Tensor, past: Past | None = None, legal: Tensor | None = None) -> Distribution:
        """x: float32[..., D]; legal: bool[..., A]."""
        return self.distribution(self.raw(self.trunk(x, past).features, legal)[0])


class Value(nn.Module):
    """V_φ(s), float32[...]. Its trunk may be that of the policy, whose parameter it then stays."""

    def __init__(
        self, trunk: Trunk, shares: bool, net_arch: tuple[int, ...], activation: Activation, generator: Generator
    ) -> None:
        super().__init__()
        self.shares = shares
        self._borrowed = [trunk] if shares else []  # in a list torch does not see it
        self.trunk = None if shares or trunk.empty else trunk
        self.net = mlp([trunk.size, *net_arch, 1], activation, 1.0, generator)

    def of(self, features: Tensor) -> Tensor:
        v: Tensor = self.net(features)
        return v.squeeze(-1)

    def forward(self, x: Tensor, past: Past | None = None) -> Tensor:
        """x: float32[..., D]."""
        trunk = self._borrowed[0] if self.shares else self.trunk
        return self.of(x if trunk is None else trunk(x, past).features)
