"""What comes before the hidden layers: convolutions for images, a module of the user's own, a memory."""

import importlib
import math
from typing import NamedTuple, cast

import numpy as np
import torch
from gymnasium import spaces
from torch import Generator, Tensor, nn

from agents.settings.values import ConfigError
from envs.spaces import Space, channels_last, leaves

Layers = tuple[tuple[int, int, int], ...]

_LAYERS: dict[str, Layers] = {  # by `network`: filters, kernel, stride
    "cnn": ((32, 8, 4), (64, 4, 2), (64, 3, 1)),  # Mnih et al. 2015, "NatureCNN"
    "small_cnn": ((16, 8, 4), (32, 4, 2)),  # Mnih et al. 2013, and 2016 for A3C: a third of the work
}

_TINY = ((32, 3, 1), (64, 3, 2))  # for images below 36 pixels, which those kernels do not fit in

_SMALLEST = 5


class Past(NamedTuple):
    """What a recurrent network needs beside observations [T, N, …]."""

    state: Tensor  # float32[N, H], before the first row
    ended: Tensor  # bool[T, N]: nothing is remembered from an episode that ended


class Picture(NamedTuple):
    """Where an image lies in a flat observation, and how to see it."""

    start: int
    shape: tuple[int, int, int]  # as the environment gives it; a gray [H, W] has one channel at the front
    channels_last: bool
    scale: float  # to [0, 1]


def pictures(space: Space, network: str) -> list[Picture]:
    """The images of an observation space: with network "auto" every uint8 Box [H, W], [H, W, C] or [C, H, W] of at
    least 5 × 5 pixels, with "cnn" or "small_cnn" every Box of such a form, with anything else none. See
    `envs.spaces.channels_last`.
    """
    found, start = list[Picture](), 0
    for leaf in leaves(space):
        if isinstance(leaf, spaces.Box) and len(leaf.shape) in (2, 3):
            shape = cast("tuple[int, int, int]", leaf.shape if len(leaf.shape) == 3 else (1, *leaf.shape))
            last = channels_last(shape)
            large = min(shape[:2] if last else shape[1:]) >= _SMALLEST
            if large and (network in _LAYERS or (network == "auto" and leaf.dtype in (np.uint8, np.bool_))):
                found.append(Picture(start, shape, last, _scale(leaf)))
        start += spaces.flatdim(leaf)
    return found


def _scale(space: spaces.Box) -> float:
    high = float(np.max(space.high))
    return 1 / high if space.dtype == np.uint8 and high > 0 else 1.0


class Features(nn.Module):
    """Each image through convolutions of its own and a layer of `width`; everything else as it is, side by side."""

    def __init__(self, images: list[Picture], size: int, width: int, generator: Generator, network: str) -> None:
        """size: of the flat observation; network: as in `pictures`."""
        super().__init__()
        self.images = images
        plain = torch.ones(size, dtype=torch.bool)
        for image in images:
            plain[image.start : image.start + math.prod(image.shape)] = False
        self.plain: Tensor
        self.register_buffer("plain", plain.nonzero().squeeze(-1), persistent=False)
        layers = _LAYERS["cnn" if network == "auto" else network]
        self.convolutions = nn.ModuleList(
            convolutions(_channels_first(image), width, generator, layers) for image in images
        )
        self.size = int(plain.sum()) + width * len(images)

    def describe(self) -> str:
        """In a few words, for the header of a run."""
        sizes = ", ".join(" × ".join(map(str, image.shape)) for image in self.images)
        return f"convolutions of images {sizes}"

    def forward(self, x: Tensor) -> Tensor:
        """x: float32[..., D]. Returns float32[..., F]."""
        parts = [x[..., self.plain]] if len(self.plain) else []
        for image, net in zip(self.images, self.convolutions, strict=True):
            pixels = x[..., image.start : image.start + math.prod(image.shape)] * image.scale
            frames = pixels.reshape(-1, *image.shape)
            frames = frames.permute(0, 3, 1, 2) if image.channels_last else frames
            parts.append(net(frames).reshape(*x.shape[:-1], -1))
        return torch.cat(parts, -1)


