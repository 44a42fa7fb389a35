"""Environments as third parties write them: return values and infos that the contract does not mention."""

from typing import NamedTuple

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from agents import A2C
from envs import EnvironmentFailure, make
from tests.toys import LINE, Counter, numbered, same_step

THREE = spaces.Box(-5, 5, (3,), np.float32)


class Told(Counter):
    """Returns `later` in every step, and these infos by the number of the call."""

    def __init__(self, space=THREE, later=None, infos=None, first=0):
        super().__init__(length=3)
        self.observation_space, self.later = space, later
        self.infos, self.calls = infos or (lambda call: {}), first

    def info(self):
        self.calls += 1
        return self.infos(self.calls)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(self.observation_space.shape, self.observation_space.dtype), self.info()

    def step(self, action):
        _, _, terminated, truncated, _ = super().step(action)
        obs = np.zeros(self.observation_space.shape, self.observation_space.dtype)
        return obs if self.later is None else self.later, 1.0, terminated, truncated, self.info()


@pytest.mark.parametrize(
    ("space", "later", "words"),
    [
        pytest.param(THREE, np.ones(1, np.float32), r"shape \(1,\) and type float32", id="too short"),
        pytest.param(THREE, 0.5, r"shape \(\) and type float64", id="a number"),
        pytest.param(THREE, np.ones((1, 3), np.float32), r"shape \(1, 3\)", id="a row"),
        pytest.param(THREE, None, None, id="right"),
        pytest.param(THREE, [1.0, 2.0, 3.0], None, id="a list"),
        pytest.param(THREE, np.ones(3), None, id="double precision"),
        pytest.param(spaces.Box(0, 255, (2, 2), np.uint8), np.full((2, 2), 0.7), "type float64; .*uint8", id="cut"),
        pytest.param(spaces.Discrete(4), 1.5, "type float64; its space is Discrete", id="between numbers"),
        pytest.param(spaces.Discrete(4), 2, None, id="a plain number"),
    ],
)
def test_an_observation_of_another_form_is_never_bent_into_shape(space, later, words):
    for vector in (False, True):
        worlds = make(same_step(Told(space, later)) if vector else Told(space, later))
        worlds.reset()
        if words is None:
            shown = worlds.step(np.zeros(1, np.int64))[0][0]
            assert np.array_equal(shown, np.zeros(space.shape) if later is None else later)
        else:
            with pytest.raises(EnvironmentFailure, match=words):
                worlds.step(np.zeros(1, np.int64))


@pytest.mark.parametrize(
    "infos",
    [
        pytest.param(lambda call: {"path": np.zeros(call)}, id="growing arrays"),
        pytest.param(lambda call: {"winner": None if call % 2 else 1}, id="number or None"),
        pytest.param(lambda call: {"winner": "black" if call % 2 else 1}, id="number or text"),
        pytest.param(lambda call: {"score": {"a": 1} if call % 2 else 3}, id="number or dict"),
        pytest.param(lambda call: {"score": 3 if call % 2 else {"a": 1}}, id="dict or number"),
        pytest.param(lambda call: {"hash": 10**30 * call}, id="large numbers"),
        pytest.param(lambda call: {"deep": {"x": np.zeros(call)}}, id="growing, inside"),
    ],
)
def test_infos_may_differ_between_environments(infos):
    worlds = make(numbered(lambda i: Told(infos=infos, first=i)), 3)
    agent = A2C(numbered(lambda i: Told(infos=infos, first=i)), num_envs=3, engine="torch").learn(30)
    assert agent.loop.step == 30
    worlds.reset()
    kept = worlds.step(np.zeros(3, np.int64))[4]
    (key,) = infos(1).keys()
    if isinstance(kept[key], np.ndarray):
        assert kept[f"_{key}"].all()
        assert [str(value) for value in kept[key]] == [str(infos(i + 2)[key]) for i in range(3)]


@pytest.mark.parametrize("vector", [False, True])
@pytest.mark.parametrize(
    "info",
    [
        pytest.param({"episode": {"r": 1000.0, "l": 1}}, id="statistics in every step"),
        pytest.param({"episode": 7}, id="the number of the episode"),
        pytest.param({"_episode": True}, id="its mask"),
        pytest.param({"next_obs": np.full(1, 9.0, np.float32)}, id="a successor"),
        pytest.param({"final_obs": np.full(1, 9.0, np.float32)}, id="a last observation"),
        pytest.param({"environment_replaced": True}, id="a replacement"),
    ],
)
def test_infos_of_the_same_names_as_ours_are_not_taken_for_them(info, vector):
    envs = [Told(LINE, infos=lambda call: info) for _ in range(2)]
    agent = A2C(same_step(*envs) if vector else numbered(envs.__getitem__), num_envs=2, engine="torch")
    episodes = []
    agent.learn(12, [lambda status: episodes.extend(status.episodes)])
    assert [(episode.ret, episode.length) for episode in episodes] == [(3.0, 3)] * 4
    agent.worlds.reset()
    assert agent.worlds.step(np.zeros(2, np.int64))[4]["next_obs"].tolist() == [[0.0], [0.0]]
    agent.worlds.step(np.zeros(2, np.int64))
    assert agent.worlds.step(np.zeros(2, np.int64))[4]["next_obs"].tolist() == [[0.0], [0.0]]  # of the last step


class Step(NamedTuple):
    observation: object
    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, object]


class NamesItsParts(Counter):
    def step(self, action):
        return Step(*super().step(action))


def test_a_step_may_return_a_named_tuple():
    worlds = make(NamesItsParts)
    worlds.reset()
    assert worlds.step(np.zeros(8, np.int64))[1].tolist() == [1.0] * 8


class Core(gym.Env):
    """Has no spaces: its wrapper defines them."""

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0.0, {}

    def step(self, action):
        return 1.0, 1.0, False, False, {}


class Shell(gym.Wrapper):
    def __init__(self):
        super().__init__(Core())
        self.observation_space, self.action_space = LINE, spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        number, info = super().reset(seed=seed, options=options)
        return np.array([number], np.float32), info

    def step(self, action):
        number, *others = super().step(action)
        return np.array([number], np.float32), *others


def test_only_the_outermost_layer_needs_spaces():
    agent = A2C(Shell, num_envs=2, engine="torch").learn(10)
    assert agent.loop.step == 10
    assert agent.worlds.resume == "state"
