"""Classification losses, for behavior cloning and distillation."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from agents.maths.information.checks import (
    Reduction,
    check_indices,
    check_logits,
    check_normalized,
    check_numbers,
    check_probabilities,
    check_vectors,
    finish,
)
from agents.maths.information.logits import log_softmax
from agents.maths.information.numerics import closed_form


def nll_loss(
    log_p: Tensor, target: Tensor, *, base: float = math.e, reduction: Reduction = "mean", validate: bool = True
) -> Tensor:
    """−ln p_target from log-probabilities; with target probabilities y, −Σ y ln p (terms with y = 0 are 0).

    log_p: float[..., A], normalized; target: int64[...] in [0, A), or float[..., A]. Returns a scalar, float[...] with
    reduction="none". Raises ValueError where log_p is not normalized (for raw logits use `cross_entropy_loss`) and on
    targets of the wrong shape, type or range.
    """
    if validate:
        check_vectors("log_p", log_p)
        check_numbers("log_p", log_p, infinite=True)
        check_normalized("log_p", log_p)
    y = _distribution(log_p, target, validate)
    counts = (y > 0) | (log_p > -math.inf)
    return finish(-(y * log_p.where(counts, 0.0)).sum(-1).to(log_p.dtype), base, reduction)


def cross_entropy_loss(
    logits: Tensor, target: Tensor, *, label_smoothing: float = 0.0,
    base: float = math.e, reduction: Reduction = "mean", validate: bool = True,
) -> Tensor:  # fmt: skip
    """H(y, softmax(x)) = −Σ y ln softmax(x), where y is the target with smoothing s: (1 − s) y + s / A.

    logits: float[..., A]; target: int64[...] in [0, A), or probabilities float[..., A]. Returns a scalar, float[...]
    with reduction="none". Smoothing is spread over the legal actions of a row (logit > −inf); a target probability of
    0 on an illegal action adds 0. Raises ValueError on targets of the wrong shape, type or range, unless 0 ≤ s ≤ 1.
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must lie between 0 and 1, got {label_smoothing!r}")
    if validate:
        check_logits("logits", logits)
    y = _distribution(logits, target, validate)
    if label_smoothing:
        legal = logits > -math.inf
        y = (1 - label_smoothing) * y + label_smoothing * legal.double() / legal.sum(-1, keepdim=True)
    return finish(_cross_entropy(logits, y).to(logits.dtype), base, reduction)


def _distribution(logits: Tensor, target: Tensor, validate: bool) -> Tensor:
    """The target as probabilities, float64[..., A]."""
    (*batch, actions) = logits.shape
    if target.is_floating_point():
        if target.shape != logits.shape:
            raise ValueError(f"target probabilities of shape {tuple(target.shape)} for logits of {tuple(logits.shape)}")
        if validate:
            check_probabilities("target", target)
        return target.double()
    if target.dtype == torch.bool or target.shape != torch.Size(batch):
        kind = str(target.dtype).removeprefix("torch.")
        raise ValueError(f"target must hold indices of shape {tuple(batch)}, got {kind} of {tuple(target.shape)}")
    if validate:
        check_indices("target", target, actions)
    return functional.one_hot(target.long(), actions).double()


def _values(logits: Tensor, y: Tensor) -> Tensor:
    log_p = log_softmax(logits.double(), validate=False)
    return -(y * log_p.where(y > 0, 0.0)).sum(-1)


def _gradients(logits: Tensor, y: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
    """∂/∂x = p (1 − y) − y (1 − p), with 1 − p of the likeliest action as the sum of the other p; ∂/∂y = −ln p."""
    x = logits.double()
    log_p, legal = log_softmax(x, validate=False), logits > -math.inf
    p, top = log_p.exp(), x.argmax(-1, keepdim=True)
    rest = (1 - p).scatter(-1, top, p.scatter(-1, top, 0.0).sum(-1, keepdim=True))
    return (p * (1 - y) - y * rest).where(legal, 0.0), -log_p.where(legal, 0.0)


_cross_entropy = closed_form(_values, _gradients)
