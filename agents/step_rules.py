"""Step rules: how far a network moves along its eligibility trace e, w ← w + step · (δ e + push) / d."""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

MOMENT_DECAY = 0.999  # decay of the running mean of squares
ADAPTIVE_EPS = 1e-8  # inside the root, in adaptive ObGD
INTENT_EPS = 1e-8  # outside the root; also the smallest divisor of an intentional step
CLIP_DECAY, CLIP_DEVIATIONS = 0.9998, 20.0  # for clipping the TD error in intentional steps


class Step(NamedTuple):
    size: Tensor  # scalar
    delta: Tensor  # TD error, possibly modified by the rule; scalar
    divisors: Sequence[Tensor] | None  # d, shaped like the parameters; None: 1


class StepRule(Protocol):
    moments: list[Tensor]  # shaped like the parameters; empty if the rule has none
    state: Tensor  # float64[4], the rule's state

    def measure(self, traces: Sequence[Tensor], gradients: Sequence[Tensor], delta: Tensor, decay: float) -> Step:
        """The step for these traces. gradients: those just added to the traces; decay: γλ."""


class ObGD:
    """step = α / max(α κ max(|δ|, 1) ‖e‖₁, 1), d = 1.

    To first order, a step changes ln π or V at s by at most min(|δ|, 1) / κ, for gradients of at most 1.
    Source: Elsayed, Vasan & Mahmood 2024, "Streaming deep reinforcement learning finally works", algorithm 3.
    """

    def __init__(self, overshoot: float, step_size: float) -> None:
        """overshoot: κ; step_size: α."""
        self.overshoot, self.step_size = overshoot, step_size
        self.moments: list[Tensor] = []
        self.state = torch.zeros(4, dtype=torch.float64)

    def measure(self, traces: Sequence[Tensor], gradients: Sequence[Tensor], delta: Tensor, decay: float) -> Step:
        length = torch.stack([e.abs().sum() for e in traces]).sum()
        return Step(self._size(delta, length), delta, None)

    def _size(self, delta: Tensor, length: Tensor) -> Tensor:
        bound = self.step_size * self.overshoot * delta.abs().clamp_min(1.0) * length
        return self.step_size / bound.clamp_min(1.0)


class AdaptiveObGD(ObGD):
    """ObGD with d = √(v̂ + 1e-8), where v is the running mean of (δ e)², and ‖e / d‖₁ instead of ‖e‖₁.

    Source: the appendix of the same paper.
    """

    def __init__(self, overshoot: float, step_size: float, parameters: Sequence[Tensor]) -> None:
        super().__init__(overshoot, step_size)
        self.moments = [torch.zeros_like(p) for p in parameters]

    def measure(self, traces: Sequence[Tensor], gradients: Sequence[Tensor], delta: Tensor, decay: float) -> Step:
        self.state[0] += 1
        correction = 1 - MOMENT_DECAY ** float(self.state[0])
        for v, e in zip(self.moments, traces, strict=True):
            v.lerp_((delta * e).square(), 1 - MOMENT_DECAY)
        divisors = [(v / correction + ADAPTIVE_EPS).sqrt() for v in self.moments]
        length = torch.stack([(e / d).abs().sum() for e, d in zip(traces, divisors, strict=True)]).sum()
        return Step(self._size(delta, length), delta, divisors)


class Intentional:
    """step = η / √(σ̂ z), d = √v̂ + 1e-8: V(s) moves by η δ, ln π(a|s) by η δ / E|δ|.

    v is the running mean of squared gradients, z = Σ e²/d, σ the running mean of n = Σ g²/d with decay γλ. |δ| is
    clipped at 20 times its running root mean square.
    Source: Sharifnassab et al. 2026, "Intentional updates for streaming reinforcement learning".
    """

    def __init__(self, intent: float, relative: bool, parameters: Sequence[Tensor]) -> None:
        """intent: η; relative: whether to divide δ by the running mean of |δ|, as for the policy."""
        self.intent, self.relative = intent, relative
        self.moments = [torch.zeros_like(p) for p in parameters]
        self.state = torch.zeros(4, dtype=torch.float64)  # steps, σ, running mean of δ², running mean of |δ|

    def measure(self, traces: Sequence[Tensor], gradients: Sequence[Tensor], delta: Tensor, decay: float) -> Step:
        steps, sigma, square, size = self.state.tolist()
        steps += 1
        square += (1 - CLIP_DECAY) * (float(delta) ** 2 - square)
        seen = 1 - CLIP_DECAY**steps
        limit = CLIP_DEVIATIONS * math.sqrt(square / seen)
        delta = delta.clamp(-limit, limit)
        size += (1 - CLIP_DECAY) * (abs(float(delta)) - size)
        for v, g in zip(self.moments, gradients, strict=True):
            v.lerp_(g.square(), 1 - MOMENT_DECAY)
        correction = 1 - MOMENT_DECAY**steps
        divisors = [(v / correction).sqrt() + INTENT_EPS for v in self.moments]
        n, z = (
            float(torch.stack([(x.square() / d).sum() for x, d in zip(parts, divisors, strict=True)]).sum())
            for parts in (gradients, traces)
        )
        sigma += (1 - decay) * (n - sigma)
        self.state.copy_(torch.tensor([steps, sigma, square, size], dtype=torch.float64))
        step = self.intent / max(math.sqrt(sigma / (1 - decay**steps) * z), INTENT_EPS)
        if self.relative:
            delta = delta / max(size / seen, INTENT_EPS)
        return Step(torch.as_tensor(step, dtype=delta.dtype), delta, divisors)
