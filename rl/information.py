"""Entropy and Kullback-Leibler divergence of policies: pure functions on raw parameters, in nats.

Everything works in log space on raw logits (log-std for Gaussians), reduces the last dimension and keeps
any leading batch shape. A logit of −inf is an illegal action: probability 0, gradient 0.
"""

import math

import torch
from torch import Tensor

_SERIES_RADIUS = 0.5  # |x| below which φ(x) is summed as a series
_SERIES_ORDER = 17  # truncation is below the rounding unit of float64 at the radius


def log_softmax(logits: Tensor) -> Tensor:
    """log p_i = z_i − log1p(Σ_{j≠top} e^{z_j}), where z = logits − max(logits).

    logits: float[..., A]. Returns float[..., A]. Leaving the top action out of the sum keeps its
    log-probability accurate when it is near 0 (a nearly deterministic policy), where log(1 + tiny) is lost.
    Raises ValueError on NaN, on +inf, and where every action is illegal.
    """
    top = logits.argmax(-1, keepdim=True)
    peak = logits.gather(-1, top)
    if not bool(torch.isfinite(peak).all()):  # argmax and gather carry NaN and +inf here
        raise ValueError(
            f"logits of shape {tuple(logits.shape)} hold NaN, +inf or a row with every action illegal (−inf); "
            "each row needs at least one finite logit"
        )
    z = logits - peak
    rest = z.exp().scatter(-1, top, 0.0).sum(-1, keepdim=True)
    return z - rest.log1p()


def entropy_from_logits(logits: Tensor) -> Tensor:
    """H(p) = −Σ p ln p, with 0 ln 0 = 0.

    logits: float[..., A]. Returns float[...], 0 ≤ H ≤ ln A. Every term is ≥ 0, so nothing cancels.
    Raises ValueError as `log_softmax` does.
    """
    return entropy_from_log_probs(log_softmax(logits))


def entropy_from_log_probs(log_p: Tensor) -> Tensor:
    """H(p) = −Σ p ln p from normalized log-probabilities, float[..., A]; see `entropy_from_logits`."""
    return -(log_p.exp() * log_p.masked_fill(log_p == -math.inf, 0.0)).sum(-1)


