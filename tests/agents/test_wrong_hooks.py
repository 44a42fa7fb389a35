"""Hooks that cannot work are refused before training starts."""

import pytest

from agents import A2C
from agents.hooks import Hook, Status, Training
from agents.settings.values import ConfigError


def agent() -> A2C:
    return A2C("CartPole-v1", num_envs=2, n_steps=5, seed=0, engine="torch")


class Misspelled(Hook):
    def on_updates(self, training: Training, status: Status) -> None: ...


def test_a_class_is_no_hook() -> None:
    """It was called like a function, with the Status as its argument."""
    with pytest.raises(ConfigError, match=r"^hooks must be objects, got the class Misspelled: pass Misspelled\(…\)$"):
        agent().learn(10, [Misspelled])  # type: ignore[list-item]


def test_a_method_that_no_event_calls_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^Misspelled.on_updates is never called, .*; did you mean 'on_update'\?$"):
        agent().learn(10, [Misspelled()])


class Failing(Hook):
    ended = False

    def on_end(self, training: Training) -> None:
        self.ended = True
        raise RuntimeError(self.name)

    def __init__(self, name: str) -> None:
        self.name = name


def test_every_hook_ends_if_one_fails_to() -> None:
    """Those after the failing one were not told that training had ended."""
    hooks = [Failing("first"), Failing("second")]
    with pytest.raises(RuntimeError, match=r"^first$"):
        agent().learn(10, hooks)
    assert [hook.ended for hook in hooks] == [True, True]


def test_learn_in_a_hook_is_refused() -> None:
    """It trained, and the outer training counted its steps as its own."""
    trained = agent()

    def nested(status: Status) -> None:
        trained.learn(10)

    with pytest.raises(ConfigError, match=r"^learn was called in a hook of the same agent: "):
        trained.learn(10, [nested])
    assert trained.loop.step == 10
    assert trained.learn(10).loop.step == 20
