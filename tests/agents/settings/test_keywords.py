"""Unknown keywords: the nearest setting, or what to write instead of an argument of Stable-Baselines3's A2C."""

import inspect
from dataclasses import dataclass

import gymnasium as gym
import pytest
import stable_baselines3 as sb3
from stable_baselines3.common.policies import ActorCriticPolicy

from agents import A2C
from agents.imitation.gail import GAIL
from agents.ppo import PPO
from agents.settings.keywords import check_keywords
from agents.settings.sb3_names import ARGUMENTS, ATTRIBUTES
from agents.settings.values import ConfigError
from agents.streaming import StreamAC
from tests.agents.reinforce import Reinforce


def error(call: object) -> str:
    with pytest.raises(ConfigError) as raised:
        call()  # type: ignore[operator]
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("cls", [A2C, PPO, StreamAC, Reinforce])
def test_a_misspelled_setting_names_the_nearest(cls: type[A2C]) -> None:
    message = error(lambda: cls("CartPole-v1", gama=0.9))  # type: ignore[call-arg]
    assert message == f"{cls.__name__}: unknown setting 'gama'; did you mean 'gamma'?"
    assert "'learning_rate'" in error(lambda: A2C("CartPole-v1", lr=1e-3))  # type: ignore[call-arg]


def test_of_a_wrapper() -> None:
    message = error(lambda: GAIL(A2C("CartPole-v1"), demonstration="x"))  # type: ignore[call-arg]
    assert message == "GAIL: unknown setting 'demonstration'; did you mean 'demonstrations'?"


@pytest.mark.parametrize("cls", [A2C, PPO, StreamAC, Reinforce])
def test_settings_are_keywords(cls: type[A2C]) -> None:
    """In Stable-Baselines3, the second argument is the learning rate; here it would be taken for another setting."""
    assert f"{cls.__name__}: write settings as keywords" in error(lambda: cls("CartPole-v1", 7e-4))  # type: ignore[misc]


@pytest.mark.parametrize("policy", ["MlpPolicy", "CnnPolicy", "MultiInputPolicy", ActorCriticPolicy])
def test_a_policy_is_refused_with_what_to_write(policy: object) -> None:
    message = error(lambda: A2C(policy, "CartPole-v1", n_steps=5))  # type: ignore[arg-type, misc]
    assert (
        message == "A2C takes no policy: write A2C(env, …); the networks follow from network, net_arch and activation"
    )


def test_every_argument_of_stable_baselines3_is_taken_or_refused_with_advice() -> None:
    ours = inspect.signature(A2C).parameters
    for name in inspect.signature(sb3.A2C).parameters:
        if name not in ours:
            message = error(lambda name=name: A2C("CartPole-v1", **{name: 1}))
            assert message == f"A2C takes no {name}: {ARGUMENTS[name]}"


@pytest.mark.parametrize("method", ["learn", "predict", "save", "load"])
def test_every_argument_of_its_methods(method: str) -> None:
    agent = A2C("CartPole-v1", num_envs=1)
    ours, settings = inspect.signature(getattr(A2C, method)).parameters, inspect.signature(A2C).parameters
    for name, parameter in inspect.signature(getattr(sb3.A2C, method)).parameters.items():
        if name in ours or (method == "load" and name in settings) or parameter.kind is inspect.Parameter.VAR_KEYWORD:
            continue
        message = error(lambda name=name: getattr(agent, method)("CartPole-v1", **{name: 1}))
        assert message == f"{method} takes no {name}: {ARGUMENTS[name]}"
    with pytest.raises(ConfigError, match="unknown setting 'hook'"):
        agent.learn(1, hook=[])  # type: ignore[call-arg]


def test_every_public_attribute_of_stable_baselines3_is_here_or_has_advice() -> None:
    model, agent = sb3.A2C("MlpPolicy", "CartPole-v1", device="cpu"), A2C("CartPole-v1")
    missing = {name for name in {*vars(model), *dir(sb3.A2C)} if not name.startswith("_") and not hasattr(agent, name)}
    assert missing - ATTRIBUTES.keys() == set()
    for name in missing:
        with pytest.raises(AttributeError, match=f"A2C has no {name}: ") as raised:
            getattr(agent, name)
        assert str(raised.value).endswith(ATTRIBUTES[name])


def test_advice_is_given_only_for_what_is_missing() -> None:
    agent = A2C("CartPole-v1")
    assert not [name for name in ATTRIBUTES if hasattr(agent, name)]
    assert not ARGUMENTS.keys() & inspect.signature(A2C).parameters.keys()
    with pytest.raises(AttributeError, match="'A2C' object has no attribute 'polici'"):
        agent.polici  # type: ignore[attr-defined] # noqa: B018


def test_the_error_within_a_property_is_not_hidden() -> None:
    class Broken(A2C):
        @property
        def engine_in_use(self) -> str:
            return self.nothing  # type: ignore[attr-defined, no-any-return]

    with pytest.raises(AttributeError, match="'nothing'"):
        Broken("CartPole-v1").engine_in_use  # noqa: B018


def test_another_default_needs_a_dataclass() -> None:
    """Without the decorator, the agent was built with the default that the class had replaced."""

    class Longer(A2C):
        n_steps: int = 64

    words = "Longer has another default of n_steps, so it must be a dataclass: write @dataclass(eq=False) above the"
    assert error(lambda: Longer("CartPole-v1")).startswith(words)
    assert dataclass(eq=False)(Longer)("CartPole-v1").n_steps == 64


def test_signatures_remain() -> None:
    assert {"env", "learning_rate", "net_arch"} <= inspect.signature(A2C).parameters.keys()
    assert list(inspect.signature(A2C.learn).parameters)[:3] == ["self", "total_timesteps", "hooks"]
    assert isinstance(gym.make("CartPole-v1"), gym.Env)
    check_keywords("f", ["gamma"], ["gamma"])
