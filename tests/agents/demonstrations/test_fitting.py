"""Demonstrations are refused where they do not fit the environment that they are for."""

from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces

from agents.demonstrations import DemonstrationError, load
from agents.demonstrations.checks import check_demonstrations
from tests.agents.demonstrations.examples import LINE, demonstrations, refused


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (spaces.Box(-1, 1, (4,), np.float32), "observations are float32[3]; the agent observes Box"),
        (spaces.Box(-1, 1, (3,), np.float64), "observations are float32[3]; the agent observes Box"),
        (spaces.Discrete(3), "the agent observes Discrete(3)"),
        (spaces.Dict(a=LINE, b=LINE), "the agent observes Box"),
    ],
)
def test_another_observation_space(file: Path, space: spaces.Space, words: str) -> None:
    assert words in refused(file, obs_space=space)


def test_observations_that_fit(file: Path) -> None:
    assert load(file, obs_space=LINE).transitions == 5
    parts = spaces.Dict(a=spaces.Box(-1, 1, (2,), np.float32), b=spaces.Box(-1, 1, (1,), np.float32))
    assert load(file, obs_space=parts).transitions == 5


def test_discrete_observations_are_of_their_space() -> None:
    d = demonstrations(obs=np.arange(5) - 2, next_obs=np.arange(5) - 1)
    check_demonstrations(d, "here", spaces.Discrete(6, start=-2))
    with pytest.raises(DemonstrationError, match="here: next_observations holds 3 in row 4, which is outside Discrete"):
        check_demonstrations(d, "here", spaces.Discrete(5, start=-2))


@pytest.mark.parametrize(
    "space", [spaces.Discrete(5), spaces.Discrete(3), spaces.MultiDiscrete([4]), spaces.Box(-1, 1, (1,))]
)
def test_another_action_space(file: Path, space: spaces.Space) -> None:
    assert f"actions are int64[5] with choices [4]; the agent acts in {space}" in refused(file, action_space=space)


@pytest.mark.parametrize(
    ("action", "space", "fits"),
    [
        (np.arange(5) % 4, spaces.Discrete(4, start=3), True),
        (np.arange(5), spaces.Discrete(4), False),
        (np.zeros((5, 4), np.int64), spaces.MultiBinary((2, 2)), True),
        (np.zeros((5, 4), np.int64), spaces.MultiDiscrete([[2, 2], [2, 5]], start=[[1, 1], [1, 1]]), True),
        (np.zeros((5, 4), np.float32), spaces.Box(-1, 1, (2, 2)), True),
        (np.full((5, 1), 9, np.float32), spaces.Box(-1, 1, ()), True),  # as the policy sampled it, not clipped
        (np.zeros((5, 4), np.float32), spaces.Box(-1, 1, (2,)), False),
        (np.zeros((5, 4), np.float32), spaces.MultiBinary(4), False),
    ],
)
def test_actions_of_a_file_that_does_not_tell_their_choices(
    action: np.ndarray, space: spaces.Space, fits: bool
) -> None:
    d = demonstrations(action=action, metadata={})
    if fits:
        check_demonstrations(d, "here", action_space=space)
    else:
        with pytest.raises(DemonstrationError, match="here: action"):
            check_demonstrations(d, "here", action_space=space)


def test_another_environment(file: Path) -> None:
    assert load(file, env_id="CartPole-v1").env_id == "CartPole-v1"
    assert load(file, env_id="some.module:CartPole-v1").env_id == "CartPole-v1"
    assert load(file, env_id=None).env_id == "CartPole-v1"
    assert "recorded in CartPole-v1, not in CartPole-v0; record there" in refused(file, env_id="CartPole-v0")
