"""Eligibility traces of a network's parameters, and the step that they bound (ObGD)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

_TINY = 1e-30  # smaller traces are set to 0: denormal numbers are slow


class Traces:
    """e ← γλ e + g, and ObGD: w ← w + step · δ · e, where step = α / max(α κ max(|δ|, 1) ‖e‖₁, 1).

    To first order, a step changes ln π or V at s by at most |δ| / κ of an error of 1, so it does not overshoot.
    Source: Elsayed, Vasan & Mahmood 2024, "Streaming deep reinforcement learning finally works", algorithm 3.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], overshoot: float, step_size: float) -> None:
        """overshoot: κ; step_size: α."""
        self.parameters, self.overshoot, self.step_size = list(parameters), overshoot, step_size
        self.traces = [torch.zeros_like(p) for p in self.parameters]

    def accumulate(self, gradients: Sequence[Tensor], decay: float) -> None:
        """e ← decay · e + g. decay: γλ."""
        for e, g in zip(self.traces, gradients, strict=True):
            e.mul_(decay).add_(g)
            e.masked_fill_(e.abs() < _TINY, 0.0)

    @torch.no_grad()
    def step(self, delta: Tensor, push: Sequence[Tensor] = ()) -> Tensor:
        """w ← w + step · (δ e + push). delta: the TD error, a scalar; push: as the parameters. Returns the step."""
        length = torch.stack([e.abs().sum() for e in self.traces]).sum()
        bound = self.step_size * self.overshoot * delta.abs().clamp_min(1.0) * length
        step = self.step_size / bound.clamp_min(1.0)
        for p, e in zip(self.parameters, self.traces, strict=True):
            p.add_(step * delta * e)
        for p, direction in zip(self.parameters, push, strict=False):
            p.add_(step * direction)
        return step

    def reset(self) -> None:
        for e in self.traces:
            e.zero_()

    def state_dict(self) -> dict[str, object]:
        return {"traces": [e.clone() for e in self.traces]}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        saved = state["traces"]
        assert isinstance(saved, list)
        for e, other in zip(self.traces, saved, strict=True):
            e.copy_(other)
