"""Eligibility traces of a network's parameters, and steps along them."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from agents.step_rules import StepRule
from envs import saved

TINY = 1e-30  # smaller values become 0, since denormal numbers are slow


class Traces:
    """e ← γλ e + g, then w ← w + step · (δ e + push) / d, with step and d from a rule (`agents.step_rules`).

    Source: Sutton & Barto 2018, section 13.5.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], rule: StepRule, decay: float) -> None:
        """decay: γλ."""
        self.parameters, self.rule, self.decay = list(parameters), rule, decay
        self.traces = [torch.zeros_like(p) for p in self.parameters]
        self._gradients: Sequence[Tensor] = ()

    def gradients(self, of: Tensor) -> list[Tensor]:
        """∇ of a scalar; 0 for frozen or unused parameters. Keeps the graph."""
        learning = [p for p in self.parameters if p.requires_grad]
        found = torch.autograd.grad(of, learning, retain_graph=True, allow_unused=True) if learning else ()
        by_parameter = dict(zip(learning, found, strict=True))
        gradients = [by_parameter.get(p) for p in self.parameters]
        return [torch.zeros_like(p) if g is None else g for p, g in zip(self.parameters, gradients, strict=True)]

    def accumulate(self, gradients: Sequence[Tensor]) -> None:
        """e ← γλ e + g, and e ← 0 for frozen parameters."""
        self._gradients = gradients
        for p, e, g in zip(self.parameters, self.traces, gradients, strict=True):
            e.mul_(self.decay if p.requires_grad else 0.0).add_(g)
            e.masked_fill_(e.abs() < TINY, 0.0)

    @torch.no_grad()
    def step(self, delta: Tensor, push: Sequence[Tensor] = (), share: Tensor | None = None) -> Tensor:
        """w ← w + step · (δ e + push) / d. Returns the step.

        delta: the TD error, a scalar; push: shaped like the parameters; share: factor of the rule's step, a scalar.
        """
        size, delta, divisors = self.rule.measure(self.traces, self._gradients, delta, self.decay)
        size = size if share is None else size * share
        moves = [delta * e for e in self.traces]
        moves = [move + g for move, g in zip(moves, push, strict=True)] if push else moves
        moves = moves if divisors is None else [move / d for move, d in zip(moves, divisors, strict=True)]
        for p, move in zip(self.parameters, moves, strict=True):
            p.add_(size * move)
        return size

    def finish(self, ended: bool) -> None:
        """After an update: clears the traces at an episode's end, and after every step if γλ = 0."""
        if ended or self.decay == 0:
            self.reset()

    def reset(self) -> None:
        for e in self.traces:
            e.zero_()

    def state_dict(self) -> dict[str, object]:
        return {
            "traces": [e.clone() for e in self.traces],
            "moments": [v.clone() for v in self.rule.moments],
            "state": self.rule.state.clone(),
        }

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Raises Misfit if the state does not fit traces of these parameters."""
        for name, own in (("traces", self.traces), ("moments", self.rule.moments)):
            for e, other in zip(own, saved.sequence(state[name], name, len(own)), strict=True):
                e.copy_(saved.tensor(other, name, e.dtype, e.shape))
        rule = self.rule.state
        rule.copy_(saved.tensor(state["state"], "state", rule.dtype, rule.shape))
