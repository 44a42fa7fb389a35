"""`make`: from a name, an object or a function to `Worlds`, and what it refuses."""

import re
import sys
import tomllib

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from envs import EnvironmentUsageError, UnknownEnvironment, Variant, make
from envs.extras import install_command
from tests import ROOT
from tests.toys import LINE, Counter, Shaped, numbered, same_step

pytestmark = pytest.mark.filterwarnings("ignore:.*share an object, therefore:UserWarning")  # in the probes
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def episode_length(worlds):
    worlds.reset()
    for length in range(1, 100):
        _, _, terminated, truncated, _ = worlds.step(np.zeros(worlds.num_envs, np.int64))
        if terminated[0] or truncated[0]:
            return length, bool(truncated[0])
    raise AssertionError("the episode does not end")


def refusal(kind, *args, **kwargs):
    """The one-line error message."""
    with pytest.raises(kind) as refused:
        make(*args, **kwargs)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    ("env", "num_envs", "count", "env_id"),
    [
        pytest.param("CartPole-v1", None, 8, "CartPole-v1", id="id"),
        pytest.param("CartPole-v1", 3, 3, "CartPole-v1", id="id, 3"),
        pytest.param("envs.probes:TimeLimit-v0", 2, 2, "envs.probes:TimeLimit-v0", id="module:id"),
        pytest.param(Counter, None, 8, "Counter", id="class"),
        pytest.param(lambda: Counter(5), 2, 2, "Counter", id="function"),
        pytest.param(lambda: gym.make("CartPole-v1"), 2, 2, "CartPole-v1", id="function, registered"),
        pytest.param(Counter(), None, 1, "Counter", id="object"),
        pytest.param(Counter(), 1, 1, "Counter", id="object, 1"),
        pytest.param(same_step(Counter(), Counter()), None, 2, None, id="vector environment"),
        pytest.param(same_step(Counter(), Counter()), 2, 2, None, id="vector environment, 2"),
    ],
)
def test_environments_that_can_be_made(env, num_envs, count, env_id):
    worlds = make(env, num_envs)
    assert worlds.num_envs == count
    assert env_id in (None, worlds.env_id)
    obs, _ = worlds.reset()
    assert obs.shape == (count, *worlds.obs_space.shape)


def test_worlds_know_what_they_were_made_of():
    variant = Variant(max_episode_steps=9)
    assert make("CartPole-v1", 2, 3, variant=variant).origin == ("CartPole-v1", 3, variant, "auto", None, None)
    env = Counter()
    worlds = make(env, backend="sync", action_masks=False)
    assert worlds.origin == (env, 0, Variant(), "sync", False, None)
    assert worlds.origin.env is env


def test_the_registered_reward_threshold_comes_along():
    assert make("CartPole-v1", 1).reward_threshold == 475.0
    assert make(Counter()).reward_threshold is None


@pytest.mark.parametrize(
    ("env", "kind", "words"),
    [
        pytest.param("CartPol-v1", UnknownEnvironment, ["'CartPol-v1'", "'CartPole-v1'"], id="nearest"),
        pytest.param("cartpole-v1", UnknownEnvironment, ["'cartpole-v1'", "'CartPole-v1'"], id="case"),
        pytest.param("CartPole-v99", UnknownEnvironment, ["'CartPole-v99'", "'CartPole-v1'"], id="version"),
        pytest.param("envs.probes:TimeLimt-v0", UnknownEnvironment, ["'TimeLimit-v0'"], id="nearest in a module"),
        pytest.param(
            "xqzjxqzjxqzjxqzj-v0", UnknownEnvironment, ["'xqzjxqzjxqzjxqzj-v0'", "pprint_registry"], id="nothing near"
        ),
        pytest.param("nomodule:Foo-v0", UnknownEnvironment, ["cannot import 'nomodule'"], id="module"),
        pytest.param("envs.nosuch:Foo-v0", UnknownEnvironment, ["cannot import 'envs.nosuch'"], id="submodule"),
        pytest.param("", EnvironmentUsageError, ["cannot build ''"], id="empty"),
    ],
)
def test_unknown_ids_are_refused_in_one_line(env, kind, words):
    message = refusal(kind, env)
    assert all(word in message for word in words), message


