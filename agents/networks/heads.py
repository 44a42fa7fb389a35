"""From the outputs of a policy's network to a distribution over actions."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from gymnasium import spaces
from torch import Generator, Tensor

from agents.maths.distributions import (
    Bernoulli,
    BoundedGaussian,
    Categorical,
    DiagonalGaussian,
    Distribution,
    MultiCategorical,
)
from agents.settings.values import ConfigError
from envs.spaces import Actions, factors, span

_LOG_STD = (-20.0, 2.0)  # where a log-std that depends on the state stays, as in Haarnoja et al. 2018


@dataclass(frozen=True)
class Head:
    """Discrete, MultiDiscrete and MultiBinary actions: logits. Box: mean and log-std of a Gaussian.

    The log-std is a parameter an action (the usual); or an output of the network (`state_dependent_std`); or, with
    `use_sde`, generalized state-dependent exploration: σ²(s) = h(s)² · e^{2 W}, h the last hidden layer, W a matrix of
    parameters (Raffin et al. 2021). `squash_output` takes the Gaussian through tanh into the bounds of the Box.
    Raises ConfigError where a setting does not fit the actions.
    """

    actions: Actions
    state_dependent_std: bool = False
    use_sde: bool = False
    squash_output: bool = False

    def __post_init__(self) -> None:
        box = isinstance(self.actions, spaces.Box)
        for name in ("state_dependent_std", "use_sde", "squash_output"):
            if getattr(self, name) and not box:
                raise ConfigError(f"{name} is for Box actions; these are {self.actions}")
        if self.state_dependent_std and self.use_sde:
            raise ConfigError("use_sde and state_dependent_std are two ways to the same: choose one")
        if self.squash_output and isinstance(self.actions, spaces.Box):
            width = span(self.actions)
            if not ((width > 0) & np.isfinite(width)).all():
                raise ConfigError(
                    f"squash_output needs bounds on both sides, with room between them that single precision can hold; "
                    f"{self.actions} lacks some: leave it off"
                )

    @property
    def size(self) -> int:
        """A, the number of real actions, or of logits."""
        if isinstance(self.actions, spaces.Box):
            return math.prod(self.actions.shape)
        parts = factors(self.actions)
        return len(parts) if isinstance(self.actions, spaces.MultiBinary) else sum(parts)

    @property
    def outputs(self) -> int:
        """Of the network."""
        return 2 * self.size if self.state_dependent_std else self.size

    def log_std(self, initial: float, hidden: int) -> Tensor | None:
        """The parameters beside the network: float32[A], or [hidden, A]."""
        if not isinstance(self.actions, spaces.Box) or self.state_dependent_std:
            return None
        return torch.full((hidden, self.size) if self.use_sde else (self.size,), initial)

    def raw(self, out: Tensor, hidden: Tensor, log_std: Tensor | None, initial: float) -> Tensor:
        """What a rollout stores, float32[..., P]. out: of the network; hidden: its last layer before; initial: ln σ."""
        if not isinstance(self.actions, spaces.Box):
            return out
        if log_std is None:
            mean, offset = out.chunk(2, -1)
            return torch.cat([mean, (initial + offset).clamp(*_LOG_STD)], -1)
        if self.use_sde:
            fixed = hidden.detach()  # learned through W only, as Stable-Baselines3 does
            variance = fixed.square() @ (2 * log_std).exp()
            return torch.cat([out, 0.5 * (variance + 1e-6).log()], -1)
        return torch.cat([out, log_std.expand_as(out)], -1)

    def distribution(self, raw: Tensor) -> Distribution:
        """The distribution with these raw parameters."""
        if isinstance(self.actions, spaces.Discrete):
            return Categorical(raw, validate=False)
        if isinstance(self.actions, spaces.MultiDiscrete):
            return MultiCategorical(raw, factors(self.actions), validate=False)
        if isinstance(self.actions, spaces.MultiBinary):
            return Bernoulli(raw, validate=False)
        mean, log_std = raw.chunk(2, -1)
        if not self.squash_output:
            return DiagonalGaussian(mean, log_std, validate=False)
        bounds = (self.actions.low, self.actions.high)
        low, high = (torch.as_tensor(bound, dtype=raw.dtype).flatten() for bound in bounds)
        return BoundedGaussian(mean, log_std, low, high, validate=False)


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
