"""Entropy and divergences of categorical distributions from raw logits.

A logit of −inf makes its action illegal: probability 0, gradient 0. Divergences are computed in float64, from
differences of logits that lose no digits; their gradients are in closed form and differentiable again.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from agents.maths.information.checks import Reduction, check_broadcast, check_logits, finish
from agents.maths.information.logits import log_softmax
from agents.maths.information.numerics import (
    NEAR,
    closed_form,
    difference,
    js_of_pair,
    log_of_mean_ratio,
    phi_series,
    softmax_pair,
    softmax_terms,
    through_softmax,
)

_PIECE = 2**14  # logits computed at once: 128 KiB in float64, to stay in cache
_CANCELS = {False: 1e-6, True: 1e-3}  # float64 input? → entropy or KL below which logarithms of sums lose digits


def entropy_from_logits(
    logits: Tensor, *, base: float = math.e, reduction: Reduction = "none", validate: bool = True
) -> Tensor:
    """H(p) = −Σ p ln p, with 0 ln 0 = 0; as log1p(S) − Σ p z, z = logits − max, S = Σ_{j≠top} e^{z_j}.

    logits: float[..., A]. Returns float[...], 0 ≤ H ≤ ln A. Both terms are ≥ 0, so nothing cancels.
    Raises ValueError as `log_softmax` does.

    >>> entropy_from_logits(torch.tensor([0.0, 0.0, -torch.inf]))  # ln 2: the third action is illegal
    tensor(0.6931)
    """
    if validate:
        check_logits("logits", logits)
    return finish(_entropy(logits), base, reduction)


def entropy_from_log_probabilities(log_p: Tensor) -> Tensor:
    """H(p) = −Σ p ln p, with 0 ln 0 = 0; every term is ≥ 0, so nothing cancels.

    log_p: normalized, float[..., A], not checked. Returns float[...].
    """
    return (log_p.exp() * -log_p.clamp_min(torch.finfo(log_p.dtype).min)).sum(-1)


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

    p_logits, q_logits: float[..., A]. Returns float[...] ≥ 0; +inf where q forbids what p allows, with a finite
    gradient. Nearly equal policies use an identity without cancellation, KL = log1p(Σ p φ(δ − m)), where
    δ = q_logits − p_logits, m = Σ p δ and φ(x) = eˣ − 1 − x; others use Bregman's terms q − p + p ln(p/q), each ≥ 0.
    Raises ValueError on NaN, +inf, a row with every action illegal, and shapes that do not fit.

    >>> z = torch.tensor([0.5, -1.25, 0.75])
    >>> kl_from_logits(z, z + torch.tensor([1e-5, 0.0, 0.0]))
    tensor(1.2099e-11)
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

    >>> js_from_logits(torch.tensor([0.0, -torch.inf]), torch.tensor([-torch.inf, 0.0]), base=2)  # disjoint: one bit
    tensor(1.)
    """
    if validate:
        _check_pair(p_logits, q_logits)
    return finish(_js(p_logits, q_logits), base, reduction)


def _check_pair(p_logits: Tensor, q_logits: Tensor) -> None:
    check_broadcast(1, p_logits=p_logits, q_logits=q_logits)
    check_logits("p_logits", p_logits)
    check_logits("q_logits", q_logits)


