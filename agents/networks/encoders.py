"""Encoders before the hidden layers: convolutions for images, a user's module, a recurrent layer."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

import numpy as np
import torch
from gymnasium import spaces
from torch import Generator, Tensor, nn

from agents.networks.initial import initialized, on_cpu
from agents.settings.actor_critic import Network
from agents.settings.importable import imported
from agents.settings.values import ConfigError
from envs.spaces import Space, image_layout, leaves

ConvLayers = tuple[tuple[int, int, int], ...]  # filters, kernel, stride of each layer

_CONV_LAYERS: dict[str, ConvLayers] = {  # `network` → layers
    "cnn": ((32, 8, 4), (64, 4, 2), (64, 3, 1)),  # Mnih et al. 2015, "NatureCNN"
    "small_cnn": ((16, 8, 4), (32, 4, 2)),  # Mnih et al. 2013, and 2016 for A3C: a third of the work
}

_SMALL_IMAGE_LAYERS: ConvLayers = ((32, 3, 1), (64, 3, 2))  # below 36 pixels, where the kernels above do not fit
_MIN_PIXELS = 5  # smaller arrays do not count as images


class ImagePart(NamedTuple):
    """Where an image lies in a flat observation, and its layout."""

    start: int
    shape: tuple[int, int, int]  # as the environment gives it; a gray [H, W] is [1, H, W]
    channels_last: bool
    scale: float  # factor to [0, 1]

    @property
    def stop(self) -> int:
        return self.start + math.prod(self.shape)

    @property
    def channels_first(self) -> tuple[int, int, int]:
        """[C, H, W]."""
        a, b, c = self.shape
        return (c, a, b) if self.channels_last else self.shape

    def frames(self, x: Tensor) -> Tensor:
        """The image, scaled to [0, 1]. x: float32[..., D], flat observations. Returns float32[B, C, H, W]."""
        pixels = (x[..., self.start : self.stop] * self.scale).reshape(-1, *self.shape)
        return pixels.permute(0, 3, 1, 2) if self.channels_last else pixels


def image_parts(space: Space, network: Network) -> list[ImagePart]:
    """The images in an observation space: Boxes [H, W], [H, W, C] or [C, H, W] of at least 5 × 5 pixels.

    network: "cnn" and "small_cnn" use all, "mlp" none, "auto" and a custom network the uint8 ones. For the position of
    the channels, see `envs.spaces.image_layout`.
    """
    images, start = list[ImagePart](), 0
    for leaf in leaves(space):
        if isinstance(leaf, spaces.Box) and (layout := image_layout(leaf)) != "no image":
            a, b, c = (1, *leaf.shape) if layout == "gray" else leaf.shape
            last = layout == "channels last"
            large = min((a, b) if last else (b, c)) >= _MIN_PIXELS
            if large and (network in _CONV_LAYERS or (network != "mlp" and leaf.dtype in (np.uint8, np.bool_))):
                images.append(ImagePart(start, (a, b, c), last, _scale(leaf)))
        start += spaces.flatdim(leaf)
    return images


def _scale(space: spaces.Box) -> float:
    high = float(np.max(space.high))
    return 1 / high if space.dtype == np.uint8 and high > 0 else 1.0


def non_image_mask(images: list[ImagePart], size: int) -> Tensor:
    """bool[size]: which numbers of a flat observation do not belong to an image."""
    mask = torch.ones(size, dtype=torch.bool)
    for image in images:
        mask[image.start : image.stop] = False
    return mask


class ImageEncoder(nn.Module):
    """A CNN per image, with a last layer of `width` units; its outputs are concatenated with all other numbers."""

    def __init__(
        self, images: list[ImagePart], size: int, width: int, generator: Generator, network: str,
        gain: float | None = math.sqrt(2),
    ) -> None:  # fmt: skip
        """size: of the flat observation; network: as in `image_parts`; gain: for `initialized`."""
        super().__init__()
        self.images = images
        mask = non_image_mask(images, size)
        self.plain: Tensor
        self.register_buffer("plain", mask.nonzero().squeeze(-1), persistent=False)
        layers = _CONV_LAYERS["cnn" if network == "auto" else network]
        shapes = [image.channels_first for image in images]
        self.convolutions = nn.ModuleList(_cnn(shape, width, generator, layers, gain) for shape in shapes)
        self.size = int(mask.sum()) + width * len(images)

    def describe(self) -> str:
        """A short text for the run's header."""
        sizes = [
            f"{' × '.join(map(str, image.shape))} (channels {'last' if image.channels_last else 'first'})"
            for image in self.images
        ]
        return f"convolutions of images {', '.join(sizes)}"

    def forward(self, x: Tensor) -> Tensor:
        """x: float32[..., D]. Returns float32[..., F]."""
        parts = [x[..., self.plain]] if len(self.plain) else []
        for image, cnn in zip(self.images, self.convolutions, strict=True):
            parts.append(cnn(image.frames(x)).reshape(*x.shape[:-1], -1))
        return torch.cat(parts, -1) if len(parts) > 1 else parts[0]


