"""Saved worlds continue exactly, or say that they cannot."""

import gymnasium as gym
import numpy as np
import pytest

from agents import checkpoint
from envs import Variant, make
from envs.snapshot import capture, restore
from tests import odd, toys

TAXI = next(env_id for env_id in sorted(gym.registry, reverse=True) if env_id.startswith("Taxi-"))
LIMIT = 25  # maximal episode length, so that every environment resets


def play(worlds, actions):
    """Everything returned by the steps, flattened."""
    record = []
    for action in actions:
        obs, reward, terminated, truncated, infos = worlds.step(action)
        episode = infos.get("episode", {"r": np.zeros(0), "l": np.zeros(0)})
        ended = infos.get("_episode", np.zeros(0))
        record.append([obs, infos["next_obs"], reward, terminated, truncated, episode["r"], episode["l"], ended])
    return record


def assert_same(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)


def reloaded(state, path):
    checkpoint.save(path, {"worlds": state})
    return checkpoint.load(path)["worlds"]


@pytest.mark.parametrize(
    "env_id", ["CartPole-v1", "Acrobot-v1", "Pendulum-v1", "MountainCar-v0", "FrozenLake-v1", TAXI]
)
@pytest.mark.parametrize("k", [0, 7, LIMIT])
def test_a_loaded_world_goes_on_exactly(env_id, k, tmp_path):
    def build(seed):
        return make(env_id, 2, seed, variant=Variant(max_episode_steps=LIMIT))

    worlds = build(0)
    worlds.reset()
    actions = [worlds.action_space.sample() for _ in range(k + 40)]
    play(worlds, actions[:k])
    state = worlds.state_dict()
    expected = play(worlds, actions[k:])
    fresh = build(1)
    assert fresh.load_state_dict(reloaded(state, tmp_path / "state.pt"))
    assert_same(play(fresh, actions[k:]), expected)
    assert sum(row[7].sum() for row in expected) >= 2


@pytest.mark.parametrize(
    "kind",
    [
        odd.EnumState,
        odd.TextState,
        odd.BytesState,
        odd.ObjectArrayState,
        odd.ComplexState,
        odd.DefaultDictState,
        odd.SharedArrayState,
        odd.SharedGeneratorState,
        odd.EnvironmentInside,
        odd.ListOfFunctions,
        odd.DictOfSpaces,
        odd.SampledDict,
        odd.SampledList,
    ],
)
def test_unusual_state_goes_on_exactly_or_is_declined(kind, tmp_path):
    worlds, actions = make(kind, 1, 0), np.zeros((4, 1), np.int64)
    worlds.reset()
    play(worlds, actions[:2])
    state = worlds.state_dict()
    expected = play(worlds, actions[2:])
    fresh = make(kind, 1, 1)
    restored = fresh.load_state_dict(reloaded(state, tmp_path / "state.pt"))
    assert restored is (kind not in (odd.EnumState, odd.EnvironmentInside, odd.SampledList))
    if restored:
        assert_same(play(fresh, actions[2:]), expected)


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(lambda: make(odd.Opaque, 2), id="opaque object"),
        pytest.param(lambda: make(toys.numbered(lambda i: [odd.BytesState, odd.Opaque][i]()), 2), id="one of two"),
        pytest.param(lambda: make(toys.same_step(odd.Opaque())), id="vector environment"),
        pytest.param(lambda: make(toys.Float32Vector()), id="vector environment of its own making"),
    ],
)
def test_a_world_that_cannot_be_captured_says_so(world, tmp_path):
    worlds = world()
    worlds.reset()
    state = worlds.state_dict()
    assert state["snapshots"] is None
    assert world().load_state_dict(reloaded(state, tmp_path / "state.pt")) is False


def test_a_declined_load_leaves_fresh_episodes():
    worlds = make(odd.Opaque, 1)
    worlds.reset()
    play(worlds, np.zeros((3, 1), np.int64))
    fresh = make(odd.Opaque, 1)
    assert fresh.load_state_dict(worlds.state_dict()) is False
    fresh.reset()
    assert fresh.state_dict() == {"return": [0.0], "length": [0], "legal": None, "snapshots": None}


def test_a_snapshot_does_not_follow_the_environment():
    env = toys.ReusedBuffer(5)
    env.reset(seed=0)
    layers = capture(env)
    env.step(0)
    assert env.buffer[0] == 1
    restore(env, layers)
    assert (env.buffer[0], env.count) == (0, 0)


def test_restoring_into_other_layers_is_refused():
    env = gym.make("CartPole-v1")
    with pytest.raises(ValueError, match="1 layers, its saved state has"):
        restore(env.unwrapped, capture(env))


@pytest.mark.parametrize(
    ("env", "backend", "resume"),
    [
        ("CartPole-v1", "native", "state"),
        ("CartPole-v1", "sync", "state"),
        ("CartPole-v1", "async", "state"),
        (odd.Rebuilt, "sync", "replay"),
        (odd.Rebuilt, "async", "replay"),
        (odd.Opaque, "sync", "new episodes"),
        ("CartPole-v1", "envpool", "new episodes"),
    ],
)
def test_worlds_say_how_they_resume(env, backend, resume):
    worlds = make(env, 2, backend=backend)
    worlds.reset()
    assert worlds.resume == resume
    worlds.close()


def test_a_stack_of_frames_is_plain_data(tmp_path):
    """The first frame fills the stack and is an attribute too: the same object in several places."""
    variant = Variant(frame_stack=3)
    worlds, fresh = (make("CartPole-v1", 1, seed, variant=variant, backend="sync") for seed in (0, 1))
    worlds.reset()
    actions = np.ones((9, 1), np.int64)
    play(worlds, actions[:1])
    assert worlds.resume == "state"
    assert fresh.load_state_dict(reloaded(worlds.state_dict(), tmp_path / "state.pt"))
    assert_same(play(fresh, actions), play(worlds, actions))
