"""Products of independent categoricals (multi-discrete actions), and the JS divergence of a whole set of policies.

The logits of a product lie side by side, float[..., Σ sizes]; `sizes` are the numbers of actions of its factors.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from rl.information.categorical import _compare, entropy_from_logits, js_from_logits, kl_from_logits
from rl.information.checks import Reduction, check_broadcast, check_logits, finish
from rl.information.closed_form import closed_form
from rl.information.series import phi_values

JOINT_LIMIT = 2**16  # outcomes over which the JS divergence of a product is summed


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
    joint = [_joint(factors) for factors in zip(*_pairs(p_logits, q_logits, sizes, validate), strict=True)]
    return finish(js_from_logits(joint[0], joint[1], validate=False), base, reduction)


def generalized_js_from_logits(
    logits: Tensor, weights: Tensor | None = None,
    *, base: float = math.e, reduction: Reduction = "none", validate: bool = True,
) -> Tensor:  # fmt: skip
    """JS_w(p_1, …, p_K) = Σ w_k KL(p_k‖m), m = Σ w_k p_k: how much policies differ; 0 ≤ JS_w ≤ H(w) ≤ ln K.

    logits: float[..., K, A]; weights: float[K], positive, of sum 1 (default 1/K each). Returns float[...].
    Raises ValueError on weights that are not such, and as `log_softmax` does. Source: Lin 1991, section 4.
    """
    if logits.ndim < 2:
        raise ValueError(f"logits have shape {tuple(logits.shape)}; a set of policies is float[..., K, A]")
    k = logits.shape[-2]
    w = torch.full((k,), 1 / k, dtype=logits.dtype, device=logits.device) if weights is None else weights
    if validate:
        check_logits("logits", logits)
        if w.shape != (k,) or not bool((w > 0).all()) or abs(float(w.double().sum()) - 1) > 1e-5:
            raise ValueError(f"weights must be {k} positive numbers of sum 1, got {w.tolist()}")

    def values(x: Tensor) -> Tensor:
        return _generalized_js_values(x, w.detach().double())

    def gradients(x: Tensor, _: Tensor) -> tuple[Tensor]:
        return (_generalized_js_gradients(x.double(), w.double()),)

    return finish(closed_form(values, gradients)(logits), base, reduction)


def split(name: str, logits: Tensor, sizes: Sequence[int], validate: bool = True) -> tuple[Tensor, ...]:
    """The logits of each factor, float[..., A_k]. Raises ValueError unless the sizes fit and each factor is legal."""
    if not sizes or min(sizes) < 1 or logits.ndim < 1 or sum(sizes) != logits.shape[-1]:
        raise ValueError(f"{name} of shape {tuple(logits.shape)} must end in Σ sizes of {tuple(sizes)} = {sum(sizes)}")
    factors: tuple[Tensor, ...] = logits.split(list(sizes), -1)  # type: ignore[no-untyped-call]
    if validate:
        for k, factor in enumerate(factors):
            check_logits(f"{name}, factor {k}", factor)
    return factors


def _pairs(p: Tensor, q: Tensor, sizes: Sequence[int], validate: bool) -> list[tuple[Tensor, Tensor]]:
    if validate:
        check_broadcast("p_logits", p, "q_logits", q)
    return list(zip(split("p_logits", p, sizes, validate), split("q_logits", q, sizes, validate), strict=True))


def _total(parts: list[Tensor]) -> Tensor:
    return torch.stack(parts).sum(0)


def _joint(factors: Sequence[Tensor]) -> Tensor:
    """Logits of all joint outcomes, float[..., ∏ sizes]."""
    joint = factors[0]
    for factor in factors[1:]:
        joint = (joint.unsqueeze(-1) + factor.unsqueeze(-2)).flatten(-2)
    return joint


def _generalized_js_values(x: Tensor, w: Tensor) -> Tensor:
    """Σ w [m − p − p ρ], ρ = ln(m/p); for neighbors ρ comes from the log-ratios to the first policy."""
    share = w.unsqueeze(-1)
    _, p, r = _compare(x[..., :1, :].expand_as(x), x, masked=True)
    m = (share * p).sum(-2, keepdim=True)
    near = (r.abs() < 0.5).all(-2, keepdim=True)
    close = (share * r.clamp(-1, 1).expm1()).sum(-2, keepdim=True).log1p() - r
    rho = torch.where(near, close, m.log() - p.log()).nan_to_num(0.0, posinf=1e9)
    small = rho <= 1.0
    terms = torch.where(small, p * phi_values(rho.clamp_max(1.0)), m - p - p * rho)
    return (share * terms).sum((-2, -1)).clamp_min_(0.0)


def _generalized_js_gradients(x: Tensor, w: Tensor) -> Tensor:
    """∂JS/∂x_k = w_k p_k (ln(p_k/m) − KL(p_k‖m))."""
    share = w.unsqueeze(-1)
    log_p = x.log_softmax(-1)
    legal = x > -math.inf
    log_m = (log_p + share.log()).logsumexp(-2, keepdim=True)
    log_ratio = log_p.where(legal, 0.0) - log_m.where(legal, 0.0)
    p = log_p.exp()
    return share * p * (log_ratio - (p * log_ratio).sum(-1, keepdim=True))