def _cnn(
    shape: tuple[int, int, int], width: int, generator: Generator, plan: ConvLayers, gain: float | None
) -> nn.Sequential:
    """Convolutions on float32[B, C, H, W] and a linear layer of `width`; smaller kernels below 36 pixels."""
    channels, height, wide = shape
    layers: list[nn.Module] = []
    for filters, kernel, stride in plan if min(height, wide) >= 36 else _SMALL_IMAGE_LAYERS:
        layers += [initialized(nn.Conv2d(channels, filters, kernel, stride, device="meta"), gain, generator)]
        layers += [nn.ReLU()]
        channels, height, wide = filters, (height - kernel) // stride + 1, (wide - kernel) // stride + 1
    flat = nn.Linear(channels * height * wide, width, device="meta")
    network = nn.Sequential(*layers, nn.Flatten(), initialized(flat, gain, generator), nn.ReLU())
    for layer in layers:
        layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # 320 rows: half the time on a CPU
    return network


def _make_orthogonal(module: nn.Module) -> None:
    """Weights of linear layers and convolutions orthogonal with gain √2, biases zero, from the global generator."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.orthogonal_(layer.weight, math.sqrt(2))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class CustomModule(nn.Module):
    """A user's module on unflattened observations, like Stable-Baselines3's features extractor.

    As in Stable-Baselines3, observations that are an image arrive as [C, H, W], scaled to [0, 1].
    """

    def __init__(
        self, network: Network, kwargs: Mapping[str, object], space: spaces.Box, image: ImagePart | None, seed: int,
        ortho_init: bool,
    ) -> None:  # fmt: skip
        """network: a class, or "module:Class". It is called with the observation space (flat, if it was a Dict or
        Tuple; [C, H, W], if observations are an image) and kwargs, and has `features_dim`, the number of features per
        observation. ortho_init: whether its linear layers and convolutions start orthogonal, as in Stable-Baselines3.

        Raises ConfigError if it cannot be imported, built or called.
        """
        super().__init__()
        self.shape, self.image = space.shape, image
        if image is not None:
            space = spaces.Box(0, round(1 / image.scale), image.channels_first, np.uint8)
        name = network if isinstance(network, str) else getattr(network, "__qualname__", repr(network))
        try:
            with torch.random.fork_rng(devices=[]):  # the module initializes itself from the global generator
                torch.manual_seed(seed)
                build = cast(Callable[..., nn.Module], imported(network) if isinstance(network, str) else network)
                built = build(space, **kwargs)
                self.inner: nn.Module = built.eval()  # the check below must not change statistics
                if ortho_init:
                    _make_orthogonal(built)
                self.size = int(cast(int, built.features_dim))
                features = self(torch.zeros(2, math.prod(self.shape)))
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
        given = x.reshape(-1, *self.shape) if self.image is None else self.image.frames(x)
        features: Tensor = self.inner(given)
        return features.reshape(*x.shape[:-1], -1)


class RecurrentInput(NamedTuple):
    """What a recurrent layer needs in addition to observations [T, N, …]."""

    state: Tensor  # float32[N, H], the hidden state before the first row
    ended: Tensor  # bool[T, N]; the hidden state is reset to 0 after a row where an episode ended


class GRU(nn.Module):
    """A gated recurrent unit: h_t = GRU(x_t, h_{t−1}), with h = 0 before an episode. Source: Cho et al. 2014."""

    def __init__(self, inputs: int, size: int, generator: Generator, ortho_init: bool = True) -> None:
        super().__init__()
        self.size = size
        self.cell = on_cpu(nn.GRUCell(inputs, size, device="meta"))
        if not ortho_init:  # torch's default
            for parameter in self.cell.parameters():
                nn.init.uniform_(parameter, -1 / math.sqrt(size), 1 / math.sqrt(size), generator)
            return
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
    """The recurrent input for one row without an episode's end. state: float32[N, H]."""
    return RecurrentInput(state, torch.zeros(1, len(state), dtype=torch.bool, device=state.device))
