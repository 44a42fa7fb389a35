"""Environments that break their contract: what is refused, which environment is blamed, and what only warns."""

import signal
import sys
import warnings
from fractions import Fraction
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import VectorEnv

from agents.evaluation import evaluate
from envs import EnvironmentFailure, EnvironmentUsageError, EnvironmentWarning, Variant, make
from envs.backends import processes
from envs.backends.guard import stacked_infos
from envs.streams import stream_seeds
from tests.toys import LINE, Counter, Float32Vector, Idle, numbered, same_step


class Answering(Counter):
    """Returns given answers: to `reset`, or a valid answer to `step` with these parts replaced."""

    def __init__(self, reset=None, **replaced):
        super().__init__()
        self.answer, self.replaced = reset, replaced

    def reset(self, *, seed=None, options=None):
        sound = super().reset(seed=seed)
        return sound if self.answer is None else self.answer(*sound)

    def step(self, action):
        names = ("obs", "reward", "terminated", "truncated", "info", "answer")
        parts = dict(zip(names, super().step(action), strict=False)) | self.replaced
        return parts["answer"] if "answer" in parts else tuple(parts[name] for name in names[:5])


RESET, STEP = (
    r"from reset, which must return \(observation, info\)",
    r"from step, which must return \(observation, reward",
)


@pytest.mark.parametrize("backend", ["sync", "async", "vector"])
@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"reset": lambda obs, info: obs}, rf"returned array\(\[0\.\], dtype=float32\) {RESET}"),
        ({"reset": lambda obs, info: np.zeros(2)}, RESET),
        ({"reset": lambda obs, info: (obs, None)}, RESET),
        ({"reset": lambda obs, info: None}, f"returned None {RESET}"),
        ({"answer": (np.zeros(1), 1.0, False, {})}, STEP),
        ({"answer": None}, f"returned None {STEP}"),
        ({"reward": "1.5"}, "returned the reward '1.5', which must be a number"),
        ({"reward": np.array("1.5")}, "returned the reward .*'1.5'.*, which must be a number"),
        ({"reward": None}, "returned the reward None, which must be a number"),
        ({"reward": np.ones(2)}, r"returned the reward .*, which must be a number; a wrapper can .* wrappers=\[module"),
        ({"reward": 10**400}, r"returned the reward 1000\d+ …, which must be a number"),
        ({"terminated": "False"}, "returned the terminated 'False', which must be True or False"),
        ({"truncated": None}, "returned the truncated None, which must be True or False"),
        ({"terminated": {"__all__": True}}, "which must be True or False"),
        ({"info": None}, "returned the info None, which must be a dict"),
        ({"obs": [[1.0], [2.0, 3.0]]}, r"returned an observation \[\[1.0\], \[2.0, 3.0\]\]; its space is Box"),
    ],
)
def test_an_answer_of_another_form_is_blamed_on_its_environment(told, words, backend):
    build = numbered(lambda i: Answering(**(told if i else {})))
    if backend == "vector":
        worlds = make(same_step(build(), build()), seed=3)
    else:
        worlds = make(partial(Answering, **told) if backend == "async" else build, 2, 3, backend=backend)
    i = 0 if backend == "async" else 1
    where = rf"\(step {int('reset' not in told)} of its episode, seed {stream_seeds(3, 'environments', 2)[i]}\)$"
    with pytest.raises(EnvironmentFailure, match=rf"^environment {i} \(Answering\) .*{words}.* {where}"):
        worlds.reset(), worlds.step(np.zeros(2, np.int64))
    worlds.close()


@pytest.mark.parametrize("reward", [1, True, np.float32(1), np.ones(1), np.array(1), torch.ones(1), Fraction(1)])
@pytest.mark.parametrize("ended", [np.bool_(True), 1, 1.0, np.ones(1, bool), torch.tensor(True)])
def test_numbers_and_flags_of_every_library_are_taken(reward, ended):
    worlds = make(Answering(reward=reward, terminated=ended))
    worlds.reset()
    _, rewards, terminated, truncated, _ = worlds.step(np.zeros(1, np.int64))
    assert (rewards.tolist(), terminated.tolist(), truncated.tolist()) == ([1.0], [True], [False])


class Vectored(Float32Vector):
    def __init__(self, **parts):
        self.parts = parts

    def step(self, actions):
        names = ("obs", "reward", "terminated", "truncated", "info")
        return tuple((dict(zip(names, super().step(actions), strict=True)) | self.parts).values())


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"reward": np.array(["1.5", "2"])}, r"Vectored returned rewards of shape \(2,\) and type <U3"),
        ({"reward": np.ones((2, 3))}, r"rewards of shape \(2, 3\) .*; a wrapper can make a number of a vector"),
        ({"terminated": np.array(["False", ""])}, r"Vectored returned terminated of shape \(2,\) and type <U5"),
        ({"truncated": [None, None]}, r"Vectored returned truncated of shape \(2,\) and type object"),
    ],
)
def test_a_vector_environment_that_returns_anything_but_a_number_each_is_refused(parts, words):
    worlds = make(Vectored(**parts))
    worlds.reset()
    with pytest.raises(EnvironmentFailure, match=words):
        worlds.step(np.zeros(2, np.int64))


