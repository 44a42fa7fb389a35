"""Others may use an agent's environments between two calls of `learn`: rows then still are transitions."""

from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents import A2C, PPO
from agents.evaluation import evaluate
from agents.imitation.mutual import Mutual
from agents.rollout import Rollout, collect
from agents.streaming import StreamAC
from tests.toys import Counter

SMALL = {"net_arch": (8,), "engine": "torch", "n_steps": 4}


def own_loop(agent: A2C) -> None:
    collect(agent.worlds, agent, agent.worlds.reset()[0], 3, 0)


def reset(agent: A2C) -> None:
    agent.worlds.reset(seed=5)


def another_agent(agent: A2C) -> None:
    PPO(agent.env, net_arch=(8,), n_steps=4, batch_size=4).learn(9)


def evaluation_of_another(agent: A2C) -> None:
    evaluate(A2C("Counter-v0", net_arch=(8,)), agent.env, 1)


def algorithm_around_it(agent: A2C) -> None:
    Mutual(agent, peers=2).learn(12)


@pytest.mark.parametrize("use", [own_loop, reset, another_agent, evaluation_of_another, algorithm_around_it])
def test_rows_stay_transitions(use: Callable[[A2C], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Episodes show 100 · episode + step, so a successor exceeds its observation by 1."""
    kinds = {"backend": "sync"} if use in (own_loop, reset, algorithm_around_it) else {}
    env = "Counter-v0" if kinds else Counter(length=50)
    num_envs = 2 if kinds else 1
    agent = A2C(env, num_envs=num_envs, max_episode_steps=50 if kinds else None, **SMALL, **kinds).learn(20)
    use(agent)
    rows: list[Rollout] = []
    update = agent.update
    monkeypatch.setattr(agent, "update", lambda batch, *rest: (rows.append(batch), update(batch, *rest))[1])
    agent.learn(8 * num_envs)
    assert len(rows) == 2
    for batch in rows:
        assert torch.equal(batch.next_obs, batch.obs + 1)


def test_an_evaluation_does_not_replace_the_random_numbers_of_training() -> None:
    """Training on an environment object began with the same states after each evaluation."""
    env, starts = gym.make("Pendulum-v1"), []
    agent = A2C(env, net_arch=(8,), n_steps=4)
    for _ in range(3):
        agent.learn(16)
        evaluate(agent, env, 1, seed=7)
        agent.loop.begin_episodes()
        starts.append(np.array(agent.loop._obs).tolist())
    assert len({str(start) for start in starts}) == 3


def test_environments_that_others_used_begin_new_episodes_in_a_copy(tmp_path: Path) -> None:
    agent = StreamAC("CartPole-v1", net_arch=(8,)).learn(30)
    agent.worlds.reset()
    loaded = StreamAC.load(agent.save(tmp_path / "used"))
    assert not loaded.loop.exact


def test_masks_that_a_checkpoint_lacks(tmp_path: Path) -> None:
    """Loading raised CheckpointError: the saved environments have no legal actions."""
    path = A2C("Taxi-v4", net_arch=(8,), action_masks=False).learn(8).save(tmp_path / "unmasked")
    loaded = A2C.load(path, action_masks=True)
    assert not loaded.loop.exact
    loaded.learn(8)
