"""The compiled engine acts in arrays of its own: whatever acts in between does not change what is learned."""

import numpy as np
import pytest
import torch

from agents import A2C, ActorCritic
from agents.streaming import StreamAC
from tests.toys import Counter

SMALL = {"net_arch": (8,), "num_envs": 1}


class Asking(Counter):
    """Its step asks the agent that learns from it what it would do elsewhere, as an opponent in self-play would."""

    agent: ActorCritic | None = None

    def step(self, action):  # type: ignore[no-untyped-def]
        if self.agent is not None:
            self.agent.predict(np.full((1, 1), 5.0, np.float32), deterministic=True)
        return super().step(action)


def parameters(agent: ActorCritic) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for network in agent.networks for p in network.parameters()])


@pytest.mark.parametrize("cls", [A2C, StreamAC])
def test_acting_within_a_step_changes_nothing(cls: type[ActorCritic]) -> None:
    """The observation and the distribution that were being learned from were overwritten."""
    found = []
    for asks in (False, True):
        env = Asking()
        agent = cls(env, engine="fused", **SMALL)
        env.agent = agent if asks else None
        found.append(parameters(agent.learn(40)))
    assert torch.equal(*found)


@pytest.mark.parametrize("cls", [A2C, StreamAC])
def test_a_mask_does_not_outlive_its_call(cls: type[ActorCritic]) -> None:
    """It stayed in the arrays, and masked the training on compiled environments that followed."""
    found = []
    for masked in (False, True):
        agent = cls("CartPole-v1", engine="fused", **SMALL)
        if masked:
            agent.predict(np.zeros((1, 4), np.float32), deterministic=True, action_masks=[[False, True]])
        found.append(parameters(agent.learn(40)))
    assert torch.equal(*found)


def test_memory_does_not_grow_with_the_batches_that_were_acted_on() -> None:
    for cls in (A2C, StreamAC):
        agent = cls("CartPole-v1", engine="fused", **SMALL)
        for size in range(1, 40):
            agent.predict(np.zeros((size, 4), np.float32))
        shared = agent.active_engine.program  # type: ignore[attr-defined]
        assert len(shared._acting) == 4