class Panic(BaseException):
    """Like a Rust panic, which `except Exception` does not catch; its text is not available."""

    def __str__(self):
        raise RuntimeError("no text")


class Panicking(Counter):
    """Panics in one of its methods, or when it is constructed."""

    def __init__(self, where):
        super().__init__()
        self.where = where
        self.panic("init")

    def panic(self, where):
        if where == self.where:
            raise Panic

    def reset(self, *, seed=None, options=None):
        self.panic("reset")
        return super().reset(seed=seed)

    def step(self, action):
        self.panic("step")
        return super().step(action)

    def close(self):
        self.panic("close")


@pytest.mark.parametrize("backend", ["sync", "async"])
@pytest.mark.parametrize("where", ["reset", "step"])
def test_what_is_no_exception_is_blamed_on_its_environment_too(where, backend):
    worlds = make(partial(Panicking, where), 2, backend=backend)
    with pytest.raises(EnvironmentFailure, match=rf"environment 0 \(Panicking\) raised Panic in {where}: no message"):
        worlds.reset(), worlds.step(np.zeros(2, np.int64))
    worlds.close()


def test_what_is_no_exception_ends_nothing_when_an_environment_is_built():
    words = r"cannot build an environment: Panic: no message \(test_guard.py, line \d+: raise Panic\)"
    with pytest.raises(EnvironmentUsageError, match=words):
        make(partial(Panicking, "init"))
    with pytest.raises(EnvironmentUsageError, match=r"cannot apply wrapper .*:panics': Panic: no"):
        make(Counter, variant=Variant(wrappers=("tests.envs.test_guard:panics",)))


def panics(env):
    raise Panic


def test_ctrl_c_is_nobodys_mistake():
    def interrupt(*sound):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(partial(Answering, interrupt), 1).reset()


class Exiting(Counter):
    def close(self):
        sys.exit(3)


gym.register("Exiting-v0", Exiting)


@pytest.mark.parametrize(
    ("env", "words"),
    [
        pytest.param("tests.envs.test_guard:Exiting-v0", "raised SystemExit in close", id="built to look for masks"),
        pytest.param(lambda: Panicking("close"), r"environment \d \(Panicking\) raised Panic in close", id="function"),
    ],
)
def test_an_environment_that_cannot_be_closed_is_left_with_a_warning(env, words):
    with pytest.warns(EnvironmentWarning, match=words):
        make(env, 2).close()
    with pytest.warns(EnvironmentWarning, match=words):
        assert len(evaluate(Idle(), env, 3).returns) == 3


def test_processes_warn_in_one_line(monkeypatch):
    monkeypatch.setattr(processes, "_async_worker", lambda: None)
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    monkeypatch.setattr(warnings, "formatwarning", None)
    processes._work()
    assert (
        warnings.formatwarning("it cannot\nbe closed", EnvironmentWarning, "a.py", 3)
        == "warning: it cannot be closed\n"
    )
    assert warnings.formatwarning("old", UserWarning, "a.py", 3) == "warning: old (UserWarning, a.py:3)\n"


class Spaces(Counter):
    """Creates its spaces on access."""

    def __init__(self, observations=lambda: LINE, actions=lambda: spaces.Discrete(2)):
        self.make_observations, self.make_actions = observations, actions

    observation_space = property(lambda self: self.make_observations())
    action_space = property(lambda self: self.make_actions())


def upside_down():
    box = spaces.Box(-1, 1, (2,), np.float32)
    box.low[1] = 5
    return box


class Unmeasured(spaces.Discrete):
    def __repr__(self):
        raise Panic

    n = property(lambda self: panics(self), lambda self, n: None)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"observations": lambda: panics(None)}, "Spaces has an observation_space that cannot be read: Panic"),
        ({"actions": lambda: panics(None)}, "Spaces has an action_space that cannot be read: Panic"),
        ({"actions": lambda: Unmeasured(2)}, "Spaces has a space that cannot be used: Panic"),
        ({"observations": upside_down}, "observations with a lower bound above the upper one, Box"),
        ({"actions": upside_down}, "actions with a lower bound above the upper one, Box"),
        (
            {"observations": lambda: spaces.Discrete(10**9)},
            "observations of 1,000,000,000 numbers, more than 10,000,000",
        ),
        ({"actions": lambda: spaces.Discrete(10**9)}, "actions of 1,000,000,000 numbers, more than 10,000,000"),
        ({"actions": lambda: spaces.MultiDiscrete([10**9] * 3)}, "actions of 3,000,000,000 numbers"),
        (
            {"observations": lambda: spaces.Dict(a=LINE, b=spaces.MultiDiscrete([10**9] * 3))},
            "of 3,000,000,001 numbers",
        ),
    ],
)
def test_spaces_that_cannot_be_used_are_refused_in_one_line(made, words):
    with pytest.raises(EnvironmentUsageError, match=words) as refused:
        make(partial(Spaces, **made), 2)
    assert "\n" not in str(refused.value)


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