def test_a_module_that_lacks_a_package_of_its_own_is_not_blamed(tmp_path, monkeypatch):
    (tmp_path / "needy_worlds.py").write_text("import nosuchpackage\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "cannot import 'nosuchpackage'" in refusal(UnknownEnvironment, "needy_worlds:Foo-v0")


@pytest.mark.parametrize(
    ("env", "module", "extra"),
    [
        pytest.param("ALE/Pong-v5", "ale_py", "atari", id="ALE"),
        pytest.param("LunarLander-v3", "Box2D", "box2d", id="Box2D"),
        pytest.param("Hopper-v5", "mujoco", "mujoco", id="MuJoCo"),
    ],
)
def test_a_missing_package_is_named_by_its_extra(env, module, extra, monkeypatch):
    for name in list(sys.modules):
        if name.partition(".")[0] == module or name.startswith(("gymnasium.envs.box2d", "gymnasium.envs.mujoco")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)  # makes its import fail
    message = refusal(UnknownEnvironment, env)
    assert repr(env) in message
    assert install_command(extra) in message


@pytest.mark.parametrize("package", ["Box2D", "MuJoCo", "pygame", "warpdrive"])
def test_a_missing_package_is_named_and_an_extra_that_is_named_exists(package):
    message = refusal(UnknownEnvironment, "tests.toys:Needs-v0", variant=Variant(env_kwargs={"package": package}))
    extras = re.findall(r"pip install .*\[(.*?)\]", message)
    assert set(extras) <= EXTRAS.keys()
    assert extras or package in message


@pytest.mark.parametrize(
    ("env", "kwargs", "words"),
    [
        pytest.param(
            "CartPole-v1",
            {"variant": Variant(env_kwargs={"nope": 1})},
            ["'CartPole-v1'", "'nope'"],
            id="unknown argument",
        ),
        pytest.param("CartPole-v1", {"variant": Variant(max_episode_steps=0)}, ["positive"], id="no steps"),
        pytest.param(Counter, {"variant": Variant(max_episode_steps=0)}, ["positive"], id="no steps, function"),
        pytest.param(
            lambda: gym.wrappers.FlattenObservation(gym.make("CartPole-v1")),
            {"variant": Variant(max_episode_steps=501)},
            ["max_episode_steps=501 cannot apply", "inside CartPole-v1's wrappers ends episodes after 500 steps"],
            id="longer than a limit inside",
        ),
        pytest.param("CartPole-v1", {"num_envs": 0}, ["num_envs", "0"], id="no environment"),
        pytest.param(Counter(), {"num_envs": 2}, ["num_envs=2", "function"], id="one object for two"),
        pytest.param(
            Counter(), {"variant": Variant(env_kwargs={"length": 2})}, ["env_kwargs"], id="object built already"
        ),
        pytest.param(Counter, {"variant": Variant(env_kwargs={"length": 2})}, ["env_kwargs"], id="function"),
        pytest.param(
            same_step(Counter()),
            {"variant": Variant(env_kwargs={"length": 2})},
            ["env_kwargs"],
            id="vector, env_kwargs",
        ),
        pytest.param(same_step(Counter()), {"num_envs": 2}, ["num_envs"], id="vector, num_envs"),
        pytest.param(
            same_step(Counter()), {"variant": Variant(max_episode_steps=2)}, ["max_episode_steps"], id="vector, limit"
        ),
    ],
)
def test_arguments_that_cannot_be_met_are_refused_in_one_line(env, kwargs, words):
    message = refusal(EnvironmentUsageError, env, **kwargs)
    assert all(word in message for word in words), message


class Spaceless(gym.Env):
    action_space = LINE


class Specified(Counter):
    spec = {"size": 3}  # noqa: RUF012 - as a user may write it


def nothing_to_build():
    raise OSError("no display\nhere")


class OldGym:
    """An environment of the old gym package."""


OldGym.__module__ = "gym.envs.toys"


@pytest.mark.parametrize(
    ("env", "words"),
    [
        pytest.param(OldGym, "; Shimmy's GymV26Environment-v0 takes environments of the old gym", id="old gym"),
        pytest.param("tests.envs.test_make:OldGym", "not a gymnasium.Env; Shimmy's GymV26", id="old gym, named"),
        pytest.param(Spaceless(), "Spaceless has no observation_space", id="object"),
        pytest.param(Spaceless, "Spaceless has no observation_space", id="function"),
        pytest.param(Specified, "Specified has an attribute spec, {'size': 3}, where Gymnasium", id="its own spec"),
        pytest.param(nothing_to_build, "the function cannot build an environment: OSError: no display", id="raises"),
        pytest.param(
            numbered(lambda i: Shaped(spaces.Box(-1, 1, (3 + i,)), LINE)),
            "environment 1 (Shaped) cannot be stepped beside environment 0: its spaces differ, Box(-1.0, 1.0, (4,)",
            id="observations differ",
        ),
        pytest.param(
            numbered(lambda i: Shaped(LINE, spaces.Discrete(2 + i))), "its spaces differ", id="actions differ"
        ),
        pytest.param(lambda size: Counter(size), "missing 1 required positional argument: 'size'", id="arguments"),
    ],
)
def test_environments_that_cannot_be_had(env, words):
    assert words in refusal(EnvironmentUsageError, env)


def test_env_kwargs_reach_the_constructor():
    worlds = make("FrozenLake-v1", 4, variant=Variant(env_kwargs={"is_slippery": False}))
    worlds.reset()
    left, down, right = np.arange(3)
    steps = [worlds.step(np.full(4, action)) for action in (left, right, right, down, down, down, right)]
    squares = [infos["next_obs"].tolist() for *_, infos in steps]
    assert squares == [[square] * 4 for square in (0, 1, 2, 6, 10, 14, 15)]
    assert steps[-1][1].tolist() == [1.0] * 4


@pytest.mark.parametrize(
    "env",
    [
        pytest.param("envs.probes:TimeLimit-v0", id="id"),
        pytest.param(lambda: gym.make("envs.probes:TimeLimit-v0"), id="function"),
        pytest.param(gym.make("envs.probes:TimeLimit-v0"), id="object"),
    ],
)
@pytest.mark.parametrize(("limit", "length"), [(None, 5), (3, 3), (7, 7)])
def test_max_episode_steps_takes_the_place_of_the_registered_limit(env, limit, length):
    assert episode_length(make(env, 1, variant=Variant(max_episode_steps=limit))) == (length, True)


def test_max_episode_steps_limits_what_had_no_limit():
    assert episode_length(make(lambda: Counter(None), 2, variant=Variant(max_episode_steps=4))) == (4, True)
