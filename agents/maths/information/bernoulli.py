"""Vectors of independent bits, float[..., D]: results are summed over D. For results per bit, unsqueeze the input.

A bit with logit x is computed as a two-action policy with logits (0, x), except in the elementwise `log_sigmoid`.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from agents.maths.information.categorical import entropy_from_logits, kl_from_logits
from agents.maths.information.checks import Reduction, check_broadcast, check_numbers, check_unit_interval, finish
from agents.maths.information.numerics import closed_form


def bernoulli_entropy(
    p: Tensor, *, base: float = math.e, reduction: Reduction = "none", validate: bool = True
) -> Tensor:
    """H = Σ [−p ln p − (1 − p) ln(1 − p)]. p: float[..., D], the probabilities of 1. Returns float[...].

    Raises ValueError where p is outside [0, 1].
    """
    if validate:
        check_unit_interval("p", p)
    return finish(_entropy(p.reshape(p.shape or (1,))), base, reduction)


def bernoulli_entropy_from_logits(
    logits: Tensor, *, base: float = math.e, reduction: Reduction = "none", validate: bool = True
) -> Tensor:
    """H = Σ [softplus(x) − x σ(x)], accurate for any x.

    logits: float[..., D], ±inf for a certain bit. Returns float[...]. Raises ValueError on NaN.
    """
    if validate:
        check_numbers("logits", logits, infinite=True)
    return finish(entropy_from_logits(two_actions(logits), validate=False).sum(-1), base, reduction)


def bernoulli_kl_from_logits(
    p_logits: Tensor, q_logits: Tensor, *, base: float = math.e, reduction: Reduction = "none", validate: bool = True
) -> Tensor:
    """KL(p‖q) = Σ [p ln(p/q) + (1 − p) ln((1 − p)/(1 − q))], p = σ(p_logits), q = σ(q_logits).

    Both float[..., D], which broadcast. Returns float[...] ≥ 0; +inf where q is certain and p allows the opposite.
    Raises ValueError on NaN and on shapes that do not fit.
    """
    if validate:
        check_broadcast(1, p_logits=p_logits, q_logits=q_logits)
        check_numbers("p_logits", p_logits, infinite=True)
        check_numbers("q_logits", q_logits, infinite=True)
    kl = kl_from_logits(two_actions(p_logits), two_actions(q_logits), validate=False)
    return finish(kl.sum(-1), base, reduction)


def log_sigmoid(logits: Tensor, *, validate: bool = True) -> Tensor:
    """ln σ(x) = −softplus(−x) = min(x, 0) − log1p(e^{−|x|}), elementwise; ln(1 − σ(x)) is `log_sigmoid(-x)`.

    logits: float[...], ±inf for a certain bit. Returns float[...] ≤ 0; −inf at −inf, with gradient 1, its limit.
    Raises ValueError on NaN.
    """
    if validate:
        check_numbers("logits", logits, infinite=True)
    return _log_sigmoid(logits)


def two_actions(logits: Tensor) -> Tensor:
    """Logits of each bit's two values: (0, x), or (−x, 0) where x > 0, so that ±inf is legal.

    float[..., D] → float[..., D, 2].
    """
    x = logits.reshape(logits.shape or (1,))
    return torch.stack([torch.where(x > 0, -x, 0.0), torch.where(x > 0, 0.0, x)], -1)


def _entropy_values(p: Tensor) -> Tensor:
    x = p.double().clamp_max(1.0)  # validation allows 1 + rounding error
    terms: Tensor = torch.special.xlogy(x, x) + torch.special.xlog1py(1 - x, -x)
    return -terms.sum(-1)


def _entropy_gradients(p: Tensor, _: Tensor) -> tuple[Tensor]:
    """ln((1 − p)/p), and 0 at 0 and 1."""
    inside = (p > 0) & (p < 1)
    x = p.double().where(inside, 0.5)
    return ((-x).log1p() - x.log(),)


def _log_sigmoid_gradients(logits: Tensor, _: Tensor) -> tuple[Tensor]:
    """σ(−x), as e^{ln σ(−x)}: its derivatives are accurate where σ is within rounding of 0 or 1."""
    return (functional.logsigmoid(-logits.double()).exp(),)


_entropy = closed_form(_entropy_values, _entropy_gradients)
_log_sigmoid = closed_form(lambda logits: functional.logsigmoid(logits.double()), _log_sigmoid_gradients)