def kl_from_logits(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    """KL(p‖q) = Σ p ln(p/q), from two sets of raw logits.

    p_logits, q_logits: float[..., A] of one shape. Returns float[...] ≥ 0; +inf where q forbids what p allows.
    Neighbors use an identity without cancellation: with δ = q_logits − p_logits and m = Σ p δ,
    KL = log1p(Σ p φ(δ − m)), φ(x) = eˣ − 1 − x. Rows with KL above ln 2 use Σ [q − p + p ln(p/q)].
    Raises ValueError on unequal shapes and as `log_softmax` does.
    """
    if p_logits.shape != q_logits.shape:
        raise ValueError(f"logits of p {tuple(p_logits.shape)} and q {tuple(q_logits.shape)} differ in shape")
    if p_logits.dtype != torch.float64:  # δ is exact in float64, even beside a large common offset
        return kl_from_logits(p_logits.double(), q_logits.double()).to(p_logits.dtype)
    log_p = log_softmax(p_logits)
    p = log_p.exp()
    d = _centered(p, q_logits - p_logits)
    if bool((d.abs() <= _SERIES_RADIUS).all()):  # false where a logit is −inf: no masks are needed here
        return (p * _phi_series(d)).sum(-1).log1p()
    log_q = log_softmax(q_logits)
    far = _bregman(log_p, log_q)
    near = far < math.log(2)
    rows = near.unsqueeze(-1)
    a, b = p_logits.where(rows, 0.0), q_logits.where(rows, 0.0)  # harmless stand-ins keep gradients finite
    return torch.where(near, _near(a, b), far)


def _centered(p: Tensor, delta: Tensor) -> Tensor:
    """δ − Σ p δ, centered twice, which takes out the rounding of the first mean."""
    d = delta - (p * delta).sum(-1, keepdim=True)
    return d - (p * d).sum(-1, keepdim=True)


def _near(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    """log1p(Σ p φ(δ − m)) for rows of moderate KL, illegal actions and large |δ − m| included."""
    log_p = log_softmax(p_logits)
    p, legal = log_p.exp(), log_p > -math.inf
    delta = q_logits.where(legal, 0.0) - p_logits.where(legal, 0.0)
    d = _centered(p, delta)
    small = legal & (d.abs() <= _SERIES_RADIUS)
    # ln(p eᵈ) as one number, since eᵈ alone may overflow where p is tiny; q's mass where p has none comes with it
    shift = (p * (delta - d)).sum(-1, keepdim=True) + p_logits.logsumexp(-1, keepdim=True)
    log_w = torch.where(legal, log_p.where(legal, 0.0) + d, q_logits - shift)
    large = log_w.masked_fill(small, 0.0).exp() - p - p * d
    return torch.where(small, p * _phi_series(d.where(small, 0.0)), large).sum(-1).log1p()


def _bregman(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Σ [q − p + p ln(p/q)]: every term is ≥ 0. +inf where q forbids what p allows."""
    p_legal, q_legal = log_p > -math.inf, log_q > -math.inf
    p, q = log_p.exp(), log_q.exp()
    log_ratio = log_p.where(p_legal & q_legal, 0.0) - log_q.where(p_legal & q_legal, 0.0)
    outside = (p_legal & ~q_legal).any(-1)
    return (q - p + p * log_ratio).sum(-1).clamp_min(0.0).masked_fill(outside, math.inf)


def _phi_series(x: Tensor) -> Tensor:
    """φ(x) = eˣ − 1 − x = x²/2 · (1 + x/3 · (1 + x/4 · (…))), for |x| ≤ ½."""
    total = torch.full_like(x, 2 / math.factorial(_SERIES_ORDER))
    for k in range(_SERIES_ORDER - 1, 1, -1):
        total = total * x + 2 / math.factorial(k)
    return x * x * total / 2


def _phi(x: Tensor) -> Tensor:
    """φ(x) = eˣ − 1 − x for any x, accurate near 0."""
    small = x.abs() <= _SERIES_RADIUS
    return torch.where(small, _phi_series(x.where(small, 0.0)), x.expm1() - x)


def gaussian_entropy(log_std: Tensor) -> Tensor:
    """H = Σ [ln σ + ½ (1 + ln 2π)]: differential entropy of a diagonal Gaussian, which may be negative.

    log_std: float[..., A]. Returns float[...].
    """
    return (log_std + 0.5 * (1 + math.log(2 * math.pi))).sum(-1)


def gaussian_kl(p_mean: Tensor, p_log_std: Tensor, q_mean: Tensor, q_log_std: Tensor) -> Tensor:
    """KL(p‖q) = ½ Σ [φ(2 (ln σ_p − ln σ_q)) + ((μ_p − μ_q) / σ_q)²], φ(x) = eˣ − 1 − x.

    All float[..., A], broadcast against one another. Returns float[...] ≥ 0, exactly 0 for p = q: no ε, no variances.
    A σ_q below e⁻³⁵⁰ counts as e⁻³⁵⁰ in the second term.
    """
    if p_mean.dtype != torch.float64:
        wide = gaussian_kl(p_mean.double(), p_log_std.double(), q_mean.double(), q_log_std.double())
        return wide.to(p_mean.dtype)
    spread = _phi(2 * (p_log_std - q_log_std))
    shift = ((p_mean - q_mean) * (-q_log_std).clamp_max(350.0).exp()).square()  # keeps 0 · ∞ out, even squared
    return 0.5 * (spread + shift).sum(-1)


def gaussian_log_prob(value: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """ln N(x; μ, σ²) = −Σ [½ ((x − μ)/σ)² + ln σ + ½ ln 2π]. All float[..., A]. Returns float[...]."""
    z = (value - mean) * (-log_std).exp()
    return -(0.5 * z.square() + log_std + 0.5 * math.log(2 * math.pi)).sum(-1)
