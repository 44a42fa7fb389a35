"""Infos that hold numbers merge as Gymnasium merges them, when they are first read."""

import copy
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from envs import make
from envs.backends.guard import stacked_infos
from envs.backends.infos import LazyInfos


class Counting(gym.Env):
    """Returns the same dict in every step."""

    observation_space, action_space = spaces.Box(0, 99, (1,), np.float32), spaces.Discrete(2)

    def __init__(self) -> None:
        self.info: dict[str, Any] = {"n": 0, "x": np.float64(0), "even": True}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.info["n"] += 1 + int(action)
        self.info |= {"x": np.float64(self.info["n"] / 2), "even": self.info["n"] % 2 == 0}
        return np.zeros(1, np.float32), 0.0, self.info["n"] > 5, False, self.info


def plain(infos: dict[str, Any]) -> dict[str, Any]:
    return {name: value.tolist() for name, value in infos.items() if name not in ("next_obs", "episode", "_episode")}


def test_they_are_those_of_gymnasium_even_when_read_late() -> None:
    ours, theirs = (
        make(Counting, 2, backend="sync"),
        SyncVectorEnv([Counting] * 2, autoreset_mode=AutoresetMode.SAME_STEP),
    )
    ours.reset(), theirs.reset()
    steps = [(ours.step(action)[4], copy.deepcopy(theirs.step(action)[4])) for action in np.array([[0, 1], [1, 0]] * 2)]
    assert [type(infos) is LazyInfos for infos, _ in steps] == [True, True, True, False]  # one with an episode's end
    for infos, expected in steps[:3]:
        assert plain(infos) == plain(expected)
        assert {name: infos[name].dtype for name in expected} == {name: expected[name].dtype for name in expected}


READINGS = {
    "[]": lambda infos: infos["x"].tolist(), "get": lambda infos: infos.get("x").tolist(),
    "in": lambda infos: ("x" in infos, "_x" in infos, "y" in infos, "set" in infos, 3 in infos),
    "dict": lambda infos: sorted(dict(infos)), "unpacked": lambda infos: sorted({**infos}),
    "iteration": sorted, "len": len, "items": lambda infos: sorted(name for name, _ in infos.items()), "repr": repr,
    "|": lambda infos: sorted(infos | {"y": 1}), "| after": lambda infos: sorted({"y": 1} | infos),
    "==": lambda infos: infos == {"x": 1}, "!=": lambda infos: infos != {"x": 1}, "bool": bool,
    "copy": lambda infos: sorted(infos.copy()), "copy.copy": lambda infos: sorted(copy.copy(infos)),
    "deepcopy": lambda infos: sorted(copy.deepcopy(infos)),
    "pickle": lambda infos: sorted(pickle.loads(pickle.dumps(infos))),
    "pop": lambda infos: (infos.pop("x").tolist(), infos.pop("y", 0), sorted(infos)),
    "setdefault": lambda infos: infos.setdefault("x", 7).tolist(), "absent": lambda infos: infos.get("y", 3),
}  # fmt: skip


def merge(rows):
    names = rows[0]
    return {
        **{name: np.array([row[name] for row in rows]) for name in names},
        **{f"_{name}": np.ones(2, bool) for name in names},
    }


@pytest.mark.parametrize("reading", READINGS)
def test_every_reading_finds_everything(reading: str) -> None:
    rows = [{"x": 1.5, "n": 1}, {"x": 2.5, "n": 2}]
    assert LazyInfos.fits(rows)
    infos = LazyInfos(rows, merge)
    infos["set"] = 4
    infos |= {"n": 5}
    reference = merge(rows) | {"set": 4, "n": 5}
    eager = dict(sorted(reference.items(), key=lambda item: item[0] not in ("set", "n")))
    expected = READINGS[reading](eager)
    if reading == "repr":
        assert len(READINGS[reading](infos)) == len(expected)
    else:
        assert READINGS[reading](infos) == expected
    with pytest.raises(KeyError, match="y"):
        infos["y"]


@pytest.mark.parametrize(
    "rows", [[{}, {}], [{"x": 1}, {}], [{"x": [1]}, {"x": [2]}], [{"x": np.zeros(2)}] * 2, [{"x": "a"}] * 2]
)
def test_what_an_environment_may_change_later_is_merged_at_once(rows: list[dict[str, Any]]) -> None:
    assert not LazyInfos.fits(rows)


@pytest.mark.parametrize(
    ("infos", "simple"),
    [
        ([{"x": 1.5, "n": 3, "on": True}, {"x": -2.0, "n": 0, "on": False}], True),
        ([{"x": np.float64(1.5), "y": np.float32(0.1)}, {"x": np.float64(0), "y": np.float32(2)}], True),
        ([{}, {}], True),
        ([{"x": 1.5}, {"x": 2}], False),  # two types
        ([{"x": 1.5}, {}], False),
        ([{"x": "a"}, {"x": "b"}], False),
        ([{"x": {"y": 1}}, {"x": {"y": 2}}], False),
        ([{"n": 2**70}, {"n": 1}], False),
    ],
)
def test_infos_that_hold_numbers_merge_as_gymnasium_merges_them(infos, simple):
    merged = stacked_infos(infos)
    assert (merged is not None) == simple
    if merged is None:
        return
    reference: dict[str, object] = {}
    envs = VectorEnv()
    envs.num_envs = len(infos)
    for i, info in enumerate(infos):
        reference = envs._add_info(reference, info, i)
    assert merged.keys() == reference.keys()
    for key, value in reference.items():
        np.testing.assert_array_equal(merged[key], value)
        assert merged[key].dtype == value.dtype
