"""A distribution over real actions between two bounds: `BoundedGaussian`."""

from dataclasses import InitVar, dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Generator, Tensor

from rl.distributions.continuous import TanhGaussian
from rl.distributions.protocol import check_shape


@dataclass(frozen=True, eq=False)
class BoundedGaussian:
    """a = l + (h − l) (tanh(u) + 1)/2, u ~ N(μ, diag σ²): actions inside (l, h).

    mean, log_std: float[..., A], those of u; low, high: float[A], finite. Raises ValueError unless low < high, and as
    `TanhGaussian`, of which it is the image under a change of units.
    """

    mean: Tensor
    log_std: Tensor
    low: Tensor
    high: Tensor
    validate: InitVar[bool] = True

    def __post_init__(self, validate: bool) -> None:
        if validate:
            TanhGaussian(self.mean, self.log_std)
            check_shape(self.low, self.mean.shape[-1:])
            check_shape(self.high, self.mean.shape[-1:])
            if not bool((self.low < self.high).all() & torch.isfinite(self.high - self.low).all()):
                raise ValueError("low must lie below high, both finite")

    @cached_property
    def inner(self) -> TanhGaussian:
        """The distribution in units where the bounds are −1 and 1."""
        return TanhGaussian(self.mean, self.log_std, validate=False)

    @cached_property
    def half(self) -> Tensor:
        return (self.high - self.low) / 2

    @property
    def raw(self) -> Tensor:
        return self.inner.raw

    def scaled(self, unit: Tensor) -> Tensor:
        """From [−1, 1] to the bounds, which rounding would otherwise pass."""
        return (self.low + self.half * (unit + 1)).clamp(self.low, self.high)

    def sample(self, generator: Generator) -> Tensor:
        return self.scaled(self.inner.sample(generator))

    def mode(self) -> Tensor:
        """The median: what is used as the deterministic action."""
        return self.scaled(self.inner.mode())

    def log_prob(self, action: Tensor) -> Tensor:
        """ln density, in units of the action. Raises ValueError if an action lies outside the bounds."""
        check_shape(action, self.mean.shape)
        if not bool(((action >= self.low) & (action <= self.high)).all()):
            raise ValueError("action lies outside the bounds, where the density is 0")
        unit = ((action - self.low) / self.half - 1).clamp(-1, 1)
        return self.inner.log_prob(unit) - self.half.log().sum(-1)

    def entropy(self) -> Tensor:
        return self.inner.entropy() + self.half.log().sum(-1)

    def kl(self, other: Self) -> Tensor:
        """That of u: a bijection changes no KL divergence. Both must have the same bounds."""
        return self.inner.kl(other.inner)

    def js(self, other: Self) -> Tensor:
        """Raises NotImplementedError: no closed form exists."""
        return self.inner.js(other.inner)
