"""Reward scaling and clipping, and normalization of observations and rewards by running moments.

Normalizers belong to the agent and are saved with it. Only training rollouts update them, never evaluation.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

CPU = torch.device("cpu")


def scale_and_clip(reward: Tensor, scale: float, bound: float | None) -> Tensor:
    """r ↦ clip(scale · r, ±bound), or scale · r without a bound. reward: float[…]."""
    scaled = scale * reward
    return scaled if bound is None else scaled.clamp(-bound, bound)


def _is_finite(x: object) -> bool:
    return isinstance(x, Tensor) and x.dtype == torch.float64 and bool(torch.isfinite(x).all())


class RunningMoments:
    """Mean and variance of a stream of batches, in float64. Source: Chan, Golub & LeVeque 1983.

    Updates are in place, so that compiled code can share the memory of the tensors.
    """

    def __init__(self, shape: tuple[int, ...] = (), device: torch.device = CPU) -> None:
        self.count = torch.zeros((), dtype=torch.float64, device=device)
        self.mean = torch.zeros(shape, dtype=torch.float64, device=device)
        self.m2 = torch.zeros(shape, dtype=torch.float64, device=device)  # sum of squared deviations

    def update(self, batch: Tensor) -> None:
        """batch: [B, *shape]."""
        x = batch.double()
        mean = x.mean(0)
        delta, total = mean - self.mean, self.count + len(x)
        self.m2 += (x - mean).square().sum(0) + delta.square() * (self.count * len(x) / total)
        self.mean += delta * (len(x) / total)
        self.count.copy_(total)

    @property
    def var(self) -> Tensor:
        """Population variance; 1 before the first batch."""
        return self.m2 / self.count if self.count else torch.ones_like(self.m2)

    def state_dict(self) -> dict[str, object]:
        return {"count": self.count.item(), "mean": self.mean.clone(), "m2": self.m2.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Raises ValueError if the moments are not finite, negative where they cannot be, or of another shape."""
        count, mean, m2 = state["count"], state["mean"], state["m2"]
        if type(count) is not float or not 0 <= count < math.inf:
            raise ValueError("the count of running moments must be a finite number of at least 0")
        for name, x in (("mean", mean), ("m2", m2)):
            if not _is_finite(x) or x.shape != self.mean.shape or (name == "m2" and bool((x < 0).any())):
                shape = list(self.mean.shape)
                raise ValueError(f"{name} of running moments must be finite float64{shape}, and m2 not negative")
        self.count.fill_(count)
        self.mean.copy_(mean)
        self.m2.copy_(m2)


class ObservationNormalizer:
    """x ↦ clip((x − μ) / √(σ² + 1e-8), ±bound), per feature, with running mean μ and variance σ²."""

    def __init__(self, size: int, bound: float = 10.0, mask: Tensor | None = None, device: torch.device = CPU) -> None:
        """size: D; mask: bool[D], the features to normalize, by default all; device: of the observations."""
        self.mask, self.bound = None if mask is None else mask.to(device), bound
        self.moments = RunningMoments((size if mask is None else int(mask.sum()),), device)

    def update(self, obs: Tensor) -> None:
        """obs: float32[T, N, D]."""
        self.moments.update((obs if self.mask is None else obs[..., self.mask]).flatten(0, 1))

    def __call__(self, obs: Tensor) -> Tensor:
        """obs: float[..., D]. Returns [..., D] in torch's default dtype; before the first update, obs clipped."""
        if self.mask is None:
            return self._normalized(obs)
        result = obs.to(torch.get_default_dtype(), copy=True)
        result[..., self.mask] = self._normalized(obs[..., self.mask])
        return result

    def _normalized(self, obs: Tensor) -> Tensor:
        centered = obs - self.moments.mean  # in float64, because a large mean cancels digits in float32
        scaled = centered / (self.moments.var + 1e-8).sqrt()
        return scaled.clamp(-self.bound, self.bound).to(torch.get_default_dtype())

    def state_dict(self) -> dict[str, object]:
        return self.moments.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.moments.load_state_dict(state)


class RewardNormalizer:
    """r ↦ clip(r / √(σ² + 1e-8), ±bound), where σ² is the running variance of the discounted return.

    Each environment's return is R ← γ R (1 − ended) + r, as in Stable-Baselines3's VecNormalize. Rewards are scaled
    but not shifted, so the optimal policy stays the same.
    """

    def __init__(self, num_envs: int, gamma: float, bound: float = 10.0, device: torch.device = CPU) -> None:
        self.moments, self.bound = RunningMoments((), device), bound
        self.gamma = gamma
        self.returns = torch.zeros(num_envs, dtype=torch.float64, device=device)

    def update(self, reward: Tensor, ended: Tensor) -> None:
        """reward: float32[T, N]; ended: bool[T, N]."""
        for r, end in zip(reward, ended, strict=True):
            self.returns.mul_(self.gamma).add_(r)
            self.moments.update(self.returns)
            self.returns.masked_fill_(end, 0.0)

    def __call__(self, reward: Tensor) -> Tensor:
        return (reward / (self.moments.var + 1e-8).sqrt().to(reward.dtype)).clamp(-self.bound, self.bound)

    def state_dict(self) -> dict[str, object]:
        return {**self.moments.state_dict(), "returns": self.returns.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.moments.load_state_dict(state)
        returns = state["returns"]
        if not _is_finite(returns) or returns.ndim != 1:
            raise ValueError("returns of the reward normalizer must be finite float64[N]")
        if returns.shape == self.returns.shape:  # with another number of environments, returns restart from 0
            self.returns.copy_(returns)
