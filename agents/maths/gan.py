"""GAN objective, losses and training on the discriminator's logit x: D = σ(x), log D = ln σ(x), log(1 − D) = ln σ(−x).

p is the data distribution, q the model. Logarithms and divergences are those of `agents.maths.information`, in nats.
Source: Goodfellow et al. 2014, "Generative adversarial nets".
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
    """V(D, G) = E_data[log D(x)] + E_g[log(1 − D(x))], both as sample means.

    real_logit, fake_logit: float[...], whose shapes may differ. Returns a scalar ≤ 0: −log 4 for D = ½.
    Raises ValueError on NaN and empty input.
    """
    if validate:
        for name, logit in (("real_logit", real_logit), ("fake_logit", fake_logit)):
            check_numbers(name, logit, infinite=True)
            if not logit.numel():
                raise ValueError(f"{name} of shape {tuple(logit.shape)} holds no sample")
    log_d = information.log_sigmoid(real_logit, validate=False)
    return log_d.mean() + information.log_sigmoid(-fake_logit, validate=False).mean()


def expected_value(logit: Tensor, p: Tensor, q: Tensor, *, validate: bool = True) -> Tensor:
    """V(D, G) = Σ p log D + q log(1 − D), for distributions on a finite set, with 0 · log 0 = 0.

    logit, p, q: float[..., A], which broadcast; for densities on a grid, p and q are density × spacing. Returns
    float[...]. Raises ValueError on NaN, negative weights, and incompatible shapes.
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

    ±inf where only one of p and q has mass; 0 where neither has, because V does not depend on D there.
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

    −log 4 for p = q, 0 for disjoint supports. Raises ValueError as `information.js` does. Source: Theorem 1.
    """
    return 2 * information.js(p, q, validate=validate) - LOG_4


def optimal_value_from_logits(p_logits: Tensor, q_logits: Tensor, *, validate: bool = True) -> Tensor:
    """C(G) of softmax(p_logits) and softmax(q_logits), as `optimal_value`; raises as `information.js_from_logits`."""
    return 2 * information.js_from_logits(p_logits, q_logits, validate=validate) - LOG_4


def jsd_estimate(v: Tensor) -> Tensor:
    """½ (V + log 4) ≤ JSD(p‖q), with equality for D*.

    v: float[...], V(D, G). A lower bound in expectation if V is measured on samples that D was not trained on; negative
    if D is worse than a coin.
    """
    return 0.5 * (v + LOG_4)


def discriminator_loss(real_logit: Tensor, fake_logit: Tensor, *, validate: bool = True) -> Tensor:
    """−V(D, G): the binary cross-entropies on data (label 1) and model (label 0), summed. See `value`."""
    return -value(real_logit, fake_logit, validate=validate)


def generator_loss(
    fake_logit: Tensor, form: Form = "non-saturating", *, reduction: Reduction = "mean", validate: bool = True
) -> Tensor:
    """log(1 − D) ("saturating", the minimax game) or −log D ("non-saturating"), at samples of the model.

    fake_logit: float[...]. Returns a scalar, float[...] with reduction="none". Where D is sure that a sample is fake,
    x → −∞, the derivative in x is −D → 0 for the first and −(1 − D) → −1 for the second; both have the same fixed
    point. Raises ValueError on NaN and unknown forms. Source: section 3.
    """
    if form not in get_args(Form):
        raise ValueError(f'form must be "saturating" or "non-saturating", got {form!r}')
    if validate:
        check_numbers("fake_logit", fake_logit, infinite=True)
    sign = -1 if form == "saturating" else 1
    return finish(-sign * information.log_sigmoid(sign * fake_logit, validate=False), math.e, reduction)


class Step(NamedTuple):
    """Metrics of one iteration, each measured on fresh minibatches before the step that uses them."""

    iteration: int  # from 1
    value: Tensor  # V(D, G), before the last of the k discriminator steps
    generator_loss: Tensor


def train(
    generator: nn.Module, discriminator: nn.Module, data: Iterator[Tensor], noise: Iterator[Tensor],
    generator_optimizer: Optimizer, discriminator_optimizer: Optimizer,
    *, iterations: int, k: int = 1, form: Form = "non-saturating",
) -> Iterator[Step]:  # fmt: skip
    """Algorithm 1. Per iteration: k ascent steps on V(D, G) for the discriminator, one descent step for the generator.

    generator: noise → samples; discriminator: samples → logits of any shape. data, noise: endless iterators over
    minibatches of p_data and of the prior p_z, the only sources of randomness. Each optimizer holds the parameters of
    one network (`torch.optim.SGD` with momentum in the paper); the caller may change it between iterations. Lazy: the
    first step runs when the first iteration is requested.
    Raises ValueError unless iterations ≥ 1 and k ≥ 1, when minibatches run out, and on NaN logits.
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
        fooling_loss = generator_loss(discriminator(generator(_draw("noise", noise))), form)
        _descend(generator_optimizer, fooling_loss)
        yield Step(iteration, -loss.detach(), fooling_loss.detach())


def _draw(name: str, minibatches: Iterator[Tensor]) -> Tensor:
    minibatch = next(minibatches, None)
    if minibatch is None:
        raise ValueError(f"{name} ran out of minibatches; pass an endless iterator (itertools.cycle repeats a list)")
    return minibatch


def _descend(optimizer: Optimizer, loss: Tensor) -> None:
    """One step on the optimizer's own parameters; the other network in the loss gets no gradient."""
    optimizer.zero_grad()
    loss.backward(inputs=[x for group in optimizer.param_groups for x in group["params"] if x.requires_grad])
    optimizer.step()
