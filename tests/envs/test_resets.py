"""Environments whose reset lacks a parameter, as is common outside Gymnasium."""

import gymnasium as gym
import numpy as np
import pytest

from agents import A2C
from envs import EnvironmentWarning, Variant, make
from envs.streams import stream_seeds
from tests.toys import Counter, same_step


class NoOptions(Counter):
    """Starts at a random number."""

    def reset(self, seed=None):
        _, info = super().reset(seed=seed)
        return self.np_random.normal(size=1).astype(np.float32), info


class NoSeed(NoOptions):
    def reset(self):
        return super().reset()


class Wrapping(gym.Wrapper):
    def reset(self, seed=None):
        return self.env.reset(seed=seed)


gym.register("NoOptions-v0", NoOptions, max_episode_steps=9)


@pytest.mark.parametrize(
    ("env", "variant"),
    [
        pytest.param(NoOptions, Variant(), id="function"),
        pytest.param("tests.envs.test_resets:NoOptions-v0", Variant(), id="id"),
        pytest.param(NoOptions, Variant(max_episode_steps=3, frame_stack=2), id="below wrappers of ours"),
        pytest.param(lambda: Wrapping(NoOptions()), Variant(), id="twice"),
        pytest.param(NoOptions, Variant(wrappers=("tests.envs.test_resets:Wrapping",)), id="wrapper by name"),
        pytest.param(same_step(NoOptions(), NoOptions()), Variant(), id="vector environment"),
    ],
)
def test_a_reset_without_options_is_given_its_seed(env, variant):
    worlds = make(env, 2, seed=5, variant=variant)
    obs, _ = worlds.reset()
    seeds = stream_seeds(5, "environments", 2)
    first = [NoOptions().reset(seed=seed)[0][0] for seed in seeds]
    assert obs.reshape(2, -1)[:, -1].tolist() == first
    for _ in range(10):
        worlds.step(np.zeros(2, np.int64))


def test_an_agent_resumes_such_an_environment_exactly(tmp_path):
    agent = A2C("tests.envs.test_resets:NoOptions-v0", num_envs=2, engine="torch").learn(10)
    loaded = A2C.load(agent.save(tmp_path / "a"))
    assert loaded.loop.exact
    weights = [a.learn(10).policy.net[-1].weight for a in (agent, loaded)]
    assert (weights[0] == weights[1]).all()


def test_a_reset_without_a_seed_is_warned_of():
    with pytest.warns(EnvironmentWarning, match="reset of NoSeed takes no seed: a run may not be reproducible"):
        worlds = make(NoSeed, 1, seed=5)
    assert worlds.reset()[0].shape == (1, 1)
