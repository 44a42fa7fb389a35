"""Classification losses on logits: what behavior cloning and distillation minimize."""

import math

from torch import Tensor

from rl.information.categorical import log_softmax
from rl.information.checks import Reduction, check_logits, check_numbers, check_probabilities, finish


def nll_loss(
    log_p: Tensor, target: Tensor, *, base: float = math.e, reduction: Reduction = "mean", validate: bool = True
) -> Tensor:
    """−ln p_target from log-probabilities; with target probabilities y, −Σ y ln p (where y = 0 nothing counts).

    log_p: float[..., A], normalized; target: int64[...] in [0, A), or float[..., A]. Returns a scalar, float[...] with
    reduction="none". Raises ValueError where log_p is not normalized (raw logits go to `cross_entropy_loss`), and on
    targets that do not fit.
    """
    if validate:
        check_numbers("log_p", log_p, infinite=True)
        total = log_p.detach().double().exp().sum(-1)
        if not bool(((total - 1).abs() < 1e-4).all()):
            raise ValueError(
                "log_p is not normalized: its probabilities sum to "
                f"{float(total.flatten()[(total.flatten() - 1).abs().argmax()]):.4g} in some row; "
                "raw logits go to cross_entropy_loss"
            )
    return finish(_pick(log_p, target, validate), base, reduction)


def cross_entropy_loss(
    logits: Tensor, target: Tensor, *, label_smoothing: float = 0.0,
    base: float = math.e, reduction: Reduction = "mean", validate: bool = True,
) -> Tensor:  # fmt: skip
    """H(y, softmax(x)) = −Σ y ln softmax(x), where y is the target with smoothing s: (1 − s) y + s / A.

    logits: float[..., A]; target: int64[...] in [0, A), or probabilities float[..., A]. Returns a scalar, float[...]
    with reduction="none". Smoothing spreads over the legal actions of a row (logit > −inf); a target probability of 0
    on an illegal action costs nothing. Raises ValueError on targets that do not fit and unless 0 ≤ s ≤ 1.
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must lie between 0 and 1, got {label_smoothing!r}")
    if validate:
        check_logits("logits", logits)
    log_p = log_softmax(logits, validate=False)
    loss = _pick(log_p, target, validate)
    if label_smoothing:
        legal = logits > -math.inf
        uniform = -log_p.where(legal, 0.0).sum(-1) / legal.sum(-1)
        loss = (1 - label_smoothing) * loss + label_smoothing * uniform
    return finish(loss, base, reduction)


def _pick(log_p: Tensor, target: Tensor, validate: bool) -> Tensor:
    """−Σ y ln p, y one-hot or given."""
    if target.is_floating_point():
        if target.shape != log_p.shape:
            raise ValueError(f"target probabilities of shape {tuple(target.shape)} for logits of {tuple(log_p.shape)}")
        if validate:
            check_probabilities("target", target)
        counts = target > 0
        return -(target * log_p.where(counts, 0.0)).sum(-1)
    if target.shape != log_p.shape[:-1]:
        raise ValueError(f"target indices of shape {tuple(target.shape)} for logits of {tuple(log_p.shape)}")
    if validate and target.numel() and not bool(((target >= 0) & (target < log_p.shape[-1])).all()):
        outside = target[(target < 0) | (target >= log_p.shape[-1])]
        raise ValueError(f"target holds {int(outside[0])}; indices lie between 0 and {log_p.shape[-1] - 1}")
    return -log_p.gather(-1, target.long().unsqueeze(-1)).squeeze(-1)
