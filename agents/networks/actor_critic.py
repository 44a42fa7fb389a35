"""The policy network π_θ and the value network V_φ, and the encoding of observations as their input."""

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from gymnasium import spaces
from torch import Generator, Tensor, nn

from agents.maths.distributions import Distribution
from agents.networks.encoders import GRU, CustomModule, ImageEncoder, RecurrentInput, single_step
from agents.networks.heads import Head
from agents.networks.initial import initialized, sparse
from agents.settings.actor_critic import Activation
from envs.spaces import Flat

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "tanh": nn.Tanh, "relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "celu": nn.CELU, "elu": nn.ELU, "gelu": nn.GELU,
    "hardshrink": nn.Hardshrink, "hardsigmoid": nn.Hardsigmoid, "hardswish": nn.Hardswish, "hardtanh": nn.Hardtanh,
    "logsigmoid": nn.LogSigmoid, "mish": nn.Mish, "relu6": nn.ReLU6, "selu": nn.SELU, "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU, "softplus": nn.Softplus, "softshrink": nn.Softshrink, "softsign": nn.Softsign,
    "tanhshrink": nn.Tanhshrink,
}  # fmt: skip


def input_size(space: Flat) -> int:
    """D, the length of an encoded observation."""
    return int(space.n) if isinstance(space, spaces.Discrete) else math.prod(space.shape)


def encode(space: Flat, obs: Tensor) -> Tensor:
    """Box: flattened; Discrete: one-hot. obs: [..., *space.shape]. Returns float[..., D], float64 if obs is float64.

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


class Hidden(NamedTuple):
    """The hidden layers of π_θ or of V_φ: see the settings with these names."""

    widths: tuple[int, ...]
    activation: Activation = "tanh"
    layer_norm: bool = False
    sparsity: float = 0.0
    ortho_init: bool = True


def mlp(
    sizes: list[int], activation: Activation, output_gain: float | None, generator: Generator,
    layer_norm: bool = False, sparsity: float = 0.0, ortho_init: bool = True,
) -> nn.Sequential:  # fmt: skip
    """Linear layers of these sizes, each followed by an activation, except the last one if `output_gain` is given.

    Weights are orthogonal with gain √2, those of the last layer with `output_gain`; biases are zero. With a sparsity,
    weights are `sparse` instead; without ortho_init, torch's default. With layer_norm, h = f((z − mean z) / √(var z +
    1e-5)), z the linear layer's output.
    """
    layers: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        is_output = i == len(sizes) - 2 and output_gain is not None
        gain = output_gain if is_output else math.sqrt(2)
        linear = nn.Linear(fan_in, fan_out, device="meta")
        if sparsity:
            layers.append(sparse(linear, sparsity, generator))
        else:
            layers.append(initialized(linear, gain if ortho_init else None, generator))
        if not is_output:
            layers += [nn.LayerNorm(fan_out, elementwise_affine=False)] if layer_norm else []
            layers.append(ACTIVATIONS[activation]())
    return nn.Sequential(*layers)


def hidden_mlp(size: int, hidden: Hidden, outputs: int, output_gain: float, generator: Generator) -> nn.Sequential:
    """`mlp` from `size` inputs through hidden layers to outputs."""
    return mlp([size, *hidden.widths, outputs], hidden.activation, output_gain, generator, *hidden[2:])


class TrunkOutput(NamedTuple):
    features: Tensor  # float32[..., F]
    state: Tensor | None  # float32[..., H], the hidden state of a recurrent layer after each row


class Trunk(nn.Module):
    """Feature extractor: CNN or custom module, GRU, shared layers; each may be absent."""

    def __init__(
        self,
        size: int,
        encoder: ImageEncoder | CustomModule | None = None,
        memory: GRU | None = None,
        shared: nn.Sequential | None = None,
    ) -> None:
        """size: F, the number of features."""
        super().__init__()
        self.size, self.encoder, self.memory, self.shared = size, encoder, memory, shared

    @property
    def empty(self) -> bool:
        return self.encoder is None and self.memory is None and self.shared is None

    @property
    def sees_images(self) -> bool:
        encoder = self.encoder
        return isinstance(encoder, ImageEncoder) or (encoder is not None and encoder.image is not None)

    def forward(self, x: Tensor, recurrent: RecurrentInput | None = None) -> TrunkOutput:
        """x: float32[T, N, D], or float32[..., D] without `recurrent`: a GRU then starts from 0 in every row."""
        z = x if self.encoder is None else self.encoder(x)
        state: Tensor | None = None
        if self.memory is not None:
            rows, start = z, recurrent
            if start is None:
                rows = z.reshape(1, -1, z.shape[-1])
                start = single_step(z.new_zeros(rows.shape[1], self.memory.size))
            state = z = self.memory(rows, start).reshape(*z.shape[:-1], -1)
        return TrunkOutput(z if self.shared is None else self.shared(z), state)


class Policy(nn.Module):
    """π_θ(a|s)."""

    def __init__(self, trunk: Trunk, head: Head, hidden: Hidden, generator: Generator) -> None:
        super().__init__()
        self.trunk, self.head = trunk, head
        self.net = hidden_mlp(trunk.size, hidden, head.outputs, 0.01, generator)
        log_std = head.log_std(hidden.widths[-1] if hidden.widths else trunk.size)
        self.log_std = None if log_std is None else nn.Parameter(log_std)

    def raw(self, features: Tensor, legal: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Parameters of the distribution, float32[..., P], −inf for illegal actions; and the last hidden layer, [B, L].

        features: float32[..., F], B rows; legal: bool[..., A].
        """
        *layers, last = self.net  # a slice of nn.Sequential would build another one
        hidden = features.reshape(-1, features.shape[-1])  # linear layers are slower on more dimensions
        for layer in layers:
            hidden = layer(hidden)
        raw = self.head.raw(last(hidden), hidden, self.log_std)
        raw = raw.reshape(*features.shape[:-1], raw.shape[-1])
        return (raw if legal is None else raw.masked_fill(~legal, -math.inf)), hidden

    def distribution(self, raw: Tensor) -> Distribution:
        """The distribution with these parameters, as a rollout stores them."""
        return self.head.distribution(raw)

    def forward(self, x: Tensor, recurrent: RecurrentInput | None = None, legal: Tensor | None = None) -> Distribution:
        """x: float32[..., D]; legal: bool[..., A]."""
        return self.distribution(self.raw(self.trunk(x, recurrent).features, legal)[0])


class Value(nn.Module):
    """V_φ(s), float32[...]. A shared trunk belongs to the policy: its parameters do not count as parameters of V_φ."""

    def __init__(self, trunk: Trunk, shares_trunk: bool, hidden: Hidden, generator: Generator) -> None:
        super().__init__()
        self.shares_trunk = shares_trunk
        self._trunk_of_policy = [trunk] if shares_trunk else []  # torch registers no module inside a list
        self.trunk = None if shares_trunk else trunk
        self.net = hidden_mlp(trunk.size, hidden, 1, 1.0, generator)

    def from_features(self, features: Tensor) -> Tensor:
        """features: float32[..., F], what the trunk returns."""
        v: Tensor = self.net(features.reshape(-1, features.shape[-1]))
        return v.reshape(features.shape[:-1])

    def forward(self, x: Tensor, recurrent: RecurrentInput | None = None) -> Tensor:
        """x: float32[..., D]."""
        trunk = self._trunk_of_policy[0] if self.trunk is None else self.trunk
        return self.from_features(trunk(x, recurrent).features)
