"""The running mean of a policy's parameters."""

from collections.abc import Mapping
from copy import deepcopy

import torch

from agents.networks.actor_critic import Policy
from agents.networks.contents import Contents
from agents.parts import load_module
from envs import saved

AVERAGED_SHARE = 10  # early in training, the last 1/10 of the steps is averaged


class PolicyAverage:
    """θ̄ ← θ̄ + (θ − θ̄) / clamp(t / 10, 1, h) after step t: about the mean of the last tenth of the steps, at most h.

    Idea: Polyak & Juditsky 1992, "Acceleration of stochastic approximation by averaging".
    """

    def __init__(self, source: Policy, horizon: int) -> None:
        """horizon: h, in steps."""
        self.source, self.horizon = source, horizon
        self.policy = deepcopy(source).requires_grad_(False)
        self.steps = torch.zeros(1, dtype=torch.float64)
        self._contents = Contents(source)
        self._modules, (self._parameters,) = self._contents.modules, self._contents.parameters

    @torch.no_grad()
    def current(self) -> Policy:
        """θ̄, with every module of the source that was replaced, and the parameters that came with it."""
        modules, (parameters,) = self._contents.modules, self._contents.parameters
        if modules is not self._modules:
            averages = dict(zip(map(id, self._parameters), self.policy.parameters(), strict=True))
            self.policy = deepcopy(self.source).requires_grad_(False)
            for p, own in zip(parameters, self.policy.parameters(), strict=True):
                own.copy_(averages.get(id(p), p))
            self._modules, self._parameters = modules, parameters
        return self.policy

    @torch.no_grad()
    def update(self) -> None:
        self.steps += 1
        rate = 1 / max(1.0, min(float(self.steps) / AVERAGED_SHARE, self.horizon))
        for average, p in zip(self.policy.parameters(), self.source.parameters(), strict=True):
            average.lerp_(p, rate)
        for own, buffer in zip(self.policy.buffers(), self.source.buffers(), strict=True):
            own.copy_(buffer)

    def state_dict(self) -> dict[str, object]:
        return {"policy": self.policy.state_dict(), "steps": self.steps.clone()}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Raises Misfit if the state does not fit this policy."""
        load_module(self.policy, state["policy"])
        self.steps.copy_(saved.tensor(state["steps"], "steps", self.steps.dtype, self.steps.shape))
