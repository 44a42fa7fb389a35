"""Encoders before the hidden layers: convolutions for images, a user's module, a recurrent layer."""

import importlib
import math
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from gymnasium import spaces
from torch import Generator, Tensor, nn

from agents.settings.values import ConfigError
from envs.spaces import Space, channels_last, leaves

ConvLayers = tuple[tuple[int, int, int], ...]  # filters, kernel, stride of each layer

_CONV_LAYERS: dict[str, ConvLayers] = {  # by `network`
    "cnn": ((32, 8, 4), (64, 4, 2), (64, 3, 1)),  # Mnih et al. 2015, "NatureCNN"
    "small_cnn": ((16, 8, 4), (32, 4, 2)),  # Mnih et al. 2013, and 2016 for A3C: a third of the work
}

_SMALL_IMAGE_LAYERS: ConvLayers = ((32, 3, 1), (64, 3, 2))  # below 36 pixels, where the kernels above do not fit
_MIN_PIXELS = 5  # a smaller array is not taken for an image
_Layer = TypeVar("_Layer", nn.Linear, nn.Conv2d)


class ImagePart(NamedTuple):
    """Where an image lies in a flat observation, and its layout."""

    start: int
    shape: tuple[int, int, int]  # as the environment gives it; a gray [H, W] is [1, H, W]
    channels_last: bool
    scale: float  # to [0, 1]

    @property
    def stop(self) -> int:
        return self.start + math.prod(self.shape)


def image_parts(space: Space, network: str) -> list[ImagePart]:
    """The images in an observation space: Boxes [H, W], [H, W, C] or [C, H, W] of at least 5 × 5 pixels.

    network: "auto" takes the uint8 ones, "cnn" and "small_cnn" take all, any other network takes none. Where the
    channels are is decided by `envs.spaces.channels_last`.
    """
    images, start = list[ImagePart](), 0
    for leaf in leaves(space):
        if isinstance(leaf, spaces.Box) and len(leaf.shape) in (2, 3):
            a, b, c = leaf.shape if len(leaf.shape) == 3 else (1, *leaf.shape)
            last = channels_last((a, b, c))
            large = min((a, b) if last else (b, c)) >= _MIN_PIXELS
            if large and (network in _CONV_LAYERS or (network == "auto" and leaf.dtype in (np.uint8, np.bool_))):
                images.append(ImagePart(start, (a, b, c), last, _scale(leaf)))
        start += spaces.flatdim(leaf)
    return images


def _scale(space: spaces.Box) -> float:
    high = float(np.max(space.high))
    return 1 / high if space.dtype == np.uint8 and high > 0 else 1.0


def non_image_mask(images: list[ImagePart], size: int) -> Tensor:
    """bool[size]: which numbers of a flat observation belong to no image."""
    mask = torch.ones(size, dtype=torch.bool)
    for image in images:
        mask[image.start : image.stop] = False
    return mask


class ImageEncoder(nn.Module):
    """A CNN per image, with a last layer of `width` units; its outputs are concatenated with all other numbers."""

    def __init__(self, images: list[ImagePart], size: int, width: int, generator: Generator, network: str) -> None:
        """size: of the flat observation; network: as in `image_parts`."""
        super().__init__()
        self.images = images
        mask = non_image_mask(images, size)
        self.plain: Tensor
        self.register_buffer("plain", mask.nonzero().squeeze(-1), persistent=False)
        layers = _CONV_LAYERS["cnn" if network == "auto" else network]
        self.convolutions = nn.ModuleList(_cnn(_channels_first(image), width, generator, layers) for image in images)
        self.size = int(mask.sum()) + width * len(images)

    def describe(self) -> str:
        """A short text for the run's header."""
        sizes = ", ".join(" × ".join(map(str, image.shape)) for image in self.images)
        return f"convolutions of images {sizes}"

    def forward(self, x: Tensor) -> Tensor:
        """x: float32[..., D]. Returns float32[..., F]."""
        parts = [x[..., self.plain]] if len(self.plain) else []
        for image, cnn in zip(self.images, self.convolutions, strict=True):
            pixels = x[..., image.start : image.stop] * image.scale
            frames = pixels.reshape(-1, *image.shape)
            frames = frames.permute(0, 3, 1, 2) if image.channels_last else frames
            parts.append(cnn(frames).reshape(*x.shape[:-1], -1))
        return torch.cat(parts, -1)


def _channels_first(image: ImagePart) -> tuple[int, int, int]:
    a, b, c = image.shape
    return (c, a, b) if image.channels_last else image.shape


