"""RMSprop in TensorFlow's form."""

from collections.abc import Callable, Iterable
from typing import cast

import torch
from torch import Tensor
from torch.optim import Optimizer

Groups = Iterable[dict[str, list[torch.nn.Parameter]]]


class RMSpropTFLike(Optimizer):
    """s ← α s + (1 − α) g², θ ← θ − lr · g / √(s + ε), from s = 1.

    torch's RMSprop begins at s = 0 and has ε outside the root: its first steps are ten times as long, and it divides
    by less where gradients are small. Source: tf.compat.v1.train.RMSPropOptimizer, as in the A3C and A2C of Atari.
    """

    def __init__(self, params: Groups, lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-5) -> None:
        super().__init__(params, {"lr": lr, "alpha": alpha, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step on the gradients of `backward`. Raises ValueError if a closure is passed."""
        if closure is not None:
            raise ValueError("RMSpropTFLike takes no closure; call backward() before step()")
        for group in self.param_groups:
            alpha, eps, lr = group["alpha"], group["eps"], group["lr"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state |= {"step": 0, "square_avg": torch.ones_like(p)}
                state["step"] += 1
                square_avg = cast(Tensor, state["square_avg"])
                square_avg.mul_(alpha).addcmul_(p.grad, p.grad, value=1 - alpha)
                p.addcdiv_(p.grad, square_avg.add(eps).sqrt_(), value=-lr)
