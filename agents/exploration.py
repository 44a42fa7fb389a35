"""Exploration by noise that stays for a while: a function of the state, drawn now and then."""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Generator, Tensor

from rl.distributions import BoundedGaussian, DiagonalGaussian, Distribution


class StateDependentNoise:
    """a = μ(s) + h(s) E, E ~ N(0, e^{2 W}) drawn every `frequency` steps of each environment.

    h is the last hidden layer; each action is a sample of the policy's distribution, and neighbors in time are alike.
    Source: Raffin, Kober & Stulp 2021, "Smooth exploration for robotic reinforcement learning".
    """

    def __init__(self, frequency: int) -> None:
        self.frequency = frequency
        self.matrices = torch.zeros(0)  # [N, hidden, A]
        self.steps = 0

    def __call__(self, pi: Distribution, hidden: Tensor, log_std: Tensor, generator: Generator) -> Tensor:
        """hidden: float32[N, hidden]; log_std: W, float32[hidden, A]. Returns float32[N, A]."""
        assert isinstance(pi, DiagonalGaussian | BoundedGaussian)
        if self.steps % self.frequency == 0 or len(self.matrices) != len(hidden):
            noise = torch.randn(len(hidden), *log_std.shape, generator=generator)
            self.matrices = noise * log_std.exp()
        self.steps += 1
        u = pi.mean + torch.einsum("nh,nha->na", hidden, self.matrices)
        return pi.scaled(u.tanh()) if isinstance(pi, BoundedGaussian) else u

    def state_dict(self) -> dict[str, object]:
        return {"matrices": self.matrices, "steps": self.steps}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        self.matrices, self.steps = cast(Tensor, state["matrices"]), cast(int, state["steps"])
