"""Products of independent categoricals (multi-discrete actions), and the JS divergence of several policies.

The logits of all factors are concatenated, float[..., Σ sizes]; `sizes` are the numbers of actions of the factors.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from agents.maths.information.categorical import entropy_from_logits, kl_from_logits
from agents.maths.information.checks import Reduction, check_broadcast, check_logits, finish
from agents.maths.information.numerics import (
    closed_form,
    js_of_pair,
    log_of_mean_ratio,
    phi_values,
    softmax_pair,
    through_softmax,
)

JOINT_LIMIT = 2**16  # most joint outcomes for the JS divergence of a product


def product_entropy_from_logits(
    logits: Tensor, sizes: Sequence[int], *, base: float = math.e, reduction: Reduction = "none", validate: bool = True
) -> Tensor:
    """H = Σ_k H_k: entropies of independent factors add. Returns float[...]. Raises as `product_kl_from_logits`."""
    factors = split("logits", logits, sizes, validate)
    return finish(_total([entropy_from_logits(x, validate=False) for x in factors]), base, reduction)


def product_kl_from_logits(
    p_logits: Tensor, q_logits: Tensor, sizes: Sequence[int],
    *, base: float = math.e, reduction: Reduction = "none", validate: bool = True,
) -> Tensor:  # fmt: skip
    """KL(p‖q) = Σ_k KL(p_k‖q_k). p_logits, q_logits: float[..., Σ sizes], which broadcast. Returns float[...] ≥ 0.

    Raises ValueError unless the last dimension is the sum of sizes, and as `kl_from_logits` does for each factor.
    """
    pairs = _pairs(p_logits, q_logits, sizes, validate)
    return finish(_total([kl_from_logits(p, q, validate=False) for p, q in pairs]), base, reduction)


def product_js_from_logits(
    p_logits: Tensor, q_logits: Tensor, sizes: Sequence[int],
    *, base: float = math.e, reduction: Reduction = "none", validate: bool = True,
) -> Tensor:  # fmt: skip
    """JS(p, q) over all ∏ sizes joint outcomes: unlike KL, it is not the sum over the factors.

    Raises ValueError beyond 65,536 joint outcomes, and as `product_kl_from_logits` does.
    """
    if math.prod(sizes) > JOINT_LIMIT:
        raise ValueError(
            f"the JS divergence of a product sums over its joint outcomes; sizes {tuple(sizes)} have "
            f"{math.prod(sizes):,}, the limit is {JOINT_LIMIT:,}: use the KL divergence, which adds over factors"
        )
    if validate:
        _pairs(p_logits, q_logits, sizes, validate)
    return finish(_product_js(tuple(sizes))(p_logits, q_logits), base, reduction)


def generalized_js_from_logits(
    logits: Tensor, weights: Tensor | None = None,
    *, base: float = math.e, reduction: Reduction = "none", validate: bool = True,
) -> Tensor:  # fmt: skip
    """JS_w(p_1, …, p_K) = Σ w_k KL(p_k‖m), m = Σ w_k p_k; 0 ≤ JS_w ≤ H(w) ≤ ln K.

    logits: float[..., K, A]; weights: float[K], positive, of sum 1 (default 1/K each), not differentiated. Returns
    float[...]. Raises ValueError on other weights, and as `log_softmax` does. Source: Lin 1991, section 4.
    """
    if logits.ndim < 2:
        raise ValueError(f"logits have shape {tuple(logits.shape)}; a set of policies is float[..., K, A]")
    k = logits.shape[-2]
    w = [1 / k] * k if weights is None else weights.detach().double().flatten().tolist()
    if validate:
        check_logits("logits", logits)
        if (weights is not None and weights.shape != (k,)) or not all(x > 0 for x in w) or abs(sum(w) - 1) > 1e-5:
            raise ValueError(f"weights must be {k} positive numbers of sum 1, got {w}")
    return finish(_generalized_js(tuple(w))(logits), base, reduction)


def split(name: str, logits: Tensor, sizes: Sequence[int], validate: bool = True) -> tuple[Tensor, ...]:
    """The logits of each factor, float[..., A_k]. Raises ValueError unless the sizes fit and each factor is valid."""
    if not sizes or min(sizes) < 1 or logits.ndim < 1 or sum(sizes) != logits.shape[-1]:
        raise ValueError(f"{name} of shape {tuple(logits.shape)} must end in Σ sizes of {tuple(sizes)} = {sum(sizes)}")
    factors: tuple[Tensor, ...] = logits.split(list(sizes), -1)
    if validate:
        for k, factor in enumerate(factors):
            check_logits(f"{name}, factor {k}", factor)
    return factors


def _pairs(p: Tensor, q: Tensor, sizes: Sequence[int], validate: bool) -> list[tuple[Tensor, Tensor]]:
    if validate:
        check_broadcast(1, p_logits=p, q_logits=q)
    return list(zip(split("p_logits", p, sizes, validate), split("q_logits", q, sizes, validate), strict=True))


def _total(parts: list[Tensor]) -> Tensor:
    return torch.stack(parts).sum(0)


@lru_cache
def _product_js(sizes: tuple[int, ...]) -> Callable[..., Tensor]:
    def values(p: Tensor, q: Tensor) -> Tensor:
        return js_of_pair(*(joint.flatten(-len(sizes)) for joint in _joint(p, q, sizes)))

    def gradients(p: Tensor, q: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        joint_p, joint_q, r = _joint(p, q, sizes)
        pairs = ((joint_p, log_of_mean_ratio(r)), (joint_q, log_of_mean_ratio(-r)))
        to_p, to_q = (_marginal_gradient(joint, ratio, len(sizes)) for joint, ratio in pairs)
        return to_p, to_q

    return closed_form(values, gradients)


@lru_cache
def _generalized_js(weights: tuple[float, ...]) -> Callable[..., Tensor]:
    share = torch.tensor(weights, dtype=torch.float64).unsqueeze(-1)

    def values(x: Tensor) -> Tensor:
        p, m, rho = _ratio_to_mean(x, share.to(x.device))
        terms = torch.where(rho <= 1.0, p * phi_values(rho.clamp_max(1.0)), m - p - p * rho)
        return (share.to(x.device) * terms).sum((-2, -1)).clamp_min_(0.0)

    def gradients(x: Tensor, _: Tensor) -> tuple[Tensor]:
        p, _, rho = _ratio_to_mean(x, share.to(x.device))
        return (share.to(x.device) * through_softmax(p, -rho),)

    return closed_form(values, gradients)


def _joint(p_logits: Tensor, q_logits: Tensor, sizes: Sequence[int]) -> list[Tensor]:
    """p, q and ln(q/p) of all joint outcomes, float64[..., A_1, …, A_K] each."""
    factors = zip(split("p_logits", p_logits, sizes, False), split("q_logits", q_logits, sizes, False), strict=True)
    p, q, r = softmax_pair(*next(factors), masked=True)
    for a, b in factors:
        p_k, q_k, r_k = softmax_pair(a, b, masked=True)
        p, q, r = _outer(p, p_k, torch.mul), _outer(q, q_k, torch.mul), _outer(r, r_k, torch.add)
    return [p, q, r]


def _outer(x: Tensor, y: Tensor, operation: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """[..., A_1, …, A_k] and [..., A] → [..., A_1, …, A_k, A]."""
    batch = y.shape[:-1]
    aligned = y.reshape(*batch, *(1,) * (x.ndim - len(batch)), y.shape[-1])
    return operation(x.unsqueeze(-1), aligned)


def _marginal_gradient(joint: Tensor, log_ratio: Tensor, factors: int) -> Tensor:
    """½ Σ P (ln(P/M) − KL(P‖M)) over the joint outcomes that contain an action, for each action of each factor."""
    terms = through_softmax(joint.flatten(-factors), 0.5 * log_ratio.flatten(-factors)).reshape(joint.shape)
    parts = []
    for k in range(-factors, 0):
        others = [axis for axis in range(-factors, 0) if axis != k]
        parts.append(terms.sum(others) if others else terms)
    return torch.cat(parts, -1)


def _ratio_to_mean(x: Tensor, share: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """p, the mean m, and ρ = ln(m/p), float64[..., K, A]; nearly equal policies use log-ratios to the first policy.

    share: the weights, float64[K, 1]. ρ is 1e9 where only this policy is masked, and 0 where all are.
    """
    _, p, r = softmax_pair(x[..., :1, :].expand_as(x), x, masked=True)
    m = (share * p).sum(-2, keepdim=True)
    near = (r.abs() < 0.5).all(-2, keepdim=True)
    r = r.where(near, 0.0)
    close = (share * r.expm1()).sum(-2, keepdim=True).log1p() - r
    apart = m.where(m > 0, 1.0).log() - p.where(p > 0, 1.0).log()
    apart = torch.where((p == 0) & (m > 0), 1e9, apart)
    return p, m, torch.where(near, close, apart)
