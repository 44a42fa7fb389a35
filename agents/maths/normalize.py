"""Rewards as the critic sees them; running moments, and the two normalizers built on them: observations, and rewards
by the spread of returns.

The normalizers belong to the agent and are saved with it; they learn from training rollouts only, so evaluation sees
them frozen.
"""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor


def scale_and_clip(reward: Tensor, scale: float, bound: float | None) -> Tensor:
    """r ↦ clip(scale · r, ±bound), or scale · r without a bound. reward: float[…]."""
    scaled = scale * reward
    return scaled if bound is None else scaled.clamp(-bound, bound)


class RunningMoments:
    """Mean and variance of a stream, in float64, merged a batch at a time (Chan, Golub & LeVeque 1983).

    Its tensors stay the same objects, so that compiled code can share their memory.
    """

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        self.count = torch.zeros((), dtype=torch.float64)
        self.mean = torch.zeros(shape, dtype=torch.float64)
        self.m2 = torch.zeros(shape, dtype=torch.float64)  # sum of squared deviations

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

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        count, mean, m2 = state["count"], state["mean"], state["m2"]
        self.count.fill_(cast(float, count))
        self.mean.copy_(cast(Tensor, mean))
        self.m2.copy_(cast(Tensor, m2))


class ObservationNormalizer:
    """x ↦ clip((x − μ) / √(σ² + 1e-8), ±bound), per feature, with the running μ and σ² of training observations."""

    def __init__(self, size: int, bound: float = 10.0, part: Tensor | None = None) -> None:
        """part: bool[D], the features that are normalized; the others stay as they are. None is all."""
        self.part, self.bound = part, bound
        self.moments = RunningMoments((size if part is None else int(part.sum()),))

    def update(self, obs: Tensor) -> None:
        """obs: float32[T, N, D]."""
        self.moments.update((obs if self.part is None else obs[..., self.part]).flatten(0, 1))

    def __call__(self, obs: Tensor) -> Tensor:
        """obs: float[..., D]. Returns [..., D] in torch's default type; before the first update, obs clipped."""
        if self.part is None:
            return self._normalized(obs)
        result = obs.to(torch.get_default_dtype(), copy=True)
        result[..., self.part] = self._normalized(obs[..., self.part])
        return result

    def _normalized(self, obs: Tensor) -> Tensor:
        centered = obs - self.moments.mean  # in float64: a large mean would drown the rest in float32
        scaled = centered / (self.moments.var + 1e-8).sqrt()
        return scaled.clamp(-self.bound, self.bound).to(torch.get_default_dtype())

    def state_dict(self) -> dict[str, object]:
        return self.moments.state_dict()

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        self.moments.load_state_dict(state)


class RewardNormalizer:
    """r ↦ clip(r / √(σ² + 1e-8), ±bound), where σ² is the running variance of the discounted return so far.

    The return of each environment is R ← γ R (1 − ended) + r, as in Stable-Baselines3's VecNormalize. Rewards are
    scaled and not shifted, so the optimal policy stays what it was.
    """

    def __init__(self, num_envs: int, gamma: float, bound: float = 10.0) -> None:
        self.moments, self.bound = RunningMoments(()), bound
        self.gamma = gamma
        self.returns = torch.zeros(num_envs, dtype=torch.float64)

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

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        self.moments.load_state_dict(state)
        returns = cast(Tensor, state["returns"])
        if returns.shape == self.returns.shape:  # another number of environments starts its returns anew
            self.returns.copy_(returns)
