"""Running moments against NumPy; normalizers against a plain loop and Stable-Baselines3's VecNormalize; rewards scaled
and clipped against environments that do it themselves."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from torch import Tensor

from agents import A2C
from agents.events import Status
from agents.maths.normalize import ObservationNormalizer, RewardNormalizer, RunningMoments, scale_and_clip
from agents.settings.actor_critic import Engine

GAMMA = 0.97


def batches(mean: float, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    scale = torch.tensor([1.0, 10.0, 0.1], dtype=torch.float64)
    drawn = [torch.randn(size, 3, generator=generator, dtype=torch.float64) for size in (1, 7, 200, 3)]
    return [(mean + scale * x).to(dtype) for x in drawn]


def rewards(num_steps: int, num_envs: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    reward = 3 * torch.randn(num_steps, num_envs, generator=generator) - 1
    return reward, torch.rand(num_steps, num_envs, generator=generator) < 0.1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mean", [0.0, -5.0, 1e8])
def test_moments_match_numpy(mean: float, dtype: torch.dtype) -> None:
    moments, seen = RunningMoments((3,)), []
    for batch in batches(mean, dtype):
        moments.update(batch)
        seen.append(batch.double().numpy())
        x = np.concatenate(seen)
        assert moments.count == len(x)
        np.testing.assert_allclose(moments.mean, x.mean(0), rtol=1e-14, atol=1e-14)
        np.testing.assert_allclose(moments.var, x.var(0), rtol=1e-6 if mean == 1e8 else 1e-12)


def test_moments_of_numbers() -> None:
    moments = RunningMoments()
    assert moments.var == 1
    moments.update(torch.tensor([1.0, 3.0]))
    moments.update(torch.tensor([5.0]))
    assert moments.mean.item() == 3
    assert moments.var.item() == pytest.approx(8 / 3)


def test_observations_before_the_first_update_are_clipped_only() -> None:
    obs = torch.tensor([[0.5, -20.0, 11.0]])
    assert ObservationNormalizer(3)(obs).tolist() == [[0.5, -10.0, 10.0]]


@pytest.mark.parametrize("mean", [0.0, 100.0, 1e6])
def test_observations_match_numpy(mean: float) -> None:
    obs = torch.cat(batches(mean, torch.float32))[:210].reshape(70, 3, 3)
    normalizer = ObservationNormalizer(3)
    normalizer.update(obs[:50])
    normalizer.update(obs[50:])
    x = obs.double().numpy()
    expected = (x - x.mean((0, 1))) / np.sqrt(x.var((0, 1)) + 1e-8)
    got = normalizer(obs)
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got, expected.clip(-10, 10), rtol=1e-5, atol=1e-5)


def test_constant_feature_becomes_zero() -> None:
    obs = torch.full((5, 2, 1), 0.1)
    normalizer = ObservationNormalizer(1)
    normalizer.update(obs)
    assert (normalizer(obs) == 0).all()


def test_rewards_match_a_plain_loop() -> None:
    reward, ended = rewards(40, 3)
    normalizer = RewardNormalizer(3, GAMMA)
    normalizer.update(reward[:15], ended[:15])
    normalizer.update(reward[15:], ended[15:])
    running, seen = np.zeros(3), []
    for r, end in zip(reward.double().numpy(), ended.numpy(), strict=True):
        running = GAMMA * running + r
        seen.append(running)
        running = np.where(end, 0.0, running)
    expected = reward.numpy() / np.sqrt(np.var(seen) + 1e-8)
    np.testing.assert_allclose(normalizer.returns, running, rtol=1e-12)
    np.testing.assert_allclose(normalizer(reward), expected.clip(-10, 10), rtol=1e-6)
    assert normalizer(torch.tensor([1e6, -1e6])).tolist() == [10.0, -10.0]


def test_rewards_match_stable_baselines3() -> None:
    reward, ended = rewards(60, 3)
    theirs = VecNormalize(DummyVecEnv([lambda: gym.make("CartPole-v1")] * 3), gamma=GAMMA)
    theirs.ret_rms = RunningMeanStd(epsilon=0.0, shape=())  # without their pseudo-count of 1e-4
    ours = RewardNormalizer(3, GAMMA)
    for r, end in zip(reward, ended, strict=True):
        theirs._update_reward(r.double().numpy())
        ours.update(r.unsqueeze(0), end.unsqueeze(0))
        np.testing.assert_allclose(ours(r), theirs.normalize_reward(r.double().numpy()), rtol=1e-6)
        theirs.returns[end.numpy()] = 0
    theirs.close()


def test_state_round_trip_is_exact() -> None:
    reward, ended = rewards(40, 3)
    obs = torch.cat(batches(2.0, torch.float32))[:60].reshape(20, 3, 3)
    reward_normalizer, obs_normalizer = RewardNormalizer(3, GAMMA), ObservationNormalizer(3)
    reward_normalizer.update(reward[:20], ended[:20])
    obs_normalizer.update(obs[:10])
    reward_copy, obs_copy = RewardNormalizer(3, GAMMA), ObservationNormalizer(3)
    reward_copy.load_state_dict(reward_normalizer.state_dict())
    obs_copy.load_state_dict(obs_normalizer.state_dict())
    for normalizer in (reward_normalizer, reward_copy):
        normalizer.update(reward[20:], ended[20:])
    for normalizer in (obs_normalizer, obs_copy):
        normalizer.update(obs[10:])
    assert torch.equal(reward_normalizer(reward), reward_copy(reward))
    assert torch.equal(reward_normalizer.returns, reward_copy.returns)
    assert torch.equal(obs_normalizer(obs), obs_copy(obs))
    assert reward_normalizer.moments.count == reward_copy.moments.count == 120


def test_state_is_a_snapshot() -> None:
    moments = RunningMoments((3,))
    moments.update(batches(0.0)[1])
    state = moments.state_dict()
    before = str(state)
    moments.update(batches(5.0)[2])
    assert str(state) == before


def test_another_number_of_environments_starts_its_returns_anew() -> None:
    normalizer, other = RewardNormalizer(3, GAMMA), RewardNormalizer(5, GAMMA)
    normalizer.update(*rewards(10, 3))
    other.load_state_dict(normalizer.state_dict())
    assert other.returns.tolist() == [0.0] * 5
    assert torch.equal(other.moments.var, normalizer.moments.var)


def test_bounds_of_what_is_normalized() -> None:
    assert ObservationNormalizer(2, 0.5)(torch.tensor([[0.4, -2.0]])).tolist() == [[0.4000000059604645, -0.5]]
    normalizer = RewardNormalizer(1, GAMMA, 0.5)
    normalizer.update(torch.tensor([[1.0], [-1.0]]), torch.ones(2, 1, dtype=torch.bool))
    assert normalizer(torch.tensor([0.25, 7.0])).tolist() == [0.25, 0.5]


# --- rewards as the critic sees them ---


def test_rewards_are_scaled_then_clipped() -> None:
    reward = torch.tensor([[-8.0, -1.0, 0.0], [0.5, 2.0, 9.0]])
    assert scale_and_clip(reward, 0.5, None).equal(reward / 2)
    assert scale_and_clip(reward, 0.5, 2.0).tolist() == [[-2.0, -0.5, 0.0], [0.25, 1.0, 2.0]]
    whole = torch.arange(-3.0, 4.0)
    assert scale_and_clip(whole, 1.0, 1.0).equal(whole.sign())  # as Atari's rewards are clipped


def bounded() -> gym.Env:  # type: ignore[type-arg]
    return gym.wrappers.TransformReward(gym.make("Pendulum-v1"), lambda r: min(max(0.5 * float(r), -1.0), 1.0))


@pytest.mark.parametrize("engine", ["torch", "fused"])
@pytest.mark.parametrize("normalized", [False, True])
def test_rewards_as_if_the_environment_had_done_it(engine: Engine, normalized: bool) -> None:
    """Same parameters; but reported returns, and rewards in rollouts, are the original ones."""
    settings = {"num_envs": 2, "n_steps": 3, "max_episode_steps": 20, "engine": engine, "normalize_rewards": normalized}
    returns: list[list[float]] = []
    agents = []
    for env, own in ((bounded, {}), ("Pendulum-v1", {"backend": "sync", "reward_scale": 0.5, "reward_clip": 1.0})):
        seen: list[float] = []

        def note(status: Status, seen: list[float] = seen) -> None:
            seen.extend(episode.ret for episode in status.episodes)

        agents.append(A2C(env, **settings, **own).learn(300, [note]))  # type: ignore[arg-type]
        returns.append(seen)
    for p, q in zip(agents[0].policy.parameters(), agents[1].policy.parameters(), strict=True):
        assert torch.equal(p, q)
    for p, q in zip(agents[0].value.parameters(), agents[1].value.parameters(), strict=True):
        assert torch.equal(p, q)
    assert min(returns[0]) >= -20 > min(returns[1])
    assert len(returns[0]) == len(returns[1]) > 10
