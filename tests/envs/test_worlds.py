"""Outputs, spaces and states of vector environments, and environments that fail."""

import numpy as np
import pytest
from gymnasium import spaces

from envs import EnvironmentFailure, Variant, make
from tests.toys import LINE, Counter, Failing, ReusedBuffer, Shaped, numbered, same_step


def idle(n):
    return np.zeros(n, np.int64)


def run(worlds, steps):
    """Every step's (obs, reward, terminated, truncated, infos) under action 0."""
    return [worlds.step(idle(worlds.num_envs)) for _ in range(steps)]


def test_the_outputs_of_a_step_outlive_the_next():
    worlds = make(lambda: ReusedBuffer(2), 2)
    worlds.reset()
    obs, reward, terminated, truncated, infos = worlds.step(idle(2))
    run(worlds, 3)
    assert (obs[0, 0], reward[0], terminated[0], truncated[0]) == (1, 1, False, False)
    assert infos["next_obs"][0, 0] == 1


@pytest.mark.parametrize("n", [1, 5])
def test_discrete_observations_are_int64_rows(n):
    worlds = make(lambda: Shaped(spaces.Discrete(4)), n)
    obs, _ = worlds.reset()
    assert (obs.shape, obs.dtype) == ((n,), np.int64)


INF, NAN = np.inf, np.nan


@pytest.mark.parametrize(
    ("failing", "message"),
    [
        pytest.param(
            {"where": "reset", "at": 0, "raises": True}, "raised RuntimeError in reset: out of tea", id="reset"
        ),
        pytest.param(
            {"where": "reset", "at": 1, "raises": True}, "raised RuntimeError in reset: out of tea", id="later"
        ),
        pytest.param({"where": "step", "at": 1, "raises": True}, "raised RuntimeError in step: out of tea", id="step"),
        pytest.param({"where": "step", "at": 0, "obs": NAN}, "non-finite observation, .*step 1", id="NaN observation"),
        pytest.param({"where": "step", "at": 1, "obs": NAN}, "non-finite observation, .*step 2", id="last observation"),
        pytest.param({"where": "step", "at": 0, "obs": -INF}, "non-finite observation, .*inf", id="-inf observation"),
        pytest.param({"where": "reset", "at": 0, "obs": NAN}, "non-finite observation at reset", id="NaN at reset"),
        pytest.param({"where": "reset", "at": 1, "obs": NAN}, "non-finite observation at reset", id="at a later reset"),
        pytest.param({"where": "step", "at": 0, "reward": NAN}, "non-finite reward, nan", id="NaN reward"),
        pytest.param({"where": "step", "at": 0, "reward": INF}, "non-finite reward, inf", id="inf reward"),
    ],
)
def test_a_failing_environment_is_named_by_its_index(failing, message):
    worlds = make(numbered(lambda i: Failing(**failing) if i == 1 else Counter(2)), 3)
    with pytest.raises(EnvironmentFailure, match=rf"environment 1 \(.*\).*{message}"):
        worlds.reset(), run(worlds, 3)


@pytest.mark.parametrize("at", [0, 1])
def test_a_vector_environment_that_raises_is_named(at):
    worlds = make(same_step(Counter(2), Failing("step", at, raises=True)))
    worlds.reset()
    with pytest.raises(EnvironmentFailure, match=r"raised RuntimeError.*out of tea"):
        run(worlds, 3)


def test_the_spaces_are_those_of_the_policy():
    worlds = make(lambda: Shaped(LINE, spaces.Discrete(4, start=2)), 3)
    assert (worlds.obs_space, worlds.policy_action_space) == (LINE, spaces.Discrete(4))
    assert worlds.action_space == spaces.MultiDiscrete([4, 4, 4])


def test_a_state_of_other_layers_is_declined() -> None:
    worlds = make("CartPole-v1", 2, backend="sync")
    worlds.reset()
    state = worlds.state_dict()
    other = make("CartPole-v1", 2, variant=Variant(max_episode_steps=7), backend="sync")
    assert other.load_state_dict(state)
    snapshots = state["snapshots"]
    assert isinstance(snapshots, list)
    assert not other.load_state_dict(state | {"snapshots": [layers[1:] for layers in snapshots]})