def _cnn(shape: tuple[int, int, int], width: int, generator: Generator, plan: ConvLayers) -> nn.Sequential:
    """Convolutions on float32[B, C, H, W] and a linear layer of `width`; smaller kernels below 36 pixels.

    Weights are orthogonal with gain √2; biases are zero.
    """
    channels, height, wide = shape
    layers: list[nn.Module] = []
    for filters, kernel, stride in plan if min(height, wide) >= 36 else _SMALL_IMAGE_LAYERS:
        layers += [orthogonal(nn.Conv2d(channels, filters, kernel, stride, device="meta"), math.sqrt(2), generator)]
        layers += [nn.ReLU()]
        channels, height, wide = filters, (height - kernel) // stride + 1, (wide - kernel) // stride + 1
    flat = nn.Linear(channels * height * wide, width, device="meta")
    return nn.Sequential(*layers, nn.Flatten(), orthogonal(flat, math.sqrt(2), generator), nn.ReLU())


def orthogonal(layer: _Layer, gain: float, generator: Generator) -> _Layer:
    """Initializes a layer from the "meta" device, without the global generator: orthogonal weight, zero bias."""
    layer = layer.to_empty(device="cpu")
    nn.init.orthogonal_(layer.weight, gain, generator)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def sparse(layer: nn.Linear, sparsity: float, generator: Generator) -> nn.Linear:
    """Initializes a layer from the "meta" device: w ~ U(±1/√n), n inputs, of which ⌈sparsity · n⌉ have weight 0.

    Each unit draws its own zeros; biases are zero. Where all n are zero (n ≤ 9 at a sparsity of 0.9), the layer starts
    at zero and still learns. Source: Elsayed, Vasan & Mahmood 2024, "Streaming deep reinforcement learning finally
    works", SparseInit.
    """
    layer = layer.to_empty(device="cpu")
    inputs = layer.in_features
    nn.init.uniform_(layer.weight, -1 / math.sqrt(inputs), 1 / math.sqrt(inputs), generator)
    order = torch.rand(layer.weight.shape, generator=generator).argsort(-1)
    with torch.no_grad():
        layer.weight.scatter_(-1, order[:, : math.ceil(sparsity * inputs)], 0.0)
    nn.init.zeros_(layer.bias)
    return layer


class CustomModule(nn.Module):
    """A user's module on unflattened observations: what Stable-Baselines3 calls a features extractor."""

    def __init__(self, name: str, space: spaces.Box, seed: int) -> None:
        """name: "module:Class". The class is called with the observation space (flat, if it was a Dict or Tuple) and
        has `features_dim`, the number of features per observation.

        Raises ConfigError if it cannot be imported, built or called.
        """
        super().__init__()
        self.shape = space.shape
        module, _, attribute = name.partition(":")
        try:
            with torch.random.fork_rng(devices=[]):  # the module initializes itself from the global generator
                torch.manual_seed(seed)
                built = getattr(importlib.import_module(module), attribute)(space)
                self.inner: nn.Module = built
                self.size = int(built.features_dim)
                features = self.forward(torch.zeros(2, math.prod(self.shape)))
        except Exception as error:
            raise ConfigError(
                f"network {name} cannot be used: {type(error).__name__}: {error}; it must be a torch module that takes "
                "the observation space and has features_dim, as Stable-Baselines3's features extractors"
            ) from error
        if features.shape != (2, self.size):
            raise ConfigError(
                f"network {name} returned shape {tuple(features.shape)} for 2 observations; expected (2, {self.size})"
            )

    def describe(self) -> str:
        """A short text for the run's header."""
        return f"{type(self.inner).__module__}:{type(self.inner).__name__}"

    def forward(self, x: Tensor) -> Tensor:
        """x: float32[..., D]. Returns float32[..., F]."""
        features: Tensor = self.inner(x.reshape(-1, *self.shape))
        return features.reshape(*x.shape[:-1], -1)


class RecurrentInput(NamedTuple):
    """What a recurrent layer needs besides observations [T, N, …]."""

    state: Tensor  # float32[N, H], the hidden state before the first row
    ended: Tensor  # bool[T, N]; the hidden state is reset to 0 after a row where an episode ended


class GRU(nn.Module):
    """A gated recurrent unit: h_t = GRU(x_t, h_{t−1}), with h = 0 before an episode. Source: Cho et al. 2014."""

    def __init__(self, inputs: int, size: int, generator: Generator) -> None:
        super().__init__()
        self.size = size
        self.cell = nn.GRUCell(inputs, size, device="meta").to_empty(device="cpu")
        for weight in (self.cell.weight_ih, self.cell.weight_hh):
            for gate in weight.data.chunk(3):
                nn.init.orthogonal_(gate, 1.0, generator)
        for bias in (self.cell.bias_ih, self.cell.bias_hh):
            nn.init.zeros_(bias)

    def forward(self, x: Tensor, recurrent: RecurrentInput) -> Tensor:
        """x: float32[T, N, D]. Returns h, float32[T, N, H]."""
        h, rows = recurrent.state, list[Tensor]()
        for t in range(len(x)):
            if t:
                h = h.masked_fill(recurrent.ended[t - 1, :, None], 0.0)
            h = self.cell(x[t], h)
            rows.append(h)
        return torch.stack(rows)


def single_step(state: Tensor) -> RecurrentInput:
    """For one row in which no episode ends. state: float32[N, H]."""
    return RecurrentInput(state, torch.zeros(1, len(state), dtype=torch.bool))
