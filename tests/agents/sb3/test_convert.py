"""Weights, optimizer and settings converted between Stable-Baselines3's A2C and ours."""

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3 as sb3
import torch
from gymnasium import spaces
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from torch import nn, optim

from agents import A2C
from agents.maths.schedules import Cosine, Linear, Schedule, value_at
from agents.ppo import PPO
from agents.sb3 import from_sb3, to_sb3
from agents.sb3.model import Model
from agents.sb3.transfer import parameters
from agents.settings.values import ConfigError

IDS = ["CartPole-v1", "Pendulum-v1"]


def cartpole(**settings: object) -> sb3.A2C:
    return sb3.A2C("MlpPolicy", "CartPole-v1", device="cpu", **settings)  # type: ignore[arg-type]


def observations(env_id: str, count: int = 10_000) -> np.ndarray:
    space = gym.make(env_id).observation_space
    assert isinstance(space, spaces.Box)
    noise = np.random.default_rng(0).normal(size=(count, *space.shape))
    return noise.astype(np.float32)


def values(model: Model, obs: np.ndarray) -> torch.Tensor:
    with torch.no_grad():
        return model.policy.predict_values(torch.as_tensor(obs)).squeeze(-1)


def own_values(agent: A2C, obs: np.ndarray) -> torch.Tensor:
    with torch.no_grad():
        return agent.value(torch.as_tensor(obs))


@pytest.mark.parametrize("env_id", IDS)
def test_the_same_actions_and_values(env_id: str) -> None:
    model = sb3.A2C("MlpPolicy", env_id, seed=1, device="cpu").learn(400)
    agent, obs = from_sb3(model, engine="torch"), observations(env_id)
    theirs = model.predict(obs, deterministic=True)[0]
    np.testing.assert_array_equal(agent.predict(obs, deterministic=True)[0], theirs)
    fused = from_sb3(model, engine="fused").predict(obs, deterministic=True)[0]
    np.testing.assert_allclose(fused, theirs, rtol=0, atol=1e-6)  # which sums in another order
    torch.testing.assert_close(own_values(agent, obs), values(model, obs), rtol=1e-6, atol=1e-6)
    back = to_sb3(agent)
    np.testing.assert_array_equal(back.predict(obs, deterministic=True)[0], theirs)
    assert torch.equal(values(back, obs), values(model, obs))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"optimizer_class": optim.Adam}, {"use_rms_prop": False, "rms_prop_eps": 1e-5}),
        (
            {"optimizer_class": RMSpropTFLike, "optimizer_kwargs": {"eps": 1e-3, "alpha": 0.99}},
            {"use_rms_prop": True, "rms_prop_tf_like": True, "rms_prop_eps": 1e-3},
        ),
        (
            {"net_arch": [32], "activation_fn": nn.ReLU, "log_std_init": -1.0},
            {"net_arch": (32,), "activation": "relu", "log_std_init": -1.0, "use_rms_prop": True},
        ),
        ({"net_arch": []}, {"net_arch": ()}),
        (
            {"net_arch": {"pi": [32], "vf": [16, 8]}, "activation_fn": nn.SiLU, "ortho_init": False},
            {"net_arch": {"pi": [32], "vf": [16, 8]}, "activation": "silu", "ortho_init": False},
        ),
    ],
)
def test_settings_and_optimizer_both_ways(given: dict[str, object], expected: dict[str, object]) -> None:
    model = sb3.A2C(
        "MlpPolicy", "Pendulum-v1", learning_rate=LinearSchedule(1e-3, 1e-4, 1.0), n_steps=7, gamma=0.9,
        gae_lambda=0.8, ent_coef=0.02, vf_coef=0.3, max_grad_norm=0.7, normalize_advantage=True, seed=5,
        policy_kwargs=given, device="cpu",
    ).learn(70)  # fmt: skip
    agent = from_sb3(model)
    expected |= {"n_steps": 7, "gamma": 0.9, "gae_lambda": 0.8, "ent_coef": 0.02, "vf_coef": 0.3, "max_grad_norm": 0.7}
    expected |= {"normalize_advantage": True, "seed": 5, "num_envs": 1, "learning_rate": Linear(1e-3, 1e-4)}
    assert {name: getattr(agent, name) for name in expected} == expected
    back = to_sb3(agent)
    assert type(back.policy.optimizer) is type(model.policy.optimizer)
    for policy, state in ((model.policy, model.policy.optimizer.state), (back.policy, back.policy.optimizer.state)):
        for ours, theirs in parameters(agent.policy, agent.value, policy):
            assert torch.equal(ours, theirs)
            for name, value in agent.learner.optimizer.inner.state[ours].items():
                assert torch.equal(torch.as_tensor(value), torch.as_tensor(state[theirs][name])), name
    assert (back.num_timesteps, back._n_updates) == (agent.loop.step, agent.loop.iteration) == (70, 10)
    assert [back.lr_schedule(x) for x in (1.0, 0.25)] == [model.lr_schedule(x) for x in (1.0, 0.25)]


