"""Predicting and evaluating: actions of the environment, refused observations, and training left alone."""

import gymnasium as gym
import numpy as np
import pytest
import torch

import rl
from agents import A2C
from tests.agents.test_agent import episodes_of, parameters


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1", "FrozenLake-v1"])
def test_predict_gives_actions_of_the_environment(env_id: str) -> None:
    agent = A2C(env_id, num_envs=2)
    env = gym.make(env_id)
    obs, _ = env.reset(seed=0)
    for deterministic in (True, False):
        action, state = agent.predict(obs, deterministic=deterministic)
        assert env.action_space.contains(action if isinstance(action, np.ndarray) else np.int64(action))
        assert state is None
    batch, _ = agent.predict(np.stack([obs] * 3))
    assert len(batch) == 3


def test_predict_refuses_another_shape() -> None:
    with pytest.raises(ValueError, match=r"shape \(3,\); expected \(4,\)"):
        A2C("CartPole-v1", num_envs=1).predict(np.zeros(3))


def test_predict_shifts_discrete_actions() -> None:
    agent = A2C("envs.probes:ShiftedAction-v0", num_envs=1)
    actions = {int(agent.predict(np.zeros(1, np.float32))[0]) for _ in range(50)}
    assert actions == {-1, 0, 1}


def test_predicting_and_evaluating_leave_training_alone() -> None:
    plain, disturbed = A2C("CartPole-v1", seed=3).learn(800), A2C("CartPole-v1", seed=3).learn(400)
    disturbed.predict(np.zeros(4, np.float32))
    rl.evaluate(disturbed, "CartPole-v1", episodes=3, deterministic=False)
    assert torch.equal(parameters(plain), parameters(disturbed.learn(400)))


def test_evaluating_on_the_training_environment_begins_its_episodes_anew() -> None:
    env = gym.make("CartPole-v1", max_episode_steps=10)
    agent = A2C(env).learn(5)
    rl.evaluate(agent, env, episodes=2)
    assert max(episodes_of(agent, 100)) <= 10


def test_evaluation_on_other_observations_is_refused() -> None:
    with pytest.raises(ValueError, match="was trained on observations"):
        rl.evaluate(A2C("CartPole-v1"), "Acrobot-v1", episodes=1)


def test_observations_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="not finite"):
        A2C("CartPole-v1").predict(np.full(4, np.nan))
    with pytest.raises(ValueError, match="is not in Discrete"):
        A2C("FrozenLake-v1").predict(np.int64(99))
