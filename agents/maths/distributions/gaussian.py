"""Distributions over real actions: `DiagonalGaussian`, `TanhGaussian`, `BoundedGaussian`."""

from dataclasses import InitVar, dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Generator, Tensor

from agents.maths import information
from agents.maths.distributions.base import check_shape
from agents.maths.information.checks import check_broadcast, check_numbers, check_vectors


@dataclass(frozen=True, eq=False)
class DiagonalGaussian:
    """N(μ, diag σ²). mean, log_std: float[..., A] of one shape. Raises ValueError on NaN, infinity, unequal shapes."""

    mean: Tensor
    log_std: Tensor
    validate: InitVar[bool] = True

    def __post_init__(self, validate: bool) -> None:
        if validate:
            _check_gaussian(self.mean, self.log_std)

    @property
    def raw(self) -> Tensor:
        """(μ, ln σ), concatenated: float[..., 2A]."""
        return torch.cat([self.mean, self.log_std], -1)

    def sample(self, generator: Generator) -> Tensor:
        """x = μ + σ ε, ε ~ N(0, 1), float[..., A]; not differentiable in μ and σ."""
        noise = torch.randn(self.mean.shape, generator=generator, device=self.mean.device, dtype=self.mean.dtype)
        return (self.mean + self.log_std.exp() * noise).detach()

    def mode(self) -> Tensor:
        return self.mean

    def log_prob(self, action: Tensor) -> Tensor:
        """ln density. action: float[..., A]. Raises ValueError if its shape differs from that of the mean."""
        check_shape(action, self.mean.shape)
        return information.gaussian_log_prob(action, self.mean, self.log_std, validate=False)

    def entropy(self) -> Tensor:
        return information.gaussian_entropy(self.log_std, validate=False)

    def kl(self, other: Self) -> Tensor:
        """KL(self‖other), float[...]. Raises ValueError if the numbers of actions differ."""
        check_broadcast(1, mean=self.mean, other_mean=other.mean)
        return information.gaussian_kl(self.mean, self.log_std, other.mean, other.log_std, validate=False)

    def js(self, other: Self) -> Tensor:
        """Raises NotImplementedError: no closed form exists."""
        raise _no_js("Gaussians")


@dataclass(frozen=True, eq=False)
class TanhGaussian:
    """a = tanh(u), u ~ N(μ, diag σ²): actions inside (−1, 1). mean, log_std: float[..., A] of one shape, those of u.

    Raises ValueError as `DiagonalGaussian` does.
    """

    mean: Tensor
    log_std: Tensor
    validate: InitVar[bool] = True

    def __post_init__(self, validate: bool) -> None:
        if validate:
            _check_gaussian(self.mean, self.log_std)

    @cached_property
    def inner(self) -> DiagonalGaussian:
        """The distribution of u."""
        return DiagonalGaussian(self.mean, self.log_std, validate=False)

    @property
    def raw(self) -> Tensor:
        return self.inner.raw

    def sample(self, generator: Generator) -> Tensor:
        return self.inner.sample(generator).tanh()

    def mode(self) -> Tensor:
        """tanh(μ), the median, as the deterministic action. The density itself may peak at ±1."""
        return self.mean.tanh()

    def log_prob(self, action: Tensor) -> Tensor:
        """ln N(u; μ, σ²) − Σ ln(1 − a²), u = atanh(a). action: float[..., A] in [−1, 1].

        An action rounded to ±1 counts as the nearest number inside. Raises ValueError outside [−1, 1], and on another
        shape.
        """
        check_shape(action, self.mean.shape)
        if not bool((action.abs() <= 1).all()):
            raise ValueError("action holds a value outside [−1, 1], where a tanh-squashed Gaussian has no density")
        limit = 1 - torch.finfo(action.dtype).eps / 2
        u = action.clamp(-limit, limit).atanh()
        return self.inner.log_prob(u) - information.log_tanh_slope(u).sum(-1)

    def entropy(self) -> Tensor:
        """H(u) + Σ E[ln(1 − tanh²u)], by quadrature: no closed form exists. See `information.tanh_gaussian_entropy`."""
        return information.tanh_gaussian_entropy(self.mean, self.log_std, validate=False)

    def kl(self, other: Self) -> Tensor:
        """KL of the distributions of u: a bijection does not change it."""
        return self.inner.kl(other.inner)

    def js(self, other: Self) -> Tensor:
        """Raises NotImplementedError: no closed form exists."""
        raise _no_js("tanh-squashed Gaussians")


@dataclass(frozen=True, eq=False)
class BoundedGaussian:
    """a = l + (h − l) (tanh(u) + 1)/2, u ~ N(μ, diag σ²): actions inside (l, h).

    A `TanhGaussian` in other units. mean, log_std: float[..., A], those of u; low, high: float[A], finite. Raises
    ValueError unless low < high, and as `TanhGaussian` does.
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
        """The distribution in units whose bounds are −1 and 1."""
        return TanhGaussian(self.mean, self.log_std, validate=False)

    @cached_property
    def half(self) -> Tensor:
        return (self.high - self.low) / 2

    @property
    def raw(self) -> Tensor:
        return self.inner.raw

    def scaled(self, unit: Tensor) -> Tensor:
        """Maps [−1, 1] to the bounds; the clamp is for rounding."""
        return (self.low + self.half * (unit + 1)).clamp(self.low, self.high)

    def sample(self, generator: Generator) -> Tensor:
        return self.scaled(self.inner.sample(generator))

    def mode(self) -> Tensor:
        """The median, as the deterministic action."""
        return self.scaled(self.inner.mode())

    def log_prob(self, action: Tensor) -> Tensor:
        """ln density in units of the action. Raises ValueError if an action is outside the bounds."""
        check_shape(action, self.mean.shape)
        if not bool(((action >= self.low) & (action <= self.high)).all()):
            raise ValueError("action lies outside the bounds, where the density is 0")
        unit = ((action - self.low) / self.half - 1).clamp(-1, 1)
        return self.inner.log_prob(unit) - self.half.log().sum(-1)

    def entropy(self) -> Tensor:
        return self.inner.entropy() + self.half.log().sum(-1)

    def kl(self, other: Self) -> Tensor:
        """KL of the distributions of u: a bijection does not change it. Both must have the same bounds."""
        return self.inner.kl(other.inner)

    def js(self, other: Self) -> Tensor:
        """Raises NotImplementedError: no closed form exists."""
        return self.inner.js(other.inner)


def _check_gaussian(mean: Tensor, log_std: Tensor) -> None:
    if mean.shape != log_std.shape:
        raise ValueError(f"mean {tuple(mean.shape)} and log_std {tuple(log_std.shape)} differ in shape")
    check_vectors("mean", mean)
    check_numbers("mean", mean)
    check_numbers("log_std", log_std)


def _no_js(what: str) -> NotImplementedError:
    return NotImplementedError(
        f"the JS divergence of {what} has no closed form; use kl, which has one, or average "
        "ln 2 − softplus(±(ln q − ln p)) over samples of both"
    )
