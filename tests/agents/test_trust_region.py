"""What limits an update of PPO: the trust region, the target KL and the penalty."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from gymnasium import spaces
from torch import Tensor, nn

from agents.ppo import PPO, Samples
from tests.agents.test_ppo import SMALL, parameters, part, rollouts


def test_the_penalty_by_hand() -> None:
    """The loss gains kl_coef · KL(π_before ‖ π) of the stored parameters."""
    agent, plain = (PPO("CartPole-v1", kl_coef=kl_coef, **SMALL) for kl_coef in (3.0, 0.0))
    samples = part([1.0, 1.2], [1, 2], [0, 0], [0, 0], agent)._replace(behavior=torch.tensor([[[0.5, -0.5], [0, 0.7]]]))
    pi, before = agent.policy(samples.x), agent.policy.distribution(samples.behavior)
    gained = float((agent.loss(samples).total - plain.loss(samples).total).detach())
    assert gained == pytest.approx(3 * float(before.kl(pi).mean().detach()), rel=1e-4)


@pytest.mark.parametrize("excess", ["shorten", "stop"])
def test_the_trust_region(excess: str) -> None:
    """With shorten, updates stay within the bound; with stop, only the last epoch exceeds it."""
    agent = PPO("CartPole-v1", max_policy_shift=1e-4, shift_excess=excess, learning_rate=3e-3, **SMALL)  # type: ignore[arg-type]
    free = PPO("CartPole-v1", learning_rate=3e-3, **SMALL)
    (rollout,) = rollouts(free, 1)
    steps = watch(agent)
    kl, unbounded = (float(x.update(rollout)["train/policy_shift_kl"]) for x in (agent, free))
    assert unbounded > 2e-4
    assert (kl <= 1e-4) == (excess == "shorten")
    assert len(steps()) < 4 * 4


def watch(agent: PPO) -> Callable[[], list[float]]:
    """Counts the minibatches whose loss an agent computes."""
    seen, loss = list[float](), agent.loss

    def watched(part: Samples, progress: float = 0.0) -> Any:
        found = loss(part, progress)
        seen.append(float(found.metrics["train/approx_kl"]))
        return found

    agent.loss = watched  # type: ignore[method-assign]
    return lambda: seen


def test_target_kl_ends_the_update_before_the_step() -> None:
    agent = PPO("CartPole-v1", target_kl=1e-4, learning_rate=3e-3, **SMALL)
    (rollout,) = rollouts(agent, 1)
    seen = watch(agent)
    agent.update(rollout)
    assert all(kl <= 1.5e-4 for kl in seen()[:-1])
    assert seen()[-1] > 1.5e-4


def test_the_penalty_adapts_to_the_target_shift() -> None:
    """A penalty that is too weak grows; the learning rate does not change."""
    agent = PPO("CartPole-v1", kl_coef=0.01, target_policy_shift=1e-5, clip_range=None, learning_rate=3e-3, **SMALL)
    agent.learn(128 * 10)
    assert agent.learner.optimizer.penalty_factor.value > 1.05
    assert agent.learner.optimizer.step_factor.value == 1


class Forgetful(nn.Module):
    """Dropout makes the policy in training differ from the one that acted, already in the first minibatch."""

    def __init__(self, space: spaces.Box) -> None:
        super().__init__()
        self.features_dim = 16
        self.layers = nn.Sequential(nn.Linear(space.shape[0], 16), nn.Dropout(0.9))

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = 100 * self.layers(x)
        return features


def test_target_kl_may_allow_no_step() -> None:
    agent = PPO("CartPole-v1", network=Forgetful, target_kl=1e-9, **SMALL)
    before, (rollout,) = parameters(agent), rollouts(agent, 1)
    metrics = agent.update(rollout)
    assert metrics["train/approx_kl"] > 1e-9
    assert math.isnan(metrics["train/grad_norm"])
    assert torch.equal(parameters(agent), before)
