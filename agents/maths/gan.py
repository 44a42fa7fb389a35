"""The GAN objective on the discriminator's logits x: D = σ(x), log D = ln σ(x), log(1 − D) = ln σ(−x).

p is the data, q the model. Logarithms and divergences are those of `rl.information`, in nats. Source of all equations:
Goodfellow et al. 2014, "Generative adversarial nets".
"""

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from agents.maths import information
from agents.maths.information.checks import Reduction, check_broadcast, check_numbers, finish

__all__ = [
    "LOG_4", "Form", "Step", "discriminator_loss", "expected_value", "generator_loss", "jsd_estimate",
    "optimal_logit", "optimal_value", "optimal_value_from_logits", "train", "value",
]  # fmt: skip

Form = Literal["saturating", "non-saturating"]

LOG_4 = math.log(4)


def value(real_logit: Tensor, fake_logit: Tensor, *, validate: bool = True) -> Tensor:
    """V(D, G) = E_data[log D(x)] + E_g[log(1 − D(x))], means over all samples of either side.

    real_logit, fake_logit: float[...], of any two shapes. Returns a scalar ≤ 0: −log 4 for D = ½.
    Raises ValueError on NaN and where a side has no sample.
    """
    if validate:
        for name, logit in (("real_logit", real_logit), ("fake_logit", fake_logit)):
            check_numbers(name, logit, infinite=True)
            if not logit.numel():
                raise ValueError(f"{name} of shape {tuple(logit.shape)} holds no sample")
    log_d = information.log_sigmoid(real_logit, validate=False)
    return log_d.mean() + information.log_sigmoid(-fake_logit, validate=False).mean()


def expected_value(logit: Tensor, p: Tensor, q: Tensor, *, validate: bool = True) -> Tensor:
    """V(D, G) = Σ p log D + q log(1 − D), of distributions on a finite set; where p or q is 0, the term is 0.

    logit, p, q: float[..., A], which broadcast; for densities, p and q are density × spacing on a grid. Returns
    float[...]. Raises ValueError on NaN, negative weights, and shapes that do not fit.
    """
    if validate:
        check_broadcast(1, logit=logit, p=p, q=q)
        check_numbers("logit", logit, infinite=True)
        for name, weight in (("p", p), ("q", q)):
            check_numbers(name, weight)
            if bool((weight < 0).any()):
                raise ValueError(f"{name} holds {float(weight.detach().min()):g}; a probability is not negative")
    log_d, log_not_d = (information.log_sigmoid(x, validate=False) for x in (logit, -logit))
    return (p * log_d.where(p > 0, 0.0) + q * log_not_d.where(q > 0, 0.0)).sum(-1)


def optimal_logit(log_p_data: Tensor, log_p_model: Tensor, *, validate: bool = True) -> Tensor:
    """The logit of D* = p/(p + q), which is ln p − ln q. Both float[...], which broadcast. Returns float[...].

    ±inf where only one of them has mass; 0 where neither has, since D* is undefined there and V does not depend on it.
    Raises ValueError on NaN, +inf, and shapes that do not broadcast. Source: Proposition 1.
    """
    if validate:
        check_broadcast(0, log_p_data=log_p_data, log_p_model=log_p_model)
        for name, log_p in (("log_p_data", log_p_data), ("log_p_model", log_p_model)):
            check_numbers(name, log_p, infinite=True)
            if bool((log_p == math.inf).any()):
                raise ValueError(f"{name} holds +inf; a log-density is finite, or -inf")
    neither = (log_p_data == -math.inf) & (log_p_model == -math.inf)
    return torch.where(neither, 0.0, log_p_data - log_p_model.masked_fill(neither, 0.0))


def optimal_value(p: Tensor, q: Tensor, *, validate: bool = True) -> Tensor:
    """C(G) = max_D V(D, G) = −log 4 + 2 JSD(p‖q), from probabilities, float[..., A]. Returns float[...].

    −log 4 for p = q, 0 for disjoint supports. Raises ValueError as `rl.information.js` does. Source: Theorem 1.
    """
    return 2 * information.js(p, q, validate=validate) - LOG_4


