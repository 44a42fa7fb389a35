"""Algorithm 1 of Goodfellow et al. 2014: minibatch stochastic gradient training of generative adversarial nets."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from rl.gan.losses import Form, discriminator_loss, generator_loss


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
    loss.backward(inputs=[x for group in optimizer.param_groups for x in group["params"] if x.requires_grad])  # type: ignore[no-untyped-call]
    optimizer.step()
