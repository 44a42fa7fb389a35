"""`Examples`: recorded states and actions, and a gradient step on them."""

from typing import NamedTuple

import torch
from torch import Tensor

from agents.a2c import A2C
from agents.devices import moved
from agents.maths.distributions import Distribution
from agents.networks.contents import Contents
from agents.networks.modes import has_modes, training_mode
from agents.rollout import Metrics
from agents.shift import Shift


class Examples(NamedTuple):
    """States and recorded actions, for supervised learning."""

    obs: Tensor  # [B, …], as the environment returned it
    action: Tensor  # [B] or [B, A], as `Rollout.action`
    legal: Tensor | None  # bool[B, A], the legal actions; None if all are

    def take(self, index: Tensor, device: torch.device) -> "Examples":
        """The examples with these indices, on a device. index: int64[B]."""
        legal = None if self.legal is None else moved(self.legal[index], device)
        return Examples(moved(self.obs[index], device), moved(self.action[index], device), legal)

    def policy(self, agent: A2C) -> Distribution:
        """π_θ at these observations."""
        pi: Distribution = agent.policy(agent.learner.encoded(self.obs), None, self.legal)
        return pi

    def training_policy(self, agent: A2C) -> Distribution:
        """π_θ at these observations, in training mode."""
        with training_mode(Contents(agent.policy), agent.learner.generator, len(self.obs)):
            return self.policy(agent)


def gradient_step(agent: A2C, batch: Examples, pi: Distribution, loss: Tensor, progress: float) -> Metrics:
    """One gradient step on loss − ent_coef · mean H(π). pi: π_θ at the observations, from which loss was computed."""
    entropy = pi.entropy().mean()
    total = loss - agent.learner.optimizer.entropy_coefficient(progress) * entropy
    with torch.no_grad():
        before = batch.policy(agent) if has_modes(Contents(agent.policy)) else pi
    shift = Shift(agent.policy, before.raw.detach(), lambda: batch.policy(agent))
    metrics = agent.learner.optimizer.step(total, progress, shift) | shift.js()
    agent.learner.optimizer.adapt_entropy_coefficient(entropy.detach(), progress)
    return metrics | {"train/loss": loss.detach(), "train/entropy": entropy.detach()}
