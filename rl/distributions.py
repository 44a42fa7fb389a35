"""Policies' action distributions: immutable, thin over `rl.information`, sampled from explicit generators."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, Self

import torch
from torch import Generator, Tensor

from rl import information


class Distribution(Protocol):
    """A batch of action distributions; `raw` holds the parameters that a rollout stores, float[..., P]."""

    @property
    def raw(self) -> Tensor: ...
    @classmethod
    def from_raw(cls, raw: Tensor) -> Self: ...
    def sample(self, generator: Generator) -> Tensor: ...
    def mode(self) -> Tensor: ...
    def log_prob(self, action: Tensor) -> Tensor: ...
    def entropy(self) -> Tensor: ...
    def kl(self, other: Self) -> Tensor: ...


@dataclass(frozen=True)
class Categorical:
    """p_i = e^{logit_i} / Σ e^{logit_j} over A actions. logits: float[..., A]; −inf forbids an action."""

    logits: Tensor

    @property
    def raw(self) -> Tensor:
        return self.logits

    @classmethod
    def from_raw(cls, raw: Tensor) -> Self:
        return cls(raw)

    @cached_property
    def log_p(self) -> Tensor:
        """Normalized log-probabilities, float[..., A]."""
        return information.log_softmax(self.logits)

    def sample(self, generator: Generator) -> Tensor:
        """Inverse CDF: one uniform number an action, int64[...]. An illegal action is never drawn."""
        cdf = self.log_p.exp().cumsum(-1)
        u = torch.rand(cdf.shape[:-1], generator=generator, device=cdf.device, dtype=cdf.dtype)
        return (cdf <= u.unsqueeze(-1) * cdf[..., -1:]).sum(-1)

    def mode(self) -> Tensor:
        return self.logits.argmax(-1)

    def log_prob(self, action: Tensor) -> Tensor:
        """ln p(a). action: int64[...]. Raises ValueError if its shape is not the batch shape."""
        _check_shape(action, self.logits.shape[:-1])
        return self.log_p.gather(-1, action.unsqueeze(-1)).squeeze(-1)

    def entropy(self) -> Tensor:
        return information.entropy_from_log_probs(self.log_p)

    def kl(self, other: Self) -> Tensor:
        """KL(self‖other), float[...]."""
        return information.kl_from_logits(self.logits, other.logits)


@dataclass(frozen=True)
class DiagonalGaussian:
    """N(μ, diag σ²). mean, log_std: float[..., A] of one shape."""

    mean: Tensor
    log_std: Tensor

    @property
    def raw(self) -> Tensor:
        """(μ, ln σ) side by side, float[..., 2A]."""
        return torch.cat([self.mean, self.log_std], -1)

    @classmethod
    def from_raw(cls, raw: Tensor) -> Self:
        return cls(*raw.chunk(2, -1))

    def sample(self, generator: Generator) -> Tensor:
        """x = μ + σ ε, ε ~ N(0, 1), float[..., A]; unbounded, and without a gradient."""
        noise = torch.randn(self.mean.shape, generator=generator, device=self.mean.device, dtype=self.mean.dtype)
        return (self.mean + self.log_std.exp() * noise).detach()

    def mode(self) -> Tensor:
        return self.mean

    def log_prob(self, action: Tensor) -> Tensor:
        """ln density. action: float[..., A]. Raises ValueError if its shape is not that of the mean."""
        _check_shape(action, self.mean.shape)
        return information.gaussian_log_prob(action, self.mean, self.log_std)

    def entropy(self) -> Tensor:
        return information.gaussian_entropy(self.log_std)

    def kl(self, other: Self) -> Tensor:
        """KL(self‖other), float[...]."""
        return information.gaussian_kl(self.mean, self.log_std, other.mean, other.log_std)


def _check_shape(action: Tensor, expected: torch.Size) -> None:
    if action.shape != expected:
        raise ValueError(f"action has shape {tuple(action.shape)}, the distribution expects {tuple(expected)}")
