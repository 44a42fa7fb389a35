"""Updates of both engines on the same rollouts, and what of the agents must then be equal."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from agents import A2C, PPO, ActorCritic
from agents.rollout import collect

Metrics = dict[str, float]


def parameters(agent: ActorCritic) -> Tensor:
    return torch.cat([p.detach().flatten() for p in (*agent.policy.parameters(), *agent.value.parameters())])


def remembered(agent: A2C | PPO) -> Tensor:
    """All state of the optimizer, the adaptive coefficients and the normalizers."""
    groups = agent.learner.optimizer.inner.param_groups
    states = [agent.learner.optimizer.inner.state[p] for group in groups for p in group["params"]]
    numbers = [torch.as_tensor(value, dtype=torch.float64).flatten() for s in states for _, value in sorted(s.items())]
    descent = agent.learner.optimizer
    own = [descent.step_factor.value, descent.entropy_factor.value, descent.mean_shift, float(descent.shifts)]
    norms = [norm.moments for norm in (agent.learner.obs_norm, agent.learner.reward_norm) if norm]
    moments = [x.flatten() for norm in norms for x in (norm.count, norm.mean, norm.m2 / norm.count)]
    return torch.cat([*numbers, *moments, torch.tensor(own)])


def both_update(fused: ActorCritic, reference: ActorCritic, updates: int) -> Iterator[tuple[Metrics, Metrics]]:
    """The metrics of both after each update, on rollouts that the reference collects."""
    obs, _ = reference.worlds.reset()
    for u in range(updates):
        rollout, obs, _ = collect(reference.worlds, reference, obs, reference.n_steps, 0)
        metrics = [agent.update(rollout, u / updates) for agent in (fused, reference)]
        ours, theirs = ({name: float(value) for name, value in each.items()} for each in metrics)
        assert ours.keys() == theirs.keys()
        yield ours, theirs


def make_equal_updates(fused: ActorCritic, reference: ActorCritic, updates: int, tolerance: float) -> None:
    """Compares the metrics of every update, and in the end the parameters, to this absolute tolerance."""
    for ours, theirs in both_update(fused, reference, updates):
        assert ours == pytest.approx(theirs, rel=1e-7, abs=1e-10, nan_ok=True)
    assert float((parameters(fused) - parameters(reference)).abs().max()) <= tolerance
