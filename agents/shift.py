"""The policy shift KL(π_before ‖ π_after) of an update, and shortening steps to bound it."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from agents.maths.distributions import Categorical, Distribution
from agents.networks.actor_critic import Policy
from agents.ranks import ALONE, Ranks

NOT_MEASURED = torch.tensor(torch.nan)


@torch.no_grad()
def bounded(
    parameters: Sequence[nn.Parameter], step: Callable[[], object], shift: Callable[[], Tensor], bound: float | None
) -> Tensor:
    """Takes a step, shortens it until shift(), KL(π_before ‖ π_now), is within the bound, and returns that KL.

    KL grows with the square of a small step, so a step whose KL exceeds the bound is multiplied by 0.95 √(bound / KL),
    up to nine times. If that is not enough, for instance on another policy's rollout, the parameters are restored.
    """
    before = [] if bound is None else [p.clone() for p in parameters]
    step()
    return shift() if bound is None else shortened(parameters, before, shift, bound)


@torch.no_grad()
def shortened(
    parameters: Sequence[nn.Parameter], before: Sequence[Tensor], shift: Callable[[], Tensor], bound: float
) -> Tensor:
    """Moves the parameters back toward those before the step until shift() is within the bound; returns shift()."""
    kl = shift()
    for attempt in range(10):
        if not bool(kl > bound):
            break
        share = 0.95 * math.sqrt(bound / float(kl)) if attempt < 9 else 0.0
        for p, start in zip(parameters, before, strict=True):
            p.copy_(torch.lerp(start, p, share))
        kl = shift()
    return kl


class Shift:
    """Divergences of the policy from the one that acted, averaged over the rollout's states; NaN until called."""

    def __init__(self, policy: Policy, behavior: Tensor, now: Callable[[], Distribution], ranks: Ranks = ALONE) -> None:
        """now(): the current policy on this rank's states of the rollout."""
        self.ranks, self.now, self.before = ranks, now, policy.distribution(behavior)
        self.after: Distribution | None = None

    @torch.no_grad()
    def __call__(self) -> Tensor:
        """KL(π_before ‖ π_now)."""
        self.after = self.now()
        return self.ranks.mean(self.before.kl(self.after).mean())

    def js(self) -> dict[str, Tensor]:
        """JS(π_before, π at the last call); empty unless the actions are Discrete."""
        if not isinstance(self.before, Categorical):
            return {}
        if not isinstance(self.after, Categorical):
            return {"train/policy_shift_js": NOT_MEASURED}
        return {"train/policy_shift_js": self.ranks.mean(self.before.js(self.after).mean())}