def optimal_value_from_logits(p_logits: Tensor, q_logits: Tensor, *, validate: bool = True) -> Tensor:
    """C(G) of softmax(p_logits) and softmax(q_logits), as `optimal_value`; raises as `information.js_from_logits`."""
    return 2 * information.js_from_logits(p_logits, q_logits, validate=validate) - LOG_4


def jsd_estimate(v: Tensor) -> Tensor:
    """½ (V + log 4) ≤ JSD(p‖q), with equality for D*: what a discriminator says of how far apart p and q are.

    v: float[...], V(D, G). A lower bound in expectation, if V is taken on samples that D was not trained on; it may be
    negative, of a D that is worse than a coin.
    """
    return 0.5 * (v + LOG_4)


def discriminator_loss(real_logit: Tensor, fake_logit: Tensor, *, validate: bool = True) -> Tensor:
    """−V(D, G): the binary cross-entropy of telling data (1) from model (0), summed over the two. See `value`."""
    return -value(real_logit, fake_logit, validate=validate)


def generator_loss(
    fake_logit: Tensor, form: Form = "non-saturating", *, reduction: Reduction = "mean", validate: bool = True
) -> Tensor:
    """log(1 − D) ("saturating", the minimax game) or −log D ("non-saturating"), at samples of the model.

    fake_logit: float[...]. Returns a scalar, float[...] with reduction="none". Where D is sure that a sample is fake,
    x → −∞, the slope in x of the first is −D → 0 and that of the second −(1 − D) → −1; both have the same fixed point.
    Raises ValueError on NaN and on another form. Source: section 3.
    """
    if form not in get_args(Form):
        raise ValueError(f'form must be "saturating" or "non-saturating", got {form!r}')
    if validate:
        check_numbers("fake_logit", fake_logit, infinite=True)
    sign = -1 if form == "saturating" else 1
    return finish(-sign * information.log_sigmoid(sign * fake_logit, validate=False), math.e, reduction)


class Step(NamedTuple):
    """What an iteration measured, each on its own fresh minibatches and before the step that they were drawn for."""

    iteration: int  # from 1
    value: Tensor  # V(D, G), at the last of the k discriminator steps
    generator_loss: Tensor


def train(
    generator: nn.Module, discriminator: nn.Module, data: Iterator[Tensor], noise: Iterator[Tensor],
    generator_optimizer: Optimizer, discriminator_optimizer: Optimizer,
    *, iterations: int, k: int = 1, form: Form = "non-saturating",
) -> Iterator[Step]:  # fmt: skip
    """Each iteration: k steps up V(D, G) for the discriminator, then one step down its loss for the generator.

    generator: noise → samples; discriminator: samples → logits of any shape. data, noise: minibatches without end, of
    p_data and of the prior p_z; all that is random is in them. The optimizers hold the parameters of one network each
    (the paper's are `torch.optim.SGD` with momentum) and belong to the caller, who may change them between iterations,
    as may schedules and averages. Nothing happens until the first iteration is asked for.
    Raises ValueError unless iterations ≥ 1 and k ≥ 1, if minibatches end, and on a logit that is NaN.
    """
    for name, number in (("iterations", iterations), ("k", k)):
        if number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")
    for iteration in range(1, iterations + 1):
        for _ in range(k):
            with torch.no_grad():
                fake = generator(_draw("noise", noise))
            loss = discriminator_loss(discriminator(_draw("data", data)), discriminator(fake))
            _descend(discriminator_optimizer, loss)
        deceived = generator_loss(discriminator(generator(_draw("noise", noise))), form)
        _descend(generator_optimizer, deceived)
        yield Step(iteration, -loss.detach(), deceived.detach())


def _draw(name: str, minibatches: Iterator[Tensor]) -> Tensor:
    minibatch = next(minibatches, None)
    if minibatch is None:
        raise ValueError(f"{name} came to an end; training needs minibatches without end (itertools.cycle repeats)")
    return minibatch


def _descend(optimizer: Optimizer, loss: Tensor) -> None:
    """One step of this optimizer's parameters; the other network, which the loss depends on too, gets no gradient."""
    optimizer.zero_grad()
    loss.backward(inputs=[x for group in optimizer.param_groups for x in group["params"] if x.requires_grad])
    optimizer.step()
