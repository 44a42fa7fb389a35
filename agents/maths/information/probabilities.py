"""Information measures from probabilities, float[..., A], whose rows sum to 1.

0 ln 0 = 0. An infinite derivative at an entry of 0 is returned as 0, so that impossible events stay impossible. With
logits, prefer the *_from_logits functions: a probability near 1 has lost the digits of its complement.
"""

import math

import torch
from torch import Tensor

from agents.maths.information.checks import (
    Reduction,
    check_broadcast,
    check_numbers,
    check_probabilities,
    check_unit_interval,
    finish,
)
from agents.maths.information.numerics import NEAR, closed_form, phi, phi_series, psi_values


def self_information(
    p: Tensor, *, base: float = math.e, reduction: Reduction = "none", validate: bool = True
) -> Tensor:
    """I = −ln p, elementwise. p: float[...], one event each. Returns float[...]; +inf at 0.

    Raises ValueError where p is outside [0, 1].
    """
    if validate:
        check_unit_interval("p", p)
    return finish(_surprise(p), base, reduction)


def entropy(p: Tensor, *, base: float = math.e, reduction: Reduction = "none", validate: bool = True) -> Tensor:
    """H(p) = −Σ p ln p. p: float[..., A]. Returns float[...], 0 ≤ H ≤ ln A.

    Raises ValueError unless p is a distribution. Source: Shannon 1948.

    >>> entropy(torch.tensor([0.5, 0.25, 0.25]), base=2)
    tensor(1.5000)
    """
    if validate:
        check_probabilities("p", p)
    return finish(_entropy(p), base, reduction)


def cross_entropy(
    p: Tensor, q: Tensor, *, base: float = math.e, reduction: Reduction = "none", validate: bool = True
) -> Tensor:
    """H(p, q) = −Σ p ln q = H(p) + KL(p‖q). p, q: float[..., A], which broadcast.

    Returns float[...]; +inf where q = 0 < p. Raises ValueError unless p and q are distributions of compatible shapes.
    """
    if validate:
        _check_pair(p, q)
    return finish(_cross_entropy(p, q), base, reduction)


def kl(p: Tensor, q: Tensor, *, base: float = math.e, reduction: Reduction = "none", validate: bool = True) -> Tensor:
    """KL(p‖q) = Σ p ln(p/q), as Σ [p ln(p/q) − p + q]: the same where both sum to 1, and every term is ≥ 0.

    p, q: float[..., A], which broadcast. Returns float[...] ≥ 0; +inf where q = 0 < p. The derivatives are those of
    the second form, ln(p/q) and 1 − p/q. Raises ValueError as `cross_entropy` does.

    >>> kl(torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5]), base=2)
    tensor(1.)
    """
    if validate:
        _check_pair(p, q)
    return finish(_kl(p, q), base, reduction)


def js(p: Tensor, q: Tensor, *, base: float = math.e, reduction: Reduction = "none", validate: bool = True) -> Tensor:
    """JS(p, q) = ½ KL(p‖m) + ½ KL(q‖m), m = (p + q)/2; as ½ Σ m ψ((p − q)/(p + q)): symmetric, 0 ≤ JS ≤ ln 2.

    p, q: float[..., A], which broadcast. Returns float[...]. √JS is a metric. Raises as `cross_entropy` does.
    Source: Lin 1991; Endres & Schindelin 2003.
    """
    if validate:
        _check_pair(p, q)
    return finish(_js(p, q), base, reduction)


def mutual_information(
    joint: Tensor, *, base: float = math.e, reduction: Reduction = "none", validate: bool = True
) -> Tensor:
    """I(X; Y) = KL(p_xy ‖ p_x p_y). joint: float[..., X, Y], whose sum over X and Y is 1. Returns float[...] ≥ 0.

    Raises ValueError unless joint is a distribution over pairs.
    """
    if joint.ndim < 2:
        raise ValueError(f"joint has shape {tuple(joint.shape)}; a table of pairs needs two dimensions")
    if validate:
        check_probabilities("joint (its last two dimensions as one row)", joint.flatten(-2))
    wide = joint.double()
    product = wide.sum(-1, keepdim=True) * wide.sum(-2, keepdim=True)
    information = _kl(wide.flatten(-2), product.flatten(-2))
    return finish(information.to(joint.dtype), base, reduction)


def kl_k1(log_p: Tensor, log_q: Tensor, *, reduction: Reduction = "none", validate: bool = True) -> Tensor:
    """k1 = −ℓ, ℓ = ln q(x) − ln p(x) at samples x ~ p: unbiased for KL(p‖q), of either sign, of high variance.

    log_p, log_q: float[...], which broadcast. Returns float[...], one estimate per sample, to be averaged.
    Raises ValueError on NaN and shapes that do not broadcast. Source: Schulman 2020, "Approximating KL divergence".
    """
    return finish(-_log_ratio(log_p, log_q, validate), math.e, reduction)


