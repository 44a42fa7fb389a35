"""Functions of the remaining share of training as schedules, as in Stable-Baselines3."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from agents import A2C
from agents.events import Status
from agents.maths.schedules import Linear
from agents.settings.schema import merge_layers, setting_types
from agents.settings.values import ConfigError

NAME = f"{__name__}:decay"


def decay(remaining: float) -> float:
    return 1e-3 * remaining


def power(remaining: float, exponent: int) -> float:
    return 1e-3 * remaining**exponent


def rates(agent: A2C, steps: int) -> list[float]:
    seen = list[float]()
    agent.learn(steps, [lambda status: seen.append(float(status.metrics["train/learning_rate"]))])
    return seen


def test_a_function_gets_the_share_that_remains_and_trains_as_the_ramp_does() -> None:
    settings = {"num_envs": 2, "n_steps": 5, "engine": "torch"}
    agents = [
        A2C("CartPole-v1", learning_rate=rate, **settings) for rate in (decay, lambda x: 1e-3 * x, Linear(1e-3, 0))
    ]
    seen = [rates(agent, 100) for agent in agents]
    assert seen[0] == pytest.approx(np.linspace(1e-3, 0, 10, endpoint=False), rel=1e-6)
    assert seen[0] == seen[1] == pytest.approx(seen[2], rel=1e-6)


def test_every_scheduled_setting_takes_a_function_and_auto_says_why_it_is_not_fused() -> None:
    agent = A2C("CartPole-v1", ent_coef=lambda remaining: 0.1 * remaining, num_envs=2)
    seen = list[Status]()
    agent.learn(20, [seen.append])  # type: ignore[list-item]
    assert [float(status.metrics["train/ent_coef"]) for status in seen[::5]] == pytest.approx([0.1, 0.05])
    assert "not fused: it calls no Python function, ent_coef is one" in agent.describe()["engine"]
    with pytest.raises(ConfigError, match="engine fused does not fit: it calls no Python function"):
        A2C("CartPole-v1", ent_coef=decay, engine="fused")


def test_a_function_of_a_module_is_saved_by_its_name(tmp_path: Path) -> None:
    agent = A2C("CartPole-v1", learning_rate=decay, num_envs=2).learn(20)
    loaded = A2C.load(agent.save(tmp_path / "a"))
    assert loaded.learning_rate is decay
    whole = A2C("CartPole-v1", learning_rate=decay, num_envs=2)
    assert whole.settings == loaded.settings
    assert "learning rate decay" in loaded.describe()["optimizer"]


@pytest.mark.parametrize("function", [lambda remaining: 1e-3, partial(power, exponent=2)])
def test_a_function_without_a_name_is_refused_at_save(function: object, tmp_path: Path) -> None:
    agent = A2C("CartPole-v1", learning_rate=function, num_envs=2).learn(20)  # type: ignore[arg-type]
    words = r"^learning_rate cannot be saved: Python cannot import .*; define it at the top level of a module$"
    with pytest.raises(ConfigError, match=words):
        agent.save(tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_as_text() -> None:
    assert merge_layers(setting_types(A2C), [("--set", {"learning_rate": NAME})]) == {"learning_rate": decay}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("no_such_module:decay", "that can be imported (ModuleNotFoundError: No module named 'no_such_module')"),
        (f"{__name__}:nothing", "that can be imported (AttributeError"),
        (f"{__name__}:NAME", "a function of the share of training that remains, or module:name of one, got"),
        ("os:getcwd", "which returns a finite number for every share from 1 to 0, got"),
        (lambda remaining: 1 / remaining, "which returns a finite number for every share from 1 to 0, got"),
        (lambda remaining: remaining - 0.5, "learning_rate must not be negative, got"),
        (lambda: 1e-3, "which returns a finite number for every share from 1 to 0, got"),
    ],
)
def test_refused(value: object, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        A2C("CartPole-v1", learning_rate=value)  # type: ignore[arg-type]
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
