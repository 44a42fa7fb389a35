"""RMSprop in torch's form, with less overhead, and in TensorFlow's form; Adam. None of them loads torch's compiler."""

from collections.abc import Callable, Iterable, MutableMapping, Sequence
from inspect import unwrap
from operator import is_
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from torch.optim import Optimizer

Groups = Iterable[dict[str, list[torch.nn.Parameter]]]
State = MutableMapping[Tensor, dict[str, Any]]  # of an optimizer
_MOST = 100_000  # numbers that are computed in one row
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


class _Row:
    """The state of RMSprop for several parameters, each part of it in one row: `state` holds views of the rows."""

    def __init__(self, parameters: Sequence[Tensor], state: State) -> None:
        self.parameters = parameters
        self.square = torch.cat([state[p]["square_avg"].reshape(-1) for p in parameters])
        self.count = torch.stack([state[p]["step"] for p in parameters])
        self.zero, self.change = torch.zeros_like(self.square), torch.empty_like(self.square)
        self.squares, self.changes = (_like(parameters, row) for row in (self.square, self.change))
        self.counts = self.count.unbind()
        for p, square, count in zip(parameters, self.squares, self.counts, strict=True):
            state[p] |= {"square_avg": square, "step": count}

    def holds(self, parameters: Sequence[Tensor], state: State) -> bool:
        """Whether `state` still has the views; loading a checkpoint or the fused engine replaces them."""
        if len(parameters) != len(self.parameters) or not all(map(is_, parameters, self.parameters)):
            return False
        states = [state[p] for p in parameters]
        return all(map(is_, [each["square_avg"] for each in states], self.squares)) and all(
            map(is_, [each["step"] for each in states], self.counts)
        )


def _like(parameters: Sequence[Tensor], row: Tensor) -> list[Tensor]:
    """Views of the row in the parameters' shapes."""
    parts = row.split([p.numel() for p in parameters])
    return [part.view_as(p) for part, p in zip(parts, parameters, strict=True)]


@without_compiler
class RMSprop(torch.optim.RMSprop):
    """s ← α s + (1 − α) g², θ ← θ − lr · g / (√s + ε), from s = 0.

    Computes small networks in one row: a call for every parameter, as in torch's own, takes longer than its arithmetic.
    """

    _row: _Row | None = None

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step; torch's own for the first, which builds the state, for large networks and for torch's options."""
        groups = self.param_groups
        (alpha, eps), *others = {(group["alpha"], group["eps"]) for group in groups}
        parameters = [p for group in groups for p in group["params"] if p.grad is not None]
        plain = closure is None and not others and not any(group[name] for group in groups for name in _OPTIONS)
        row = self._in_row(parameters) if plain else None
        if row is None:
            return cast("float | None", super().step(closure))
        g = torch.cat([cast(Tensor, p.grad).reshape(-1) for p in parameters])
        row.count.add_(1)
        row.square.mul_(alpha).addcmul_(g, g, value=1 - alpha)
        root = row.square.sqrt().add_(eps)
        end = 0
        for group in groups:
            begin, end = end, end + sum(p.numel() for p in group["params"] if p.grad is not None)
            own = slice(begin, end)
            torch.addcdiv(row.zero[own], g[own], root[own], value=-group["lr"], out=row.change[own])
        torch._foreach_add_(parameters, row.changes)
        return None

    def _in_row(self, parameters: Sequence[Tensor]) -> _Row | None:
        """None without state, for several types, or for so many numbers that copies would cost more than calls."""
        if self._row is None or not self._row.holds(parameters, self.state):
            begun = parameters and all(self.state.get(p) for p in parameters)
            small = sum(p.numel() for p in parameters) <= _MOST and len({(p.dtype, p.device) for p in parameters}) == 1
            self._row = _Row(parameters, self.state) if begun and small else None
        return self._row


@without_compiler
class RMSpropTFLike(Optimizer):
    """s ← α s + (1 − α) g², θ ← θ − lr · g / √(s + ε), from s = 1.

    torch's RMSprop starts at s = 0 and has ε outside the root: its first steps are ten times as long, and small
    gradients get a smaller divisor. Source: tf.compat.v1.train.RMSPropOptimizer, as used by A3C and A2C on Atari.
    """

    def __init__(self, params: Groups, lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-5) -> None:
        if min(lr, alpha, eps) < 0:
            raise ValueError(f"lr, alpha and eps must not be negative, got {lr}, {alpha} and {eps}")
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