def _in_pieces(values: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The same function, computed on pieces of the batch that fit into the processor's cache."""

    def whole(*logits: Tensor) -> Tensor:
        (*batch, actions), rows = logits[0].shape, max(1, _PIECE // logits[0].shape[-1])
        tables = [x.reshape(-1, actions) for x in logits]
        if len(tables[0]) <= rows:
            return values(*tables).reshape(batch)
        pieces = zip(*(x.split(rows) for x in tables), strict=True)
        return torch.cat([values(*piece) for piece in pieces]).reshape(batch)

    return whole


def _entropy_values(logits: Tensor) -> Tensor:
    z = logits.to(torch.float64, copy=True)
    z.sub_(z.amax(-1, keepdim=True))
    e = z.exp()
    total = e.sum(-1)
    entropy = total.log().sub_((e * z).sum(-1).div_(total))
    accurate = entropy > _CANCELS[logits.dtype == torch.float64]  # also false for NaN, from 0 · −inf
    if not bool(accurate.all()):  # nearly deterministic: in 1 + S, S is rounded away
        imprecise = _rows(~accurate)
        z, e = z.index_select(0, imprecise), e.index_select(0, imprecise)
        rest = e.scatter(-1, z.argmax(-1, keepdim=True), 0.0).sum(-1)
        cross = (e * z.masked_fill(z == -math.inf, 0.0)).sum(-1)
        entropy.index_copy_(0, imprecise, rest.log1p() - cross / (1 + rest))
    return entropy


def _kl_values(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    """If all pairs are nearly equal, as before and after an update, the identity of `kl_from_logits`; otherwise
    log Σ e^{x_q} − log Σ e^{x_p} − m, and Bregman's terms for rows where this cancels or a logit is masked."""
    peak_p, e, total_p = softmax_terms(p_logits)
    top = p_logits.argmax(-1, keepdim=True)
    at_top = q_logits.gather(-1, top).double()
    d = difference(p_logits, q_logits, peak_p, at_top)  # without a common offset
    m = (e * d).sum(-1, keepdim=True).div_(total_p)
    d.sub_(m)
    if not d.numel():
        return d.sum(-1)
    low, high = (float(bound) for bound in torch.aminmax(d))
    if low >= -NEAR and high <= NEAR:  # false for NaN, from a masked logit
        return phi_series(d).mul_(e).sum(-1).div_(total_p.squeeze(-1)).log1p_()
    peak_q, _, total_q = softmax_terms(q_logits)
    kl = (total_q.log() - total_p.log()).add_(peak_q - at_top - m)
    accurate = (kl > _CANCELS[p_logits.dtype == torch.float64] * m.abs().clamp_min_(1.0)).squeeze(-1)  # false for NaN
    kl = kl.squeeze(-1)
    if not bool(accurate.all()):
        imprecise = _rows(~accurate)
        a, b = p_logits.index_select(0, imprecise), q_logits.index_select(0, imprecise)
        kl.index_copy_(0, imprecise, _bregman(a, b, masked=not math.isfinite(low)))
    return kl


def _rows(chosen: Tensor) -> Tensor:
    """Indices of the chosen rows, int64[R]."""
    return chosen.nonzero().squeeze(-1)


def _bregman(p_logits: Tensor, q_logits: Tensor, masked: bool) -> Tensor:
    """Σ [q − p + p ln(p/q)]; a term is computed as p φ(ln(q/p)) where p and q are nearly equal."""
    p, q, r = softmax_pair(p_logits, q_logits, masked)
    kl = torch.where(r.abs() <= NEAR, phi_series(r).mul_(p), q.sub_(p).sub_(p.mul(r))).sum(-1).clamp_min_(0.0)
    if masked:
        kl.masked_fill_(((p_logits > -math.inf) & (q_logits == -math.inf)).any(-1), math.inf)
    return kl


def _js_values(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    return js_of_pair(*softmax_pair(p_logits, q_logits, masked=True))


def _entropy_gradients(logits: Tensor, _: Tensor) -> tuple[Tensor]:
    """∂H/∂x = −p (ln p + H)."""
    log_p = log_softmax(logits.double(), validate=False)
    return (through_softmax(log_p.exp(), -log_p.where(logits > -math.inf, 0.0)),)


def _kl_gradients(p_logits: Tensor, q_logits: Tensor, kl: Tensor) -> tuple[Tensor, Tensor]:
    """∂KL/∂x_p = p (Σ p δ − δ), δ = x_q − x_p; ∂KL/∂x_q = q − p, or p (eʳ − 1) for small r. 0 at masked logits.

    r = ln(q/p) is d − KL, which is accurate unless the KL is large.
    """
    (_, e_p, total_p), (_, e_q, total_q) = softmax_terms(p_logits), softmax_terms(q_logits)
    p, q = e_p / total_p, e_q / total_q
    top = p.argmax(-1, keepdim=True)
    q_legal, finite = q_logits > -math.inf, (kl < math.inf).unsqueeze(-1)
    both = (p_logits > -math.inf) & q_legal & finite
    a, b = p_logits.where(both, 0.0), q_logits.where(both, 0.0)
    d = difference(a, b, a.gather(-1, top).double(), b.gather(-1, top).double())
    d = (d - (p * d).sum(-1, keepdim=True)).where(both, 0.0)
    r = d - kl.double().where(kl < math.inf, 0.0).unsqueeze(-1)
    near = both & (r.abs() < 1) & (kl < 1).unsqueeze(-1)
    to_q = torch.where(near, p * r.where(near, 0.0).expm1(), q - p)
    return -p * d, to_q.where(q_legal, 0.0)


def _js_gradients(p_logits: Tensor, q_logits: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
    """∂JS/∂x_p = ½ p (ln(p/m) − KL(p‖m)), and the same for q."""
    p, q, r = softmax_pair(p_logits, q_logits, masked=True)
    return through_softmax(p, 0.5 * log_of_mean_ratio(r)), through_softmax(q, 0.5 * log_of_mean_ratio(-r))


_entropy = closed_form(_in_pieces(_entropy_values), _entropy_gradients)
_kl = closed_form(_in_pieces(_kl_values), _kl_gradients)
_js = closed_form(_in_pieces(_js_values), _js_gradients)
