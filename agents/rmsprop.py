"""RMSprop in torch's form, with less overhead, and in TensorFlow's form; Adam. None of them loads torch's compiler."""

from collections.abc import Callable, Iterable
from inspect import unwrap
from typing import TypeVar, cast

import torch
from torch import Tensor
from torch.optim import Optimizer

Groups = Iterable[dict[str, list[torch.nn.Parameter]]]
_OPTIONS = ("weight_decay", "momentum", "centered", "maximize", "capturable", "differentiable")

Class = TypeVar("Class", bound=type[Optimizer])


def without_compiler(optimizer: Class) -> Class:
    """Removes the decorators of torch's methods that exclude them from `torch.compile`.

    The first call of a decorated method imports the compiler, which takes as long as importing torch.
    """
    for name in ("add_param_group", "load_state_dict", "state_dict", "zero_grad"):
        setattr(optimizer, name, unwrap(getattr(Optimizer, name)))
    return optimizer


@without_compiler
class Adam(torch.optim.Adam):
    """torch's Adam, without the compiler."""


@without_compiler
class RMSprop(torch.optim.RMSprop):
    """s ← α s + (1 − α) g², θ ← θ − lr · g / (√s + ε), from s = 0.

    torch's own sorts the tensors by device and type, which takes longer than the arithmetic of small networks.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step; uses torch's own for the first step, which builds the state, and for any of torch's options."""
        learning = [[p for p in group["params"] if p.grad is not None] for group in self.param_groups]
        begun = all(self.state.get(p) for parameters in learning for p in parameters)
        if not begun or closure is not None or any(group[name] for group in self.param_groups for name in _OPTIONS):
            return cast("float | None", super().step(closure))
        for group, parameters in zip(self.param_groups, learning, strict=True):
            if not parameters:
                continue
            gradients, states = [p.grad for p in parameters], [self.state[p] for p in parameters]
            squares = [state["square_avg"] for state in states]
            torch._foreach_add_([state["step"] for state in states], 1)
            torch._foreach_mul_(squares, group["alpha"])
            torch._foreach_addcmul_(squares, gradients, gradients, 1 - group["alpha"])
            roots = torch._foreach_sqrt(squares)
            torch._foreach_add_(roots, group["eps"])
            torch._foreach_addcdiv_(parameters, gradients, roots, -group["lr"])
        return None


@without_compiler
class RMSpropTFLike(Optimizer):
    """s ← α s + (1 − α) g², θ ← θ − lr · g / √(s + ε), from s = 1.

    torch's RMSprop starts at s = 0 and has ε outside the root: its first steps are ten times as long, and small
    gradients get a smaller divisor. Source: tf.compat.v1.train.RMSPropOptimizer, as used by A3C and A2C on Atari.
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
