"""Diagonal Gaussians N(μ, diag σ²) from mean and log-std, float[..., A]. The JS divergence has no closed form."""

import math
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.maths.information.checks import Reduction, check_broadcast, check_numbers, finish
from agents.maths.information.numerics import phi

Array = NDArray[np.float64]
_NODES = 64  # nodes of each quadrature
REACH = 20.0  # upper limit of integration; log1p(e^{−2u}) is below 1e-17 beyond


def gaussian_entropy(
    log_std: Tensor, *, base: float = math.e, reduction: Reduction = "none", validate: bool = True
) -> Tensor:
    """H = Σ [ln σ + ½ (1 + ln 2π)]: differential entropy, which may be negative.

    log_std: float[..., A]. Returns float[...]. Raises ValueError on NaN and infinity.
    """
    if validate:
        check_numbers("log_std", log_std)
    wide = (log_std.double() + 0.5 * (1 + math.log(2 * math.pi))).sum(-1)  # float64, because the terms may cancel
    return finish(wide.to(log_std.dtype), base, reduction)


def gaussian_kl(
    p_mean: Tensor, p_log_std: Tensor, q_mean: Tensor, q_log_std: Tensor,
    *, base: float = math.e, reduction: Reduction = "none", validate: bool = True,
) -> Tensor:  # fmt: skip
    """KL(p‖q) = ½ Σ [φ(2 (ln σ_p − ln σ_q)) + ((μ_p − μ_q)/σ_q)²], φ(x) = eˣ − 1 − x.

    All float[..., A], which broadcast. Returns float[...] ≥ 0, exactly 0 for p = q: no ε, no variances.
    A σ_q below e⁻³⁵⁰ counts as e⁻³⁵⁰ in the second term. Raises ValueError on NaN, infinity and unequal shapes.
    """
    if validate:
        _check(p_mean=p_mean, p_log_std=p_log_std, q_mean=q_mean, q_log_std=q_log_std)
    spread = phi(2 * (p_log_std.double() - q_log_std.double()))
    scale = (-q_log_std.double()).clamp_max(350.0).exp()  # avoids 0 · ∞, also after squaring
    shift = ((p_mean.double() - q_mean.double()) * scale).square()
    dtype = torch.result_type(p_mean + p_log_std, q_mean + q_log_std)
    return finish((0.5 * (spread + shift).sum(-1)).to(dtype), base, reduction)


def gaussian_log_prob(
    value: Tensor, mean: Tensor, log_std: Tensor,
    *, base: float = math.e, reduction: Reduction = "none", validate: bool = True,
) -> Tensor:  # fmt: skip
    """ln N(x; μ, σ²) = −Σ [½ ((x − μ)/σ)² + ln σ + ½ ln 2π]. All float[..., A], which broadcast. Returns float[...].

    Computed in the input's dtype. A σ below e⁻⁸⁷ (in float64, e⁻⁷⁰⁸) counts as that in the first term. Raises
    ValueError on NaN, infinity and shapes that do not fit.
    """
    if validate:
        _check(value=value, mean=mean, log_std=log_std)
    z = (value - mean) * (-log_std).clamp_max(math.log(torch.finfo(log_std.dtype).max) - 1).exp()  # avoids 0 · ∞
    return finish(-(0.5 * z.square() + log_std + 0.5 * math.log(2 * math.pi)).sum(-1), base, reduction)


def tanh_gaussian_entropy(
    mean: Tensor, log_std: Tensor, *, base: float = math.e, reduction: Reduction = "none", validate: bool = True
) -> Tensor:
    """H(tanh u) = H(u) + Σ E[ln(1 − tanh²u)], u ~ N(μ, σ²), by quadrature to a relative 1e-9 of |H(u)| + |E|.

    mean, log_std: float[..., A], those of u, which broadcast. Returns float[...], at most A ln 2. Gauss-Hermite for
    σ ≤ 1; for σ > 1, 2 ln 2 − 2 E|u| in closed form plus −2 E[log1p(e^{−2|u|})], which is bounded, by Gauss-Legendre.
    Raises ValueError on NaN, infinity and shapes that do not fit.
    """
    if validate:
        _check(mean=mean, log_std=log_std)
    mu, std = mean.double(), log_std.double().exp()
    narrow, wide = std.clamp_max(1.0), std.clamp_min(1.0)
    slope = torch.where(std <= 1, _expected_slope_narrow(mu, narrow), _expected_slope_wide(mu, wide))
    inside = gaussian_entropy(log_std.double(), validate=False) + slope.sum(-1)
    return finish(inside.to(mean.dtype), base, reduction)


def log_tanh_slope(u: Tensor) -> Tensor:
    """ln(1 − tanh²u) = −log1p(sinh²u) = 2 (ln 2 − |u| − log1p(e^{−2|u|})), elementwise, accurate for any u."""
    small, size = u.abs() < 1, u.abs()
    near = -u.where(small, 0.0).sinh().square().log1p()
    return torch.where(small, near, 2 * (math.log(2) - size - (-2 * size).exp().log1p()))


def _expected_slope_narrow(mean: Tensor, std: Tensor) -> Tensor:
    node, weight = (torch.from_numpy(x).to(mean.device) for x in hermite())
    values = log_tanh_slope(mean.unsqueeze(-1) + std.unsqueeze(-1) * node)
    return (values * weight).sum(-1) / math.sqrt(2 * math.pi)


def _expected_slope_wide(mean: Tensor, std: Tensor) -> Tensor:
    z = mean / std
    size = std * math.sqrt(2 / math.pi) * (-0.5 * z.square()).exp() + mean * torch.erf(z / math.sqrt(2))  # E|u|
    node, weight = (torch.from_numpy(x).to(mean.device) for x in legendre())
    u = REACH / 2 * (node + 1)
    density = sum((-0.5 * ((sign * u - mean.unsqueeze(-1)) / std.unsqueeze(-1)).square()).exp() for sign in (1, -1))
    rest = ((-2 * u).exp().log1p() * density * weight).sum(-1) * (REACH / 2) / (std * math.sqrt(2 * math.pi))
    return 2 * (math.log(2) - size - rest)


@cache
def hermite() -> tuple[Array, Array]:
    """Nodes and weights for E[f(ε)] = Σ w f(x) / √(2π), ε ~ N(0, 1)."""
    return np.polynomial.hermite_e.hermegauss(_NODES)


@cache
def legendre() -> tuple[Array, Array]:
    """Nodes and weights for ∫ f = Σ w f(x) over [−1, 1]."""
    return np.polynomial.legendre.leggauss(_NODES)


def _check(**arguments: Tensor) -> None:
    """All are finite, last dimensions are equal, batches broadcast."""
    check_broadcast(1, **arguments)
    for name, argument in arguments.items():
        check_numbers(name, argument)
