"""Probabilities of categorical distributions from raw logits. A logit of −inf gives probability 0, and gradient 0."""

import math

import torch
from torch import Tensor

from agents.maths.information.checks import check_logits


def softmax(logits: Tensor, temperature: float = 1.0, *, validate: bool = True) -> Tensor:
    """p_i = e^{x_i/τ} / Σ_j e^{x_j/τ}. logits: float[..., A]. Returns float[..., A]. Raises as `log_softmax` does."""
    if validate:
        check_logits("logits", logits)
    z, top = _below_top(logits.double(), temperature)
    rest = z.exp().scatter(-1, top, 0.0)
    return (rest.scatter(-1, top, 1.0) / (1 + rest.sum(-1, keepdim=True))).to(logits.dtype)


def log_softmax(logits: Tensor, temperature: float = 1.0, *, validate: bool = True) -> Tensor:
    """ln p_i = z_i − log1p(Σ_{j≠top} e^{z_j}), where z = (logits − max(logits)) / τ.

    logits: float[..., A]. Returns float[..., A]. Leaving the top action out of the sum keeps its log-probability
    accurate when it is near 0 (a nearly deterministic policy), where log(1 + tiny) is lost. Computed in float64.
    Raises ValueError on NaN, on +inf, where every action is illegal, and unless τ is positive and finite.
    """
    if validate:
        check_logits("logits", logits)
    z, top = _below_top(logits.double(), temperature)
    rest = z.exp().scatter(-1, top, 0.0).sum(-1, keepdim=True)
    log_p = z.scatter(-1, top, 0.0) - rest.log1p()  # z[top] is 0; a constant 0 keeps 1 − 1 out of the gradient
    return log_p.to(logits.dtype)


def log_probabilities(logits: Tensor) -> Tensor:
    """ln p as `log_softmax`, computed in float64: faster, and 0 instead of ln(1 − x) for x below 1e-16.

    logits: float[..., A], not checked. Returns float[..., A]. For policies in training.
    """
    return torch.log_softmax(logits, -1, dtype=torch.float64).to(logits.dtype)


def _below_top(logits: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """(logits − max) / τ, and the index of the maximum."""
    peak, top = logits.max(-1, keepdim=True)
    if temperature == 1.0:
        return logits - peak, top
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be positive and finite, got {temperature!r}")
    return (logits - peak) / temperature, top
