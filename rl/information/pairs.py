"""Two categorical policies side by side: probabilities and ln(q/p) to full accuracy, and what is made of them."""

import math

import torch
from torch import Tensor

from rl.information.series import psi_values


def compare(p_logits: Tensor, q_logits: Tensor, masked: bool) -> tuple[Tensor, Tensor, Tensor]:
    """p, q and r = ln(q/p), float64[..., A] each; r is 1e9 where only p is masked, −1e9 where only q is, 0 for both.

    `masked=False` leaves masks out of consideration, which is faster.
    """
    r, rounding = difference(p_logits, q_logits)
    (peak_p, e_p, total_p), (peak_q, e_q, total_q) = weights(p_logits), weights(q_logits)
    shift, rounding_of_shift = difference(peak_p, peak_q)
    r = r - shift
    if rounding is not None and rounding_of_shift is not None:
        r = r + (rounding - rounding_of_shift).nan_to_num(0.0, 0.0, 0.0)
    r = r - (total_q.log() - total_p.log())
    if masked:
        neither = (p_logits == -math.inf) & (q_logits == -math.inf)
        r = r.masked_fill(neither, 0.0).clamp(-1e9, 1e9)
    return e_p / total_p, e_q / total_q, r


def weights(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """max(x), e^{x − max(x)} and its sum: float64 of shapes [..., 1], [..., A] and [..., 1]."""
    x = logits.to(torch.float64, copy=True)
    peak = x.detach().amax(-1, keepdim=True)
    e = x.sub_(peak).exp_()
    return peak, e, e.sum(-1, keepdim=True)


def difference(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor | None]:
    """b − a in float64, and its rounding error (Knuth 1969), which the difference of float32 numbers does not have."""
    if a.dtype != torch.float64:
        return b.to(torch.float64, copy=True).sub_(a), None
    s = b - a
    with torch.no_grad():
        back = s + a
        return s, (b - back).sub_((s - back).add_(a))


def log_of_mean_ratio(r: Tensor) -> Tensor:
    """ln(p/m), m = (p + q)/2, from r = ln(q/p): ln 2 − softplus(r), for neighbors −log1p(½ (eʳ − 1))."""
    near = r.abs() < 1
    close = -(0.5 * r.where(near, 0.0).expm1()).log1p()
    return torch.where(near, close, math.log(2) - torch.logaddexp(r, torch.zeros_like(r)))


def js_of_pair(p: Tensor, q: Tensor, r: Tensor) -> Tensor:
    """½ Σ m ψ(tanh(r/2)) from probabilities and r = ln(q/p), float64[..., A] each."""
    return ((p + q) * psi_values((r / 2).tanh())).sum(-1).div_(4).clamp_max_(math.log(2))


def through_softmax(p: Tensor, partial: Tensor) -> Tensor:
    """∂/∂x of a function with partial derivatives ∂/∂p: p (∂/∂p − Σ p ∂/∂p), computed relative to the likely action."""
    partial = partial - partial.gather(-1, p.argmax(-1, keepdim=True))
    return p * (partial - (p * partial).sum(-1, keepdim=True))
