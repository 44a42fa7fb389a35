"""Hooks that cannot work are refused before training starts."""

import pytest

from agents.hooks import Hook, Status, Training
from agents.settings.values import ConfigError
from tests.agents.test_training import agent_of


class Misspelled(Hook):
    def on_updates(self, training: Training, status: Status) -> None: ...


def test_a_class_is_no_hook() -> None:
    """It was called like a function, with the Status as its argument."""
    with pytest.raises(ConfigError, match=r"^hooks must be objects, got the class Misspelled: pass Misspelled\(…\)$"):
        agent_of("torch").learn(10, [Misspelled])  # type: ignore[list-item]


def test_a_method_that_no_event_calls_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^Misspelled.on_updates is never called, .*; did you mean 'on_update'\?$"):
        agent_of("torch").learn(10, [Misspelled()])


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
        agent_of("torch").learn(10, hooks)
    assert [hook.ended for hook in hooks] == [True, True]


def test_learn_in_a_hook_is_refused() -> None:
    """It trained, and the outer training counted its steps as its own."""
    trained = agent_of("torch")

    def nested(status: Status) -> None:
        trained.learn(10)

    with pytest.raises(ConfigError, match=r"^learn was called in a hook of the same agent: "):
        trained.learn(10, [nested])
    assert trained.loop.step == 10
    assert trained.learn(10).loop.step == 20


def test_a_step_interval_is_needed() -> None:
    class Forgetful(Hook):
        def on_steps(self, training: Training) -> None: ...

    with pytest.raises(ConfigError, match=r"^Forgetful.step_interval must be at least 1, got 0$"):
        agent_of("fused").learn(10, [Forgetful()])
    with pytest.raises(ConfigError, match=r"^log_interval must be "):
        agent_of("fused").learn(10, log_interval=0)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("interval", 0, "interval must be at least 1, got 0"),
        ("interval", 2.5, "interval must be a whole number, such as 10_000, got 2.5"),
        ("step_interval", 1e4, "step_interval must be a whole number, such as 10_000, got 10000.0"),
        ("step_interval", "100", "step_interval must be a whole number, such as 10_000, got '100'"),
    ],
)
def test_intervals_are_whole_numbers(name: str, value: object, words: str) -> None:
    """Others ended the fused engine in ZeroDivisionError or TypeError, once training was on its way."""

    class Curious(Hook):
        step_interval = 10

        def on_update(self, training: Training, status: Status) -> None: ...
        def on_steps(self, training: Training) -> None: ...

    hook, function = Curious(), lambda status: None
    for each in (hook, function):
        setattr(each, name, value)
    with pytest.raises(ConfigError, match=rf"^Curious.{words}$"):
        agent_of("torch").learn(10, [hook])
    if name == "interval":
        with pytest.raises(ConfigError, match=rf"^<lambda>.{words}$"):
            agent_of("torch").learn(10, [function])
