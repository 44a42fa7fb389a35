"""Values of every type of setting, from YAML and from flags; and one-line errors with suggestions."""

import dataclasses
from typing import Literal

import pytest

from agents.maths.schedules import Cosine, Exponential, Linear, Schedule
from agents.settings.a2c import A2CSettings
from agents.settings.run import RunSettings, parse_assignment
from agents.settings.schema import ALIASES, merge_layers, setting_types, setting_values, suggestion
from agents.settings.values import ConfigError


@dataclasses.dataclass
class Settings:
    env: str
    gamma: float = 0.99
    n_steps: int = 1
    normalize: bool = False
    note: str = ""
    net_arch: tuple[int, ...] = (64, 64)
    activation: Literal["tanh", "relu"] = "tanh"
    max_episode_steps: int | None = None
    learning_rate: Schedule = 7e-4
    env_kwargs: dict[str, object] | None = None
    derived: int = dataclasses.field(default=0, init=False)


KNOWN = setting_types(Settings)


@pytest.mark.parametrize(
    ("key", "given", "expected"),
    [
        ("gamma", "7e-4", 7e-4),
        ("gamma", 1, 1.0),
        ("gamma", "1", 1.0),
        ("n_steps", "1e6", 1_000_000),
        ("n_steps", 1e6, 1_000_000),
        ("n_steps", "1_000", 1000),
        ("n_steps", "-5", -5),
        ("n_steps", 2**53 + 1, 2**53 + 1),
        ("normalize", True, True),
        ("normalize", "true", True),
        ("normalize", "False", False),
        ("note", "1e6", "1e6"),
        ("net_arch", "64,64", (64, 64)),
        ("net_arch", "[64, 64]", (64, 64)),
        ("net_arch", [64, 64], (64, 64)),
        ("net_arch", (32,), (32,)),
        ("net_arch", "32", (32,)),
        ("net_arch", [], ()),
        ("activation", "relu", "relu"),
        ("max_episode_steps", "null", None),
        ("max_episode_steps", None, None),
        ("max_episode_steps", "200", 200),
        ("learning_rate", "linear(7e-4, 0)", Linear(7e-4, 0.0)),
        ("learning_rate", "linear(7e-4,0)", Linear(7e-4, 0.0)),
        ("learning_rate", "linear(7e-4, 0, 0.5)", Linear(7e-4, 0.0, 0.5)),
        ("learning_rate", "cosine( 7e-4 , 1e-5 )", Cosine(7e-4, 1e-5)),
        ("learning_rate", "exponential(7e-4, 7e-6, 1)", Exponential(7e-4, 7e-6)),
        ("learning_rate", "3e-4", 3e-4),
        ("env_kwargs", {"g": 9.8}, {"g": 9.8}),
        ("env_kwargs", "{g: 9.8, m: [1, 2]}", {"g": 9.8, "m": [1, 2]}),
        ("env_kwargs", "null", None),
    ],
)
def test_accepted(key: str, given: object, expected: object) -> None:
    got = merge_layers(KNOWN, [("here", {key: given})])[key]
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize(
    ("key", "given", "needs"),
    [
        ("gamma", True, "a number"),
        ("gamma", "true", "a number"),
        ("gamma", None, "a number"),
        ("gamma", "0.9.9", "a number"),
        ("gamma", [0.9], "a number"),
        pytest.param("gamma", 10**400, "a number", id="gamma-huge"),
        ("n_steps", 1.5, "a whole number"),
        ("n_steps", "1.5", "a whole number"),
        ("n_steps", "7e-4", "a whole number"),
        ("n_steps", True, "a whole number"),
        ("n_steps", "many", "a whole number"),
        ("n_steps", "nan", "a whole number"),
        ("n_steps", "inf", "a whole number"),
        ("n_steps", float("inf"), "a whole number"),
        ("n_steps", "1e400", "a whole number"),
        ("normalize", "yes", "true or false"),
        ("normalize", 1, "true or false"),
        ("note", 3, "text"),
        ("net_arch", 64, "a list such as [64, 64]"),
        ("net_arch", "[64", "a list such as [64, 64]"),
        ("net_arch", [64, 1.5], "a list, each item a whole number"),
        ("net_arch", "64,wide", "a list, each item a whole number"),
        ("net_arch", "2024-13-45", "a"),
        ("activation", "gelu", "one of tanh, relu"),
        ("activation", ["tanh"], "one of tanh, relu"),
        ("max_episode_steps", "never", "a whole number or null"),
        ("learning_rate", "linear(1)", "a number or linear(initial, final)"),
        ("learning_rate", "linear(1.2.3, 0)", "a number or linear(initial, final)"),
        ("learning_rate", True, "a number or linear(initial, final)"),
        ("learning_rate", "exponential(1e-3, 0)", "a number or another schedule (exponential(0.001, 0.0) needs ends"),
        ("env_kwargs", [1], "a mapping such as {key: value} or null"),
        ("env_kwargs", "a\nb", "a mapping such as {key: value} or null"),
    ],
)
def test_refused(key: str, given: object, needs: str) -> None:
    with pytest.raises(ConfigError) as raised:
        merge_layers(KNOWN, [("run.yaml", {key: given})])
    message = str(raised.value)
    assert message.startswith(f"run.yaml: {key} must be {needs}")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("key", "suggestion"),
    [
        ("gama", "; did you mean 'gamma'?"),
        ("n_step", "; did you mean 'n_steps'?"),
        ("lerning_rate", "; did you mean 'learning_rate'?"),
        ("env", ""),
        ("derived", ""),
        ("zzz", ""),
    ],
)
def test_unknown_key_suggests_the_nearest(key: str, suggestion: str) -> None:
    with pytest.raises(ConfigError) as raised:
        merge_layers({"gamma": float, "n_steps": int, "learning_rate": float}, [("--set", {key: 1})])
    assert str(raised.value) == f"--set: unknown setting {key!r}{suggestion}"


