"""Native worlds equal Gymnasium's: same states for the same seeds and actions, with resets and time limits."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from numpy.typing import NDArray

from agents import checkpoint
from envs import EnvironmentUsageError, Variant, make
from envs.backends.native import WORLDS, NativeBackend
from envs.backends.native_physics import uniform

ENVS = 8


def actions_of(worlds: NativeBackend, count: int, seed: int) -> NDArray[np.generic]:
    """[count, ENVS, …]: random; drifting in continuous worlds, so that goals and bounds are reached."""
    rng, space = np.random.default_rng(seed), worlds.single_action_space
    if isinstance(space, spaces.Discrete):
        return rng.integers(space.n, size=(count, ENVS))
    drift = 0.4 * np.sign(np.sin(np.arange(count) / 40))[:, None, None]
    wild = (rng.normal(size=(count, ENVS, 1)) + drift) * space.high
    return np.clip(wild, space.low, space.high).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("env_id", WORLDS)
def test_many_steps(env_id: str, long: bool) -> None:
    """Terminations, truncations and observations are equal; rewards to within 1e-9."""
    steps = 1_000_000 if long else 100_000
    theirs = [gym.make(env_id, disable_env_checker=True) for _ in range(ENVS)]
    ours = NativeBackend(env_id, ENVS)
    first, _ = ours.reset(seed=7)
    np.testing.assert_allclose(first, [env.reset(seed=7 + i)[0] for i, env in enumerate(theirs)], atol=1e-7)
    episodes, furthest, unfair = 0, 0.0, 0.0
    for action in actions_of(ours, steps // ENVS, 0):
        obs, reward, terminated, truncated, infos = ours.step(action)
        for i, env in enumerate(theirs):
            their_obs, their_reward, over, cut, _ = env.step(action[i])
            assert (over, cut) == (terminated[i], truncated[i])
            furthest = max(furthest, np.abs(infos["next_obs"][i] - their_obs).max())  # type: ignore[index]
            unfair = max(unfair, abs(float(their_reward) - reward[i]))
            if over or cut:
                episodes += 1
                furthest = max(furthest, np.abs(obs[i] - env.reset()[0]).max())
    assert furthest <= 1e-6
    assert unfair <= 1e-9
    assert episodes >= steps / 1000


@pytest.mark.parametrize("env_id", WORLDS)
def test_the_same_behind_make(env_id: str) -> None:
    native, sync = (
        make(env_id, 3, 5, backend=backend, variant=Variant(max_episode_steps=40)) for backend in ("native", "sync")
    )
    assert (native.backend, sync.backend) == ("native", "sync")
    assert native.obs_space == sync.obs_space
    assert native.env_action_space == sync.env_action_space
    assert native.reward_threshold == sync.reward_threshold
    assert native.has_time_limit
    np.testing.assert_array_equal(native.reset()[0], sync.reset()[0])
    for _ in range(100):
        action = sync.action_space.sample()
        (obs, reward, *ended, infos), theirs = native.step(action), sync.step(action)
        np.testing.assert_array_equal(obs, theirs[0])
        np.testing.assert_allclose(reward, theirs[1], rtol=0, atol=1e-9)
        np.testing.assert_array_equal(ended, theirs[2:4])
        np.testing.assert_array_equal(infos["next_obs"], theirs[4]["next_obs"])
        assert ("episode" in infos) == ("episode" in theirs[4])


def test_auto_takes_native_only_where_nothing_is_changed() -> None:
    assert make("CartPole-v1", 1).backend == "native"
    assert make("Pendulum-v1", 1, variant=Variant(env_kwargs={"g": 9.81})).backend == "sync"
    assert make(lambda: gym.make("CartPole-v1"), 1).backend == "sync"
    assert make("FrozenLake-v1", 1).backend == "sync"
    with pytest.raises(EnvironmentUsageError, match="no native Pendulum-v1 with env_kwargs; native are CartPole-v1"):
        make("Pendulum-v1", 1, variant=Variant(env_kwargs={"g": 9.81}), backend="native")
    with pytest.raises(EnvironmentUsageError, match="no native FrozenLake-v1"):
        make("FrozenLake-v1", 1, backend="native")


def test_a_saved_world_goes_on(tmp_path) -> None:  # type: ignore[no-untyped-def]
    worlds, other = (
        make("Acrobot-v1", 2, variant=Variant(max_episode_steps=30)),
        make("Acrobot-v1", 2, 9, variant=Variant(max_episode_steps=30)),
    )
    worlds.reset()
    actions = [worlds.action_space.sample() for _ in range(100)]
    for action in actions[:50]:
        worlds.step(action)
    checkpoint.save(tmp_path / "state.pt", {"worlds": worlds.state_dict()})
    assert other.load_state_dict(checkpoint.load(tmp_path / "state.pt")["worlds"])  # type: ignore[arg-type]
    for action in actions[50:]:
        for ours, theirs in zip(worlds.step(action)[:4], other.step(action)[:4], strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_state_of_another_backend_or_size_is_declined() -> None:
    native, sync = make("CartPole-v1", 2), make("CartPole-v1", 2, backend="sync")
    native.reset(), sync.reset()
    assert not native.load_state_dict(sync.state_dict())
    assert not sync.load_state_dict(native.state_dict())
    assert not make("CartPole-v1", 3).load_state_dict(native.state_dict())


def test_resets() -> None:
    worlds = NativeBackend("CartPole-v1", 3)
    with pytest.raises(EnvironmentUsageError, match="call reset before the first step"):
        worlds.step(np.zeros(3, np.int64))
    with pytest.raises(EnvironmentUsageError, match=r"takes no reset options, got \['low'\]"):
        worlds.reset(options={"low": -0.1})
    first, _ = worlds.reset(seed=[4, 5, 6])
    np.testing.assert_array_equal(first, worlds.reset(seed=4)[0])
    some, _ = worlds.reset(options={"reset_mask": np.array([True, False, False])})
    assert not np.array_equal(some[0], first[0])
    np.testing.assert_array_equal(some[1:], first[1:])


def test_the_generator_is_numpys() -> None:
    generator = np.random.default_rng(3)
    generator.random(5)
    words = generator.bit_generator.state["state"]
    low = (1 << 64) - 1
    row = np.array([words["state"] >> 64, words["state"] & low, words["inc"] >> 64, words["inc"] & low], np.uint64)
    assert [uniform(row, -0.3, 0.7) for _ in range(1000)] == generator.uniform(-0.3, 0.7, 1000).tolist()
