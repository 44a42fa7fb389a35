"""The interface of all action distributions."""

from typing import Protocol, Self

import torch
from torch import Generator, Tensor


class Distribution(Protocol):
    """A batch of action distributions; `raw` are the parameters that a rollout stores, float[..., P]."""

    @property
    def raw(self) -> Tensor: ...
    def sample(self, generator: Generator) -> Tensor: ...
    def mode(self) -> Tensor: ...
    def log_prob(self, action: Tensor) -> Tensor: ...
    def entropy(self) -> Tensor: ...
    def kl(self, other: Self) -> Tensor: ...
    def js(self, other: Self) -> Tensor: ...


def check_shape(action: Tensor, expected: torch.Size) -> None:
    if action.shape != expected:
        raise ValueError(f"action has shape {tuple(action.shape)}, the distribution expects {tuple(expected)}")