def test_schema_and_values_leave_out_what_is_no_setting() -> None:
    assert list(KNOWN) == list(setting_values(Settings("x")))
    assert not {"env", "derived"} & KNOWN.keys()
    assert {"gamma", "total_timesteps"} <= setting_types(Settings, RunSettings).keys()


def test_later_layers_win() -> None:
    layers = [("a", {"gamma": 0.9, "n_steps": 4}), ("b", {"gamma": "0.5"}), ("c", {})]
    assert merge_layers(KNOWN, layers) == {"gamma": 0.5, "n_steps": 4}


def test_suggestion() -> None:
    assert suggestion("entropy_coef", ["ent_coef", "vf_coef"]) == "; did you mean 'ent_coef'?"
    assert suggestion("q", ["gamma"]) == ""
    assert suggestion("lr", ["learning_rate", "log_std_init"]) == "; did you mean 'learning_rate'?"
    assert suggestion("lr", ["max_lr"]) == "; did you mean 'max_lr'?"
    assert suggestion("--n-envs", ["--env", "--num-envs"]) == "; did you mean '--num-envs'?"
    assert suggestion("--timesteps", ["--set", "--total-timesteps"]) == "; did you mean '--total-timesteps'?"
    assert suggestion("--lr", ["--set", "--help"]) == "; did you mean '--set learning_rate=VALUE'?"
    assert suggestion("--lr", ["--seed"]) == ""


def test_every_alias_is_another_name_of_a_setting() -> None:
    types = setting_types(A2CSettings, RunSettings)
    for alias, name in ALIASES.items():
        assert alias not in types
        with pytest.raises(ConfigError, match=f"--set: unknown setting '{alias}'; did you mean '{name}'\\?$"):
            merge_layers(types, [("--set", {alias: "1"})])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a=1", ("a", "1")), (" a = b=c ", ("a", "b=c")), ("a=", ("a", "")), ("a", None), ("=1", None)],
)
def test_assignment(text: str, expected: tuple[str, str] | None) -> None:
    if expected is None:
        with pytest.raises(ConfigError, match="key=value"):
            parse_assignment(text)
    else:
        assert parse_assignment(text) == expected