def test_ppo_both_ways() -> None:
    given = {
        "n_steps": 64, "batch_size": 32, "n_epochs": 3, "target_kl": 0.5, "gamma": 0.9, "gae_lambda": 0.8,
        "ent_coef": 0.02, "vf_coef": 0.3, "max_grad_norm": 0.7, "normalize_advantage": False, "seed": 5,
    }  # fmt: skip
    model = sb3.PPO(
        "MlpPolicy", "Pendulum-v1", learning_rate=LinearSchedule(1e-3, 1e-4, 1.0),
        clip_range=LinearSchedule(0.3, 0.1, 1.0), clip_range_vf=0.4, device="cpu", **given,
    ).learn(128)  # fmt: skip
    agent = from_sb3(model)
    assert type(agent) is PPO
    given |= {"learning_rate": Linear(1e-3, 1e-4), "clip_range": Linear(0.3, 0.1), "clip_range_vf": 0.4}
    assert {name: getattr(agent, name) for name in given} == given
    assert (agent.loop.step, agent.loop.iteration, model._n_updates) == (128, 2, 6)
    back, obs = to_sb3(agent), observations("Pendulum-v1", 100)
    assert type(back) is sb3.PPO
    assert (back.num_timesteps, back._n_updates, back.clip_range(0.5)) == (128, 6, pytest.approx(0.2))  # type: ignore[operator]
    assert torch.equal(values(back, obs), values(model, obs))
    for ours, theirs in parameters(agent.policy, agent.value, back.policy):
        state = agent.learner.optimizer.inner.state[ours]
        for name, value in back.policy.optimizer.state[theirs].items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(state[name]))
    assert np.isfinite(agent.learn(128).loop.step)
    with pytest.raises(ConfigError, match="PPO has no counterpart of kl_coef"):
        to_sb3(PPO("CartPole-v1", kl_coef=0.1))
    with pytest.raises(ConfigError, match="clip_range is null, but Stable-Baselines3's PPO always clips"):
        to_sb3(PPO("CartPole-v1", clip_range=None))


def test_a_function_as_learning_rate_both_ways() -> None:
    model = cartpole(learning_rate=lambda left: 1e-3 * left**2).learn(40)
    agent = from_sb3(model)
    assert [value_at(agent.learning_rate, x) for x in (0.0, 0.5)] == [1e-3, 2.5e-4]
    assert to_sb3(agent).lr_schedule(0.5) == 2.5e-4


@pytest.mark.parametrize("env_id", IDS)
def test_training_continues_in_either_library(env_id: str, tmp_path: Path) -> None:
    model = sb3.A2C("MlpPolicy", DummyVecEnv([lambda: gym.make(env_id)] * 3), seed=0, device="cpu").learn(300)
    model.save(tmp_path / "there.zip")
    agent = from_sb3(tmp_path / "there.zip", env_id).learn(300)
    assert agent.loop.step == 600
    assert agent.num_envs == 3
    to_sb3(agent).save(tmp_path / "back.zip")
    back = sb3.A2C.load(tmp_path / "back.zip", env=DummyVecEnv([lambda: gym.make(env_id)] * 3), device="cpu")
    obs = observations(env_id, 100)
    there = back.predict(obs, deterministic=True)[0]
    np.testing.assert_allclose(there, agent.predict(obs, deterministic=True)[0], rtol=0, atol=1e-6)
    with pytest.warns(UserWarning, match="Monitor"):
        mean, _ = evaluate_policy(back, back.get_env(), n_eval_episodes=3)
    assert np.isfinite(mean)
    assert back.learn(30, reset_num_timesteps=False).num_timesteps == 630