def kl_k2(log_p: Tensor, log_q: Tensor, *, reduction: Reduction = "none", validate: bool = True) -> Tensor:
    """k2 = ½ ℓ²: ≥ 0, of low variance, and of little bias if p and q are nearly equal. See `kl_k1`."""
    return finish(0.5 * _log_ratio(log_p, log_q, validate).square(), math.e, reduction)


def kl_k3(log_p: Tensor, log_q: Tensor, *, reduction: Reduction = "none", validate: bool = True) -> Tensor:
    """k3 = e^ℓ − 1 − ℓ: ≥ 0 and unbiased. See `kl_k1`."""
    ratio = _log_ratio(log_p, log_q, validate)
    return finish(phi(ratio.double()).to(ratio.dtype), math.e, reduction)


def _log_ratio(log_p: Tensor, log_q: Tensor, validate: bool) -> Tensor:
    if validate:
        check_broadcast(0, log_p=log_p, log_q=log_q)
        check_numbers("log_p", log_p, infinite=True)
        check_numbers("log_q", log_q, infinite=True)
    known = torch.isfinite(log_q) & torch.isfinite(log_p)
    ratio = log_q.where(known, 0.0) - log_p.where(known, 0.0)
    return torch.where(known, ratio, (log_q - log_p).detach().nan_to_num(0.0, math.inf, -math.inf))


def _check_pair(p: Tensor, q: Tensor) -> None:
    check_broadcast(1, p=p, q=q)
    check_probabilities("p", p)
    check_probabilities("q", q)


def _entropy_values(p: Tensor) -> Tensor:
    x = p.double()
    terms: Tensor = torch.special.xlogy(x, x)
    return (-terms.sum(-1)).clamp_min_(0.0)  # validation allows 1 + rounding error


def _cross_entropy_values(p: Tensor, q: Tensor) -> Tensor:
    terms: Tensor = torch.special.xlogy(p.double(), q.double())
    return -terms.sum(-1)


def _kl_values(p: Tensor, q: Tensor) -> Tensor:
    """Bregman's terms; as p φ(r), r = log1p((q − p)/p), where p and q are nearly equal and q − p is exact."""
    a, b = p.double(), q.double()
    change = (b - a) / a  # one rounding where it is small
    r = torch.where(change.abs() < 0.5, change.log1p(), b.log() - a.log())
    near = r.abs() <= NEAR  # false for NaN, from 0/0
    far = (b - a) - torch.where(a > 0, a * r, 0.0)
    return torch.where(near, a * phi_series(r.where(near, 0.0)), far).sum(-1).clamp_min_(0.0)


def _js_values(p: Tensor, q: Tensor) -> Tensor:
    a, b = p.double(), q.double()
    t = ((a - b) / (a + b)).nan_to_num_(0.0)  # 0/0 where both are 0
    return ((a + b) * psi_values(t)).sum(-1).div_(4)


def _log_gradient(x: Tensor) -> Tensor:
    """ln x, and 0 where x = 0."""
    return x.where(x > 0, 1.0).log()


def _kl_gradients(p: Tensor, q: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
    a, b = p.double(), q.double()
    return -_log_of_ratio(b, a, b - a), ((b - a) / b.where(b > 0, 1.0)).where(b > 0, 0.0)


def _js_gradients(p: Tensor, q: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
    """½ ln(p/m) and ½ ln(q/m)."""
    a, b = p.double(), q.double()
    m = (a + b) / 2
    return 0.5 * _log_of_ratio(a, m, (a - b) / 2), 0.5 * _log_of_ratio(b, m, (b - a) / 2)


def _log_of_ratio(x: Tensor, y: Tensor, difference: Tensor) -> Tensor:
    """ln(x/y) from x, y and x − y, accurate where x and y are nearly equal; 0 where x or y is 0."""
    both = (x > 0) & (y > 0)
    change = difference.where(both, 0.0) / y.where(both, 1.0)
    near = change.abs() < 0.5
    apart = x.where(both, 1.0).log() - y.where(both, 1.0).log()
    return torch.where(near, change.where(near, 0.0).log1p(), apart)


_surprise = closed_form(
    lambda p: -p.double().clamp_max(1.0).log(), lambda p, _: ((-1 / p.double().where(p > 0, 1.0)).where(p > 0, 0.0),)
)

_entropy = closed_form(_entropy_values, lambda p, _: ((-_log_gradient(p.double()) - 1).where(p > 0, 0.0),))

_cross_entropy = closed_form(
    _cross_entropy_values,
    lambda p, q, _: (-_log_gradient(q.double()), (-p.double() / q.double().where(q > 0, 1.0)).where(q > 0, 0.0)),
)

_kl = closed_form(_kl_values, _kl_gradients)
_js = closed_form(_js_values, _js_gradients)
