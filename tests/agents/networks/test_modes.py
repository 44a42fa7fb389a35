"""Modules with dropout and batch normalization: training mode in updates, evaluation mode everywhere else."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from agents import A2C
from agents.actor_critic import ActorCritic
from agents.evaluation import evaluate
from agents.imitation.clone import Clone
from agents.ppo import PPO
from agents.rollout import Rollout
from agents.settings.values import ConfigError
from agents.streaming import StreamAC
from tests.agents.recorded import made

HERE = "tests.agents.networks.test_modes"
SMALL: dict[str, Any] = {"net_arch": (8,), "seed": 3}


class Dropped(nn.Module):
    """A layer with dropout that records, in every pass, the mode and whether gradients are enabled."""

    features_dim = 16

    def __init__(self, space: gym.spaces.Box) -> None:
        super().__init__()
        self.layer, self.dropout = nn.Linear(space.shape[0], 16), nn.Dropout(0.5)
        self.passes: list[tuple[bool, bool]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.passes.append((self.training, torch.is_grad_enabled()))
        return self.dropout(self.layer(x).relu())


class Normalized(Dropped):
    """Like `Dropped`, with batch normalization."""

    def __init__(self, space: gym.spaces.Box) -> None:
        super().__init__(space)
        self.norm = nn.BatchNorm1d(16)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.norm(super().forward(x)))


class Counting(nn.Module):
    """Counts passes in training mode."""

    features_dim = 4

    def __init__(self, space: gym.spaces.Box) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.seen += self.training
        return x + 0 * self.seen


def parameters(agent: ActorCritic) -> Tensor:
    return torch.cat([p.detach().flatten() for network in agent.networks for p in network.parameters()])


def buffers(agent: ActorCritic) -> list[Tensor]:
    return [x.clone() for network in agent.networks for x in network.buffers()]


def agents() -> list[ActorCritic]:
    return [
        A2C("CartPole-v1", network=f"{HERE}:Normalized", n_steps=4, **SMALL),
        A2C("CartPole-v1", network=f"{HERE}:Normalized", shared_layers="nothing", gae_lambda=0.9, n_steps=2, **SMALL),
        StreamAC("CartPole-v1", network=f"{HERE}:Dropped", **SMALL),
        PPO("CartPole-v1", network=f"{HERE}:Normalized", num_envs=2, n_steps=8, batch_size=8, n_epochs=2, **SMALL),
    ]


@pytest.mark.parametrize("which", range(4))
def test_acting_is_in_evaluation_mode(which: int) -> None:
    agent = agents()[which].learn(64)
    obs = np.random.default_rng(0).normal(0, 1, (5, 4)).astype(np.float32)
    before, generator = buffers(agent), torch.get_rng_state()
    found = [agent.act(obs, deterministic=True).raw for _ in range(3)]
    assert torch.equal(found[0], found[1])
    single = agent.act(obs[:1], deterministic=True).raw
    torch.testing.assert_close(single, found[0][:1], rtol=1e-5, atol=1e-6)
    agent.policy.train()  # as left by a user
    assert torch.equal(agent.act(obs, deterministic=True).raw, found[0])
    agent.predict(obs[0], deterministic=True)
    evaluate(agent, "CartPole-v1", 2)
    assert all(torch.equal(x, y) for x, y in zip(buffers(agent), before, strict=True))
    assert torch.equal(torch.get_rng_state(), generator), "the global generator is not touched"


@pytest.mark.parametrize("which", range(4))
def test_gradients_are_taken_in_training_mode_and_nothing_else(which: int) -> None:
    agent = agents()[which]
    modules = {id(m): m for network in agent.networks for m in network.modules() if isinstance(m, Dropped)}
    for module in modules.values():
        module.passes.clear()
    before = buffers(agent)
    agent.learn(64)
    passes = {found for module in modules.values() for found in module.passes}
    assert passes == {(True, True), (False, False)}
    assert not before or not any(torch.equal(x, y) for x, y in zip(buffers(agent), before, strict=True) if x.ndim)


@pytest.mark.parametrize("which", range(4))
def test_dropout_draws_from_the_agent(which: int, tmp_path: Path) -> None:
    """Training depends only on the seed, does not use the global generator, and resumes exactly."""
    whole, parted = agents()[which], agents()[which]
    generator = torch.get_rng_state()
    whole.learn(128)
    assert torch.equal(torch.get_rng_state(), generator)
    torch.manual_seed(7)
    path = parted.learn(64).save(tmp_path / "half")
    torch.manual_seed(8)
    resumed = type(parted).load(path).learn(64)
    assert torch.equal(parameters(resumed), parameters(whole))
    assert all(torch.equal(x, y) for x, y in zip(buffers(resumed), buffers(whole), strict=True))


def test_advantages_are_those_of_evaluation_mode() -> None:
    agent = A2C("CartPole-v1", network=f"{HERE}:Dropped", n_steps=8, num_envs=2, gae_lambda=0.9, **SMALL)
    obs = torch.randn(8, 2, 4, generator=torch.Generator().manual_seed(0))
    inputs = agent.learner.inputs(_rollout(agent, obs))
    forward = agent.learner.forward(inputs)
    with torch.no_grad():
        expected = agent.value(inputs.x)
    torch.testing.assert_close(forward.baseline, expected)
    assert not torch.allclose(forward.v, expected), "dropout is active where the gradient is taken"
    assert not torch.allclose(forward.pi.raw, forward.acting.raw)


def _rollout(agent: A2C, obs: Tensor) -> Rollout:
    flags = torch.zeros(obs.shape[:2], dtype=torch.bool)
    behavior = agent.act(obs.flatten(0, 1).numpy()).raw.unflatten(0, obs.shape[:2])
    return Rollout(obs, flags.long(), flags.float(), obs, flags, flags, behavior)


def test_one_observation_cannot_be_normalized() -> None:
    for build in (A2C, StreamAC):
        with pytest.raises(ConfigError, match="batch normalization needs more than one step per update"):
            build("CartPole-v1", network=f"{HERE}:Normalized", num_envs=1)
    with pytest.raises(ConfigError, match="batch normalization needs more than one step per update"):
        PPO("CartPole-v1", network=f"{HERE}:Normalized", n_steps=8, batch_size=1, normalize_advantage=False)


def test_a_single_observation_is_normalized_by_running_statistics() -> None:
    """In a last rollout of one step, and in a last minibatch of one row."""
    agent = A2C("CartPole-v1", network=f"{HERE}:Normalized", num_envs=1, n_steps=8, **SMALL).learn(8)
    before, old = buffers(agent), parameters(agent)
    assert agent.learn(1).loop.step == 9
    assert all(torch.equal(x, y) for x, y in zip(buffers(agent), before, strict=True))
    assert not torch.equal(parameters(agent), old)
    ppo = PPO("CartPole-v1", network=f"{HERE}:Normalized", n_steps=8, batch_size=4, n_epochs=1, **SMALL).learn(13)
    assert ppo.loop.step == 13


def test_cloning(tmp_path: Path) -> None:
    obs = np.random.default_rng(0).normal(0, 1, (64, 4)).astype(np.float32)
    file = made(tmp_path / "d", "CartPole-v1", obs, (obs[:, 2] > 0).astype(np.int64), length=8)
    agent = A2C("CartPole-v1", network=f"{HERE}:Normalized", num_envs=2, **SMALL)
    module = agent.policy.trunk.encoder.inner
    clone = Clone(agent, demonstrations=file, batch_size=8)
    before, module.passes = buffers(agent), []
    clone.learn(64)
    assert set(module.passes) == {(True, True), (False, False)}
    assert not torch.equal(before[0], buffers(agent)[0])
    before = buffers(agent)
    clone.held_out_loss(clone.epochs.train.take(torch.arange(8), torch.device("cpu")))
    assert torch.equal(before[0], buffers(agent)[0])


def test_the_averaged_policy_takes_over_statistics() -> None:
    agent = StreamAC("CartPole-v1", network=f"{HERE}:Counting", **SMALL).learn(10)
    assert agent.learner.average is not None
    [ours] = [x for x in agent.policy.buffers() if x.ndim == 0]
    [averaged] = [x for x in agent.learner.average.policy.buffers() if x.ndim == 0]
    assert ours == averaged == 10
