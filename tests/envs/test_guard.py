"""Environments that raise what is no exception, cannot be closed, or have spaces that cannot be used."""

import signal
import sys
import warnings
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from agents.evaluation import evaluate
from envs import EnvironmentFailure, EnvironmentUsageError, EnvironmentWarning, Variant, make
from envs.backends import processes
from tests.envs.test_answers import Answering
from tests.toys import LINE, Counter, Idle


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