def _channels_first(image: Picture) -> tuple[int, int, int]:
    a, b, c = image.shape
    return (c, a, b) if image.channels_last else image.shape


def convolutions(shape: tuple[int, int, int], width: int, generator: Generator, plan: Layers) -> nn.Sequential:
    """Convolutions on float32[B, C, H, W] and a layer of `width`; smaller kernels below 36 pixels.

    Weights are orthogonal with gain √2; biases are zero.
    """
    channels, height, wide = shape
    layers: list[nn.Module] = []
    for filters, kernel, stride in plan if min(height, wide) >= 36 else _TINY:
        layers += [orthogonal(nn.Conv2d(channels, filters, kernel, stride, device="meta"), math.sqrt(2), generator)]
        layers += [nn.ReLU()]
        channels, height, wide = filters, (height - kernel) // stride + 1, (wide - kernel) // stride + 1
    flat = nn.Linear(channels * height * wide, width, device="meta")
    return nn.Sequential(*layers, nn.Flatten(), orthogonal(flat, math.sqrt(2), generator), nn.ReLU())


def orthogonal(layer: nn.Module, gain: float, generator: Generator) -> nn.Module:
    """The layer, made on the "meta" device, with its numbers: this way the global generator is left alone."""
    layer = layer.to_empty(device="cpu")
    nn.init.orthogonal_(cast(Tensor, layer.weight), gain, generator)
    nn.init.zeros_(cast(Tensor, layer.bias))
    return layer


class Own(nn.Module):
    """A user's module on observations of their own shape: what Stable-Baselines3 calls a features extractor."""

    def __init__(self, name: str, space: spaces.Box, seed: int) -> None:
        """name: "module:Class". The class takes the observation space (flattened, if it is a Dict or Tuple) and has
        `features_dim`, the length of what it makes of one observation. Raises ConfigError if it does not."""
        super().__init__()
        self.shape = space.shape
        module, _, attribute = name.partition(":")
        try:
            with torch.random.fork_rng(devices=[]):  # it initializes itself from the global generator
                torch.manual_seed(seed)
                self.inner: nn.Module = getattr(importlib.import_module(module), attribute)(space)
                self.size = int(cast(int, self.inner.features_dim))
                made = self.forward(torch.zeros(2, math.prod(self.shape)))
        except Exception as error:
            raise ConfigError(
                f"network {name} cannot be used: {type(error).__name__}: {error}; it must be a torch module that takes "
                "the observation space and has features_dim, as Stable-Baselines3's features extractors"
            ) from error
        if made.shape != (2, self.size):
            raise ConfigError(f"network {name} made {tuple(made.shape)} of 2 observations; expected (2, {self.size})")

    def describe(self) -> str:
        return f"{type(self.inner).__module__}:{type(self.inner).__name__}"

    def forward(self, x: Tensor) -> Tensor:
        """x: float32[..., D]. Returns float32[..., F]."""
        made: Tensor = self.inner(x.reshape(-1, *self.shape))
        return made.reshape(*x.shape[:-1], -1)


class Memory(nn.Module):
    """A gated recurrent unit: h_t = GRU(x_t, h_{t−1}), from 0 where an episode begins. Source: Cho et al. 2014."""

    def __init__(self, inputs: int, size: int, generator: Generator) -> None:
        super().__init__()
        self.size = size
        self.cell = nn.GRUCell(inputs, size, device="meta").to_empty(device="cpu")
        for weight in (self.cell.weight_ih, self.cell.weight_hh):
            for gate in weight.data.chunk(3):
                nn.init.orthogonal_(gate, 1.0, generator)
        for bias in (self.cell.bias_ih, self.cell.bias_hh):
            nn.init.zeros_(bias)

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """x: float32[T, N, D]. Returns h, float32[T, N, H]."""
        h, rows = past.state, list[Tensor]()
        for t in range(len(x)):
            if t:
                h = h.masked_fill(past.ended[t - 1, :, None], 0.0)
            h = self.cell(x[t], h)
            rows.append(h)
        return torch.stack(rows)
