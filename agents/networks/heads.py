"""The policy's head: from network outputs to a distribution over actions; and gSDE exploration noise."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from gymnasium import spaces
from torch import Generator, Tensor
from torch.nn.functional import softplus

from agents.maths.distributions import (
    Bernoulli,
    BoundedGaussian,
    Categorical,
    DiagonalGaussian,
    Distribution,
    MultiCategorical,
)
from agents.settings.values import ConfigError
from envs import saved
from envs.spaces import Actions, factors, span

_WIDE = 10.0  # bounds that many σ from 0, or that close together, get a hint
_FAR = 40.0  # beyond ±_FAR, softplus is x or e^x in double precision
LOG_STD_RANGE = (-20.0, 2.0)  # of a state-dependent log-std, as in Haarnoja et al. 2018


@dataclass(frozen=True)
class Head:
    """Discrete, MultiDiscrete and MultiBinary actions: logits. Box: mean and log-std of a Gaussian.

    By default the log-std is one parameter per action. `state_dependent_std` makes it a network output; `softplus_std`
    makes σ the softplus of one. `use_sde` is generalized state-dependent exploration, σ²(s) = h(s)² · e^{2 W}, with h
    the last hidden layer and W a parameter matrix (Raffin et al. 2021). `squash_output` maps the Gaussian into the
    bounds of the Box by tanh.
    Raises ConfigError if a setting does not fit the actions.
    """

    actions: Actions
    state_dependent_std: bool = False
    use_sde: bool = False
    squash_output: bool = False
    log_std_init: float = 0.0
    softplus_std: bool = False

    def __post_init__(self) -> None:
        box = isinstance(self.actions, spaces.Box)
        for name in ("state_dependent_std", "use_sde", "squash_output"):
            if getattr(self, name) and not box:
                raise ConfigError(f"{name} is for Box actions; these are {self.actions}")
        if self.state_dependent_std and self.use_sde:
            raise ConfigError("use_sde and state_dependent_std are two ways to the same: choose one")
        lowest, largest = LOG_STD_RANGE
        if self.state_dependent_std and not lowest <= self.log_std_init <= largest:
            raise ConfigError(
                f"log_std_init must lie between {lowest:g} and {largest:g} with state_dependent_std, which keeps ln σ "
                f"between them, got {self.log_std_init:g}"
            )
        if self.squash_output and isinstance(self.actions, spaces.Box):
            width = span(self.actions)
            if not ((width > 0) & np.isfinite(width)).all():
                raise ConfigError(
                    f"squash_output needs bounds on both sides, with room between them that single precision can hold; "
                    f"{self.actions} lacks some: leave it off"
                )

    def hint(self) -> str:
        """What to set if the initial policy, 0 ± σ, does not fit the action bounds; '' if it does."""
        if not isinstance(self.actions, spaces.Box) or self.squash_output:
            return ""
        low, high, std = self.actions.low.ravel(), self.actions.high.ravel(), math.exp(self.log_std_init)
        width = span(self.actions).ravel()
        outside = (low > std) | (high < -std) | (np.maximum(abs(low), abs(high)) > _WIDE * std) | (width < std / _WIDE)
        misfits = np.flatnonzero(outside & (width > 0) & np.isfinite(width))
        if not len(misfits):
            return ""
        bounds = f"[{low[misfits[0]]:g}, {high[misfits[0]]:g}]"
        return (
            f"the initial policy, 0 ± {std:g}, fits bounds of {bounds} badly: set squash_output=true, or "
            "wrappers=[RescaleAction:min_action=-1:max_action=1]"
        )

    @property
    def size(self) -> int:
        """A, the number of action dimensions for a Box, otherwise of logits."""
        if isinstance(self.actions, spaces.Box):
            return math.prod(self.actions.shape)
        parts = factors(self.actions)
        return len(parts) if isinstance(self.actions, spaces.MultiBinary) else sum(parts)

    @property
    def outputs(self) -> int:
        """The number of network outputs."""
        return 2 * self.size if self._outputs_std else self.size

    @property
    def _outputs_std(self) -> bool:
        return isinstance(self.actions, spaces.Box) and (self.state_dependent_std or self.softplus_std)

    def log_std(self, hidden: int) -> Tensor | None:
        """Initial ln σ, float32[A], or W with gSDE, [hidden, A]; None if the network outputs it. hidden: units."""
        if not isinstance(self.actions, spaces.Box) or self._outputs_std:
            return None
        return torch.full((hidden, self.size) if self.use_sde else (self.size,), self.log_std_init)

    def raw(self, out: Tensor, hidden: Tensor, log_std: Tensor | None) -> Tensor:
        """Parameters of the distribution, float32[..., P]. out: network outputs; hidden: the last hidden layer."""
        if not isinstance(self.actions, spaces.Box):
            return out
        if log_std is None:
            mean, offset = out.chunk(2, -1)
            if self.softplus_std:  # σ = exp(log_std_init) where the network outputs 0
                return torch.cat([mean, _log_softplus(offset + inverse_softplus(self.log_std_init))], -1)
            return torch.cat([mean, (self.log_std_init + offset).clamp(*LOG_STD_RANGE)], -1)
        if self.use_sde:
            fixed = hidden.detach()  # only W is trained through σ, as in Stable-Baselines3
            variance = fixed.square() @ (2 * log_std).exp()
            return torch.cat([out, 0.5 * (variance + 1e-6).log()], -1)
        return torch.cat([out, log_std.expand_as(out)], -1)

    def distribution(self, raw: Tensor) -> Distribution:
        """The distribution with these parameters."""
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
        low, high = (torch.as_tensor(bound, dtype=raw.dtype, device=raw.device).flatten() for bound in bounds)
        return BoundedGaussian(mean, log_std, low, high, validate=False)


def inverse_softplus(log_std: float) -> float:
    """ln(e^σ − 1), σ = e^log_std: where softplus is σ."""
    std = math.exp(log_std)
    return math.log(math.expm1(std)) if std < _FAR else std


def _log_softplus(x: Tensor) -> Tensor:
    """ln ln(1 + e^x), which nears x where e^x is too small for a float."""
    return torch.where(x < -_FAR, x, softplus(x.clamp_min(-_FAR)).log())


class StateDependentNoise:
    """a = μ(s) + h(s) E, where E ~ N(0, e^{2 W}) is redrawn every `frequency` steps of a rollout, and at its start.

    h is the last hidden layer. Each action is a sample of the policy's distribution, correlated over time.
    Source: Raffin, Kober & Stulp 2021, "Smooth exploration for robotic reinforcement learning".
    """

    def __init__(self, frequency: int, shape: Sequence[int]) -> None:
        """shape: of W, [hidden, A]."""
        self.frequency, self.shape = frequency, shape
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
        """Raises Misfit if the state is not that of gSDE noise for this policy."""
        matrices = state["matrices"]
        shape = (None, *self.shape) if isinstance(matrices, Tensor) and matrices.ndim == 3 else (0,)
        self.matrices = saved.tensor(matrices, "matrices", torch.get_default_dtype(), shape)
        self.steps = saved.whole(state["steps"], "steps")
