"""Search spaces: their forms, what is drawn from them and proposed to them, and mistakes in them."""

from pathlib import Path

import optuna
import pytest
from optuna.trial import FixedTrial

from agents import A2C
from agents.maths.schedules import Linear, Schedule
from agents.settings.by_agent import SETTINGS
from agents.settings.recipes import shipped_file
from agents.settings.run import RunSettings
from agents.settings.schema import setting_defaults, setting_types
from agents.settings.values import ConfigError
from rl.experiments.search.space import Range, Space, draw, parse, propose, read_space

KNOWN, DEFAULTS = setting_types(A2C, RunSettings), setting_defaults(A2C, RunSettings)
RATE = "one_of(log(1e-4, 5e-3), linear(log(1e-4, 5e-3), 0))"
SPACE: Space = {"gamma": parse("uniform(0.9, 1)", float), "n_steps": parse("one_of(1, 2, 4)", int)}


def default_space(agent: str = "a2c") -> Space:
    path = shipped_file(f"search/{agent}.yaml")
    assert path is not None
    return read_space(path, setting_types(SETTINGS[agent], RunSettings))


@pytest.mark.parametrize("agent", SETTINGS)
def test_every_agent_has_a_default_space_of_its_settings(agent: str) -> None:
    drawn = draw(default_space(agent), optuna.create_study().ask())
    assert drawn.keys() == default_space(agent).keys()


def test_default_space_holds_what_it_draws() -> None:
    """Settings → draws → settings, for the defaults and for values of every form."""
    space = default_space()
    wanted: dict[str, object] = {
        "num_envs": 16, "learning_rate": Linear(1e-3, 0.0), "ent_coef": 1e-4, "net_arch": (128, 128),
        "max_policy_shift": 0.002, "use_rms_prop": False, "activation": "relu", "log_std_init": -2.0,
    }  # fmt: skip
    drawn = draw(space, FixedTrial(dict(propose(space, wanted, DEFAULTS))))
    assert drawn == {**{key: DEFAULTS[key] for key in space}, **wanted}
    assert {key: type(drawn[key]) for key in ("num_envs", "gamma", "normalize_rewards", "net_arch")} == {
        "num_envs": int, "gamma": float, "normalize_rewards": bool, "net_arch": tuple,
    }  # fmt: skip


def test_a_draw_written_twice_is_one_draw() -> None:
    form = parse(RATE, Schedule)
    name = "learning_rate log(0.0001, 0.005)"
    constant = {"learning_rate": "log(0.0001, 0.005)", name: 2e-3}
    assert form.find(2e-3, "learning_rate", "learning_rate") == constant
    assert form.draw(FixedTrial(dict(constant)), "learning_rate", "learning_rate") == 2e-3
    falling = {**constant, "learning_rate": "linear(log(0.0001, 0.005), 0.0)"}
    assert form.find(Linear(2e-3, 0.0), "learning_rate", "learning_rate") == falling
    assert form.draw(FixedTrial(dict(falling)), "learning_rate", "learning_rate") == Linear(2e-3, 0.0)
    both = parse("linear(log(1e-4, 1e-2), log(1e-4, 1e-2))", Schedule)
    assert both.find(Linear(1e-3, 1e-3), "x", "x") == {"x log(0.0001, 0.01)": 1e-3}
    for value in (Linear(1e-3, 1e-4), Linear(1.0, 1e-3), 1e-3):
        assert both.find(value, "x", "x") is None


def test_numbers_keep_four_digits_and_stay_within() -> None:
    assert parse("log(1e-4, 1e-2)", float).draw(FixedTrial({"x": 0.00123456}), "x", "x") == 0.001235
    assert parse("uniform(0.9, 0.99995)", float).draw(FixedTrial({"x": 0.99995}), "x", "x") == 0.99995
    whole = parse("log(1, 64)", int)
    assert isinstance(whole, Range)
    assert whole.draw(FixedTrial({"x": 7}), "x", "x") == 7
    assert isinstance(whole.draw(FixedTrial({"x": 7}), "x", "x"), int)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gama: one_of(0.9, 0.99)", "unknown setting 'gama'; did you mean 'gamma'?"),
        ("seed: one_of(0, 1)", "seed is the same for all trials"),
        ("gamma: 0.9", "gamma must be log(low, high), uniform(low, high), one_of(a, b, …)"),
        ("gamma: onc_of(0.9, 0.99)", "or linear(initial, final); did you mean 'one_of'?, got 'onc_of(0.9, 0.99)'"),
        ("gamma: one_of(0.9, high)", "gamma: high is not a number, got 'one_of(0.9, high)'"),
        ("gamma: one_of(0.9)", "one_of takes two alternatives or more, no two alike"),
        ("gamma: one_of(0.9, 0.90)", "no two alike"),
        ("gamma: uniform(0.9)", "uniform takes two numbers, the lower first"),
        ("gamma: uniform(1, 0.9)", "the lower first"),
        ("ent_coef: log(0, 1e-2)", "log takes positive numbers"),
        ("n_steps: uniform(1, 2.5)", "2.5 is not a whole number"),
        ("use_rms_prop: uniform(0, 1)", "0 is not true or false"),
        ("activation: one_of(tanh, tan)", "tan is not one of tanh, relu"),
        ("gamma: linear(0.9, 1)", "linear(1, 0) is not a number"),
        ("learning_rate: linear(1e-3)", "a setting is drawn from log(low, high)"),
        ("# nothing", "holds no setting to search"),
    ],
)
def test_mistakes_in_a_space(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as error:
        read_space(file, KNOWN)
    assert words in str(error.value)
    assert str(error.value).startswith(str(file))
    assert "\n" not in str(error.value)


def test_proposals() -> None:
    assert propose(SPACE, {"gamma": 0.95}, {"n_steps": 1, "gamma": 0.99}) == {"gamma": 0.95, "n_steps": "1"}
    assert propose(SPACE, {}, {"n_steps": 3, "gamma": 0.5}) == {}, "what the space does not hold is drawn"
    with pytest.raises(ConfigError, match=r"gamma=0.5 is not in the space, uniform\(0.9, 1.0\)"):
        propose(SPACE, {"gamma": 0.5}, DEFAULTS)
    with pytest.raises(ConfigError, match=r"n_step is not searched; did you mean 'n_steps'\?"):
        propose(SPACE, {"n_step": 1}, DEFAULTS)