def test_the_next_update_is_the_same(tmp_path: Path) -> None:
    """The step would differ if the optimizer's state were not converted."""
    model = sb3.A2C("MlpPolicy", "CartPole-v1", seed=0, device="cpu").learn(500)
    agent = to_sb3(from_sb3(model))
    for other in (model, agent):
        torch.manual_seed(0)
        other.set_random_seed(3)
        other.set_env(other.get_env(), force_reset=True)
        other.learn(5, reset_num_timesteps=False)
    for mine, theirs in zip(agent.policy.parameters(), model.policy.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-7)


def test_normalizers_are_converted() -> None:
    venv = VecNormalize(DummyVecEnv([lambda: gym.make("Pendulum-v1")] * 2), gamma=0.9)
    model = sb3.A2C("MlpPolicy", venv, gamma=0.9, seed=0, device="cpu").learn(200)
    agent, obs = from_sb3(model), observations("Pendulum-v1", 1_000)
    expected = model.predict(venv.normalize_obs(obs), deterministic=True)[0]
    np.testing.assert_allclose(agent.predict(obs, deterministic=True)[0], expected, atol=1e-6)
    back = to_sb3(agent).get_vec_normalize_env()
    assert back is not None
    for ours, theirs in ((back.obs_rms, venv.obs_rms), (back.ret_rms, venv.ret_rms)):
        for name in ("mean", "var", "count"):
            np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-12)
    venv.clip_obs = 0.5
    with pytest.raises(ConfigError, match=r"clip_obs=0\.5 and clip_reward=10\.0; A2C has one for both"):
        from_sb3(model)
    venv.clip_reward = 0.5
    agent, expected = from_sb3(model), model.predict(venv.normalize_obs(obs), deterministic=True)[0]
    np.testing.assert_allclose(agent.predict(obs, deterministic=True)[0], expected, atol=1e-6)
    back = to_sb3(agent).get_vec_normalize_env()
    assert back is not None
    assert (back.clip_obs, back.clip_reward) == (agent.clip_normalized, agent.clip_normalized) == (0.5, 0.5)


@pytest.mark.parametrize("schedule", [3e-4, Linear(1e-3, 1e-4), Linear(1e-3, 1e-4, 0.3), Cosine(1e-3, 0.0)])
def test_schedules_of_the_learning_rate_both_ways(schedule: Schedule, tmp_path: Path) -> None:
    to_sb3(A2C("CartPole-v1", num_envs=1, learning_rate=schedule)).learn(50).save(tmp_path / "a2c.zip")
    model = sb3.A2C.load(tmp_path / "a2c.zip", device="cpu")
    agent = from_sb3(model, "CartPole-v1")
    assert agent.learning_rate == schedule
    for done in (0.0, 0.1, 0.5, 0.9):
        assert model.lr_schedule(1 - done) == pytest.approx(value_at(schedule, done), rel=1e-12)


def test_environment_settings_are_found() -> None:
    env = gym.make("CartPole-v1", max_episode_steps=20, sutton_barto_reward=True)
    agent = from_sb3(sb3.A2C("MlpPolicy", env, device="cpu"))
    assert (agent.env, agent.max_episode_steps) == ("CartPole-v1", 20)
    assert agent.env_kwargs == {"sutton_barto_reward": True}
    assert from_sb3(sb3.A2C("MlpPolicy", "CartPole-v1", device="cpu")).env_kwargs is None


def test_frozen_parameters_stay_frozen_in_either_library() -> None:
    agent = A2C("CartPole-v1", num_envs=2, engine="torch")
    agent.policy.net[0].requires_grad_(False)
    model = to_sb3(agent)
    before = agent.policy.net[0].weight.clone()
    model.learn(40)
    again = from_sb3(model, engine="torch").learn(40)
    assert torch.equal(again.policy.net[0].weight, before)
    assert not torch.equal(again.policy.net[2].weight, agent.policy.net[2].weight)
