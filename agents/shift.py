"""The policy shift of one update, as the torch engine measures it."""

from collections.abc import Callable

import torch
from torch import Tensor

from agents.networks import Policy
from rl.distributions import Categorical, Distribution


class Shift:
    """How far the policy moved from the one that acted: means over the rollout's states."""

    def __init__(self, policy: Policy, behavior: Tensor, now: Callable[[], Distribution]) -> None:
        """now: the policy as it is when called, on the rollout's states."""
        self.now = now
        self.before = self.after = policy.distribution(behavior)

    @torch.no_grad()
    def __call__(self) -> Tensor:
        """KL(π_before ‖ π as it is now)."""
        self.after = self.now()
        return self.before.kl(self.after).mean()  # of one family

    def js(self) -> dict[str, Tensor]:
        """JS(π_before, π at the last call), which exists in closed form for discrete actions."""
        if isinstance(self.before, Categorical) and isinstance(self.after, Categorical):
            return {"train/policy_shift_js": self.before.js(self.after).mean()}
        return {}
