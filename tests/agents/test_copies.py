"""Copies of an agent, by copy.deepcopy and pickle, train like the original and share nothing with it."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor

from agents import A2C, Agent
from agents.imitation.distill import Distill
from agents.imitation.gail import GAIL
from agents.imitation.mutual import Mutual
from agents.ppo import PPO
from agents.streaming import StreamAC
from tests.agents.recorded import made
from tests.agents.reinforce import Reinforce

COPY: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda agent: pickle.loads(pickle.dumps(agent)),
}
SMALL: dict[str, Any] = {"net_arch": (8,), "seed": 4}
BUILD: dict[str, Callable[[Path], Agent]] = {
    "a2c, torch": lambda _: A2C("CartPole-v1", engine="torch", n_steps=4, normalize_rewards=True, **SMALL),
    "a2c, fused": lambda _: A2C("Pendulum-v1", normalize_observations=True, **SMALL),
    "a2c, Adam, sync": lambda _: A2C("CartPole-v1", backend="sync", use_rms_prop=False, **SMALL),
    "a2c, processes": lambda _: A2C("CartPole-v1", backend="async", num_envs=2, **SMALL),
    "a2c, recurrent": lambda _: A2C("CartPole-v1", gru_size=4, n_steps=4, **SMALL),
    "a2c, gSDE": lambda _: A2C("Pendulum-v1", use_sde=True, sde_sample_freq=3, n_steps=4, **SMALL),
    "a2c, an environment": lambda _: A2C(gym.make("CartPole-v1"), **SMALL),
    "ppo, torch": lambda _: PPO("CartPole-v1", engine="torch", n_steps=32, n_epochs=2, **SMALL),
    "ppo, fused": lambda _: PPO("CartPole-v1", n_steps=32, n_epochs=2, kl_coef=0.1, **SMALL),
    "stream, torch": lambda _: StreamAC("CartPole-v1", engine="torch", trace_decay=0.9, **SMALL),
    "stream, fused": lambda _: StreamAC("CartPole-v1", step_rule="adaptive", **SMALL),
    "gail": lambda path: GAIL(A2C("CartPole-v1", **SMALL), demonstrations=str(path), discriminator_batch=16),
    "mutual": lambda _: Mutual(A2C("CartPole-v1", **SMALL), peers=2),
    "of your own": lambda _: Reinforce("CartPole-v1", seed=4),
}


def demonstrations(path: Path) -> Path:
    obs = np.random.default_rng(0).normal(0, 1, (60, 4)).astype(np.float32)
    return Path(made(path / "d", "CartPole-v1", obs, (obs[:, 2] > 0).astype(np.int64), length=5))


def parameters(agent: Agent) -> Tensor:
    return torch.cat([p.detach().flatten() for network in agent.networks for p in network.parameters()])


@pytest.mark.parametrize("how", COPY)
@pytest.mark.parametrize("name", BUILD)
def test_a_copy_trains_on_identically(name: str, how: str, tmp_path: Path) -> None:
    agent = BUILD[name](demonstrations(tmp_path)).learn(256)
    twin = COPY[how](agent)
    assert type(twin) is type(agent)
    assert (twin.loop.step, twin.engine_in_use, twin.loop.exact) == (256, agent.engine_in_use, True)
    at_copy = parameters(agent)
    agent.learn(256)
    assert torch.equal(parameters(twin), at_copy), "nothing is shared"
    twin.learn(256)
    assert not torch.equal(parameters(agent), at_copy)
    assert torch.equal(parameters(twin), parameters(agent))
    obs = agent.worlds.reset()[0]
    np.testing.assert_array_equal(agent.predict(obs)[0], twin.predict(obs)[0])
    for each in (agent, twin):
        each.worlds.close()


@pytest.mark.parametrize("how", COPY)
def test_a_copy_of_a_new_agent(how: str) -> None:
    agent = A2C("CartPole-v1", **SMALL)
    twin = COPY[how](agent)
    assert torch.equal(parameters(agent.learn(128)), parameters(twin.learn(128)))


@pytest.mark.parametrize("how", COPY)
def test_a_copy_keeps_what_a_checkpoint_does_not(how: str) -> None:
    agent = A2C("CartPole-v1", engine="torch", **SMALL).learn(64)
    agent.policy.net[0].requires_grad_(False)
    agent.learner.optimizer.inner.param_groups[0]["alpha"] = 0.5
    agent.learning_rate = 1e-3
    twin = COPY[how](agent)
    assert [p.requires_grad for p in twin.policy.parameters()] == [p.requires_grad for p in agent.policy.parameters()]
    assert torch.equal(parameters(agent.learn(64)), parameters(twin.learn(64)))


def test_parts_of_an_agent_are_copied() -> None:
    agent = A2C("CartPole-v1", **SMALL).learn(64)
    learner = copy.deepcopy(agent.learner)
    assert torch.equal(learner.policy.net[0].weight, agent.policy.net[0].weight)
    assert learner.policy.net[0].weight.data_ptr() != agent.policy.net[0].weight.data_ptr()
    assert copy.deepcopy(agent.learner.optimizer).inner.param_groups[0]["lr"] == 7e-4


def test_teachers_stay_closed(tmp_path: Path) -> None:
    teacher = A2C("CartPole-v1", **SMALL).learn(64).save(tmp_path / "teacher")
    distill = Distill(A2C("CartPole-v1", **SMALL), teachers=(str(teacher),)).learn(64)
    twin = copy.deepcopy(distill)
    assert twin.ensemble.policies[0].worlds.closed
    assert torch.equal(parameters(distill.learn(64)), parameters(twin.learn(64)))
