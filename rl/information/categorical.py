"""Categorical distributions by raw logits: the numerical heart of the package.

A logit of −inf forbids its action: probability 0, gradient 0. Divergences are computed in float64, in which the
difference of two float32 logits is exact, and have their gradients in closed form, differentiable again.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from rl.information.checks import Reduction, check_broadcast, check_logits, finish
from rl.information.closed_form import closed_form
from rl.information.series import NEAR, phi_series, psi_values

_PIECE = 2**14  # logits, 128 KiB in float64
_CANCELS = {False: 1e-6, True: 1e-3}  # a KL below this, for float64 or not, is too small for a difference of logarithms


def softmax(logits: Tensor, temperature: float = 1.0, *, validate: bool = True) -> Tensor:
    """p_i = e^{x_i/τ} / Σ_j e^{x_j/τ}. logits: float[..., A]. Returns float[..., A]; see `log_softmax`."""
    return log_softmax(logits, temperature, validate=validate).exp()


def log_softmax(logits: Tensor, temperature: float = 1.0, *, validate: bool = True) -> Tensor:
    """ln p_i = z_i − log1p(Σ_{j≠top} e^{z_j}), where z = (logits − max(logits)) / τ.

    logits: float[..., A]. Returns float[..., A]. Leaving the top action out of the sum keeps its log-probability
    accurate when it is near 0 (a nearly deterministic policy), where log(1 + tiny) is lost.
    Raises ValueError on NaN, on +inf, where every action is illegal, and unless τ is positive and finite.
    """
    if validate:
        check_logits("logits", logits)
    peak, top = logits.max(-1, keepdim=True)
    z = logits - peak
    if temperature != 1.0:
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature must be positive and finite, got {temperature!r}")
        z = z / temperature
    rest = z.exp().scatter(-1, top, 0.0).sum(-1, keepdim=True)
    return z - rest.log1p()


def entropy_from_logits(
    logits: Tensor, *, base: float = math.e, reduction: Reduction = "none", validate: bool = True
) -> Tensor:
    """H(p) = −Σ p ln p, with 0 ln 0 = 0; as log1p(S) − Σ p z, z = logits − max, S = Σ_{j≠top} e^{z_j}.

    logits: float[..., A]. Returns float[...], 0 ≤ H ≤ ln A. Both terms are ≥ 0, so nothing cancels.
    Raises ValueError as `log_softmax` does.
    """
    if validate:
        check_logits("logits", logits)
    return finish(_entropy(logits), base, reduction)


def cross_entropy_from_logits(
    p_logits: Tensor, q_logits: Tensor, *, base: float = math.e, reduction: Reduction = "none", validate: bool = True
) -> Tensor:
    """H(p, q) = −Σ p ln q = H(p) + KL(p‖q), of two sets of logits that broadcast.

    p_logits, q_logits: float[..., A]. Returns float[...] ≥ 0; +inf where q forbids what p allows.
    Raises ValueError as `kl_from_logits` does.
    """
    if validate:
        _check_pair(p_logits, q_logits)
    kl = _kl(p_logits, q_logits)
    return finish(_entropy(p_logits) + kl, base, reduction)


def kl_from_logits(
    p_logits: Tensor, q_logits: Tensor, *, base: float = math.e, reduction: Reduction = "none", validate: bool = True
) -> Tensor:
    """KL(p‖q) = Σ p ln(p/q), of two sets of logits that broadcast.

    p_logits, q_logits: float[..., A]. Returns float[...] ≥ 0; +inf where q forbids what p allows (gradient q − p,
    and 0 for p). Neighbors go by an identity without cancellation: with δ = q_logits − p_logits and m = Σ p δ,
    KL = log1p(Σ p φ(δ − m)), φ(x) = eˣ − 1 − x; others by Bregman's terms q − p + p ln(p/q), each ≥ 0.
    Raises ValueError on NaN, +inf, a row with every action illegal, and shapes that do not fit.
    """
    if validate:
        _check_pair(p_logits, q_logits)
    return finish(_kl(p_logits, q_logits), base, reduction)


def js_from_logits(
    p_logits: Tensor, q_logits: Tensor, *, base: float = math.e, reduction: Reduction = "none", validate: bool = True
) -> Tensor:
    """JS(p, q) = ½ KL(p‖m) + ½ KL(q‖m), m = (p + q)/2; as ½ Σ m ψ(tanh(r/2)), r = ln(p/q).

    p_logits, q_logits: float[..., A], which broadcast. Returns float[...], 0 ≤ JS ≤ ln 2; ψ(t) = (1 + t) ln(1 + t)
    + (1 − t) ln(1 − t) is even and ≥ 0, so nothing cancels. Raises ValueError as `kl_from_logits` does.
    """
    if validate:
        _check_pair(p_logits, q_logits)
    return finish(_js(p_logits, q_logits), base, reduction)


def _check_pair(p_logits: Tensor, q_logits: Tensor) -> None:
    check_broadcast("p_logits", p_logits, "q_logits", q_logits)
    check_logits("p_logits", p_logits)
    check_logits("q_logits", q_logits)


# --- values, in float64 and without autograd ---


def _in_pieces(values: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The same function, computed on pieces of the batch that stay in the processor's cache."""

    def whole(*logits: Tensor) -> Tensor:
        (*batch, actions), rows = logits[0].shape, max(1, _PIECE // logits[0].shape[-1])
        tables = [x.reshape(-1, actions) for x in logits]
        if len(tables[0]) <= rows:
            return values(*tables).reshape(batch)
        pieces = zip(*(x.split(rows) for x in tables), strict=True)  # type: ignore[no-untyped-call]
        return torch.cat([values(*piece) for piece in pieces]).reshape(batch)

    return whole


def _entropy_values(logits: Tensor) -> Tensor:
    z = logits.to(torch.float64, copy=True)
    z.sub_(z.amax(-1, keepdim=True))
    e = z.exp()
    total = e.sum(-1)
    entropy = total.log().sub_((e * z).sum(-1).div_(total))
    if bool((entropy > 1e-6).all()):  # false too for the NaN of 0 · −inf
        return entropy
    rest = e.scatter(-1, z.argmax(-1, keepdim=True), 0.0).sum(-1)  # nearly deterministic: 1 + S would round S away
    return rest.log1p() - (e * z.nan_to_num(neginf=0.0)).sum(-1) / (1 + rest)


def _kl_values(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    """The identity if all rows are of neighbors, as after an update of a policy; else log Σ q' − log Σ p' − m, and
    Bregman's terms for the rows in which that would cancel or a logit is masked."""
    delta, rounding = _difference(p_logits, q_logits)
    peak_p, e, total_p = _weights(p_logits)
    m = (e * delta).sum(-1, keepdim=True).div_(total_p)
    d = delta - m
    if rounding is not None:
        d.add_(rounding)
        d.sub_((e * d).sum(-1, keepdim=True).div_(total_p))  # takes out the rounding of the first mean
    if not d.numel():
        return d.sum(-1)
    low, high = torch.aminmax(d)
    if float(low) >= -NEAR and float(high) <= NEAR:  # false on NaN, as from a masked logit
        return phi_series(d).mul_(e).sum(-1).div_(total_p.squeeze(-1)).log1p_()
    peak_q, _, total_q = _weights(q_logits)
    kl = (total_q.log() - total_p.log()).add_(peak_q - peak_p - m)
    cancels = _CANCELS[p_logits.dtype == torch.float64]
    careful = (~(kl > cancels * m.abs().clamp_min_(1.0))).squeeze(-1).nonzero().squeeze(-1)  # rows; also those of NaN
    kl = kl.squeeze(-1)
    if len(careful):
        a, b = p_logits.index_select(0, careful), q_logits.index_select(0, careful)
        kl.index_copy_(0, careful, _bregman(a, b, masked=not math.isfinite(low)))
    return kl


def _bregman(p_logits: Tensor, q_logits: Tensor, masked: bool) -> Tensor:
    """Σ [q − p + p ln(p/q)], the terms of neighbors as p φ(ln(q/p))."""
    p, q, r = _compare(p_logits, q_logits, masked)
    kl = torch.where(r.abs() <= NEAR, phi_series(r).mul_(p), q.sub_(p).sub_(p.mul(r))).sum(-1).clamp_min_(0.0)
    if masked:
        kl.masked_fill_(((p_logits > -math.inf) & (q_logits == -math.inf)).any(-1), math.inf)
    return kl


def _js_values(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    p, q, r = _compare(p_logits, q_logits, masked=True)
    return p.add_(q).mul_(psi_values(r.div_(2).tanh_())).sum(-1).div_(4).clamp_max_(math.log(2))


def _compare(p_logits: Tensor, q_logits: Tensor, masked: bool) -> tuple[Tensor, Tensor, Tensor]:
    """p, q and r = ln(q/p), float64[..., A] each; r is 1e9 where only p is masked, −1e9 where only q is."""
    r, rounding = _difference(p_logits, q_logits)
    (peak_p, p, total_p), (peak_q, q, total_q) = _weights(p_logits), _weights(q_logits)
    shift, rounding_of_shift = _difference(peak_p, peak_q)
    r.sub_(shift)
    if rounding is not None and rounding_of_shift is not None:
        r.add_(rounding.sub_(rounding_of_shift).nan_to_num_(0.0))
    r.sub_(total_q.log() - total_p.log())
    if masked:
        r.nan_to_num_(nan=0.0, posinf=1e9, neginf=-1e9)
    return p.div_(total_p), q.div_(total_q), r


def _weights(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """max(x), e^{x − max(x)} and its sum: float64 of shapes [..., 1], [..., A] and [..., 1]."""
    x = logits.to(torch.float64, copy=True)
    peak = x.amax(-1, keepdim=True)
    e = x.sub_(peak).exp_()
    return peak, e, e.sum(-1, keepdim=True)


def _difference(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor | None]:
    """b − a in float64, and its rounding error (Knuth 1969), which the difference of float32 numbers does not have."""
    if a.dtype != torch.float64:
        return b.to(torch.float64, copy=True).sub_(a), None
    s = b - a
    back = s + a
    return s, (b - back).sub_((s - back).add_(a))


# --- partial derivatives, in float64 and differentiable ---


def _entropy_gradients(logits: Tensor, entropy: Tensor) -> tuple[Tensor]:
    """∂H/∂x = −p (ln p + H)."""
    log_p = logits.double().log_softmax(-1)
    legal = logits > -math.inf
    return (-log_p.exp() * (log_p.where(legal, 0.0) + entropy.double().unsqueeze(-1)),)


def _kl_gradients(p_logits: Tensor, q_logits: Tensor, kl: Tensor) -> tuple[Tensor, Tensor]:
    """∂KL/∂x_q = q − p, for neighbors as p (eʳ − 1); ∂KL/∂x_p = −p d, where d = δ − Σ p δ and r = d − KL."""
    a, b = p_logits.double(), q_logits.double()
    p, q = a.softmax(-1), b.softmax(-1)
    both = (a > -math.inf) & (b > -math.inf) & (kl < math.inf).unsqueeze(-1)
    delta = b.where(both, 0.0) - a.where(both, 0.0)
    d = delta - (p * delta).sum(-1, keepdim=True)
    d = (d - (p * d).sum(-1, keepdim=True)).where(both, 0.0)
    r = d - kl.double().where(kl < math.inf, 0.0).unsqueeze(-1)
    near = both & (r.abs() < 1)
    return -p * d, torch.where(near, p * r.where(near, 0.0).expm1(), q - p)


def _js_gradients(p_logits: Tensor, q_logits: Tensor, js: Tensor) -> tuple[Tensor, Tensor]:
    """∂JS/∂x_p = ½ p (ln(p/m) − KL(p‖m)), and the same for q; ln(p/m) = ln 2 − softplus(ln(q/p))."""
    a, b = p_logits.double(), q_logits.double()
    return _half(a, b), _half(b, a)


def _half(a: Tensor, b: Tensor) -> Tensor:
    log_p, log_q = a.log_softmax(-1), b.log_softmax(-1)
    p_legal, q_legal = a > -math.inf, b > -math.inf
    r = log_q.where(p_legal & q_legal, 0.0) - log_p.where(p_legal & q_legal, 0.0)
    ratio = math.log(2) - torch.where(
        p_legal & ~q_legal, 0.0, functional.softplus(r)
    )  # where p has no mass it does not count
    p = log_p.exp()
    return 0.5 * p * (ratio - (p * ratio).sum(-1, keepdim=True))


_entropy = closed_form(_in_pieces(_entropy_values), _entropy_gradients)
_kl = closed_form(_in_pieces(_kl_values), _kl_gradients)
_js = closed_form(_in_pieces(_js_values), _js_gradients)
