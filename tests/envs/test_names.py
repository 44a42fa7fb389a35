"""Environments and wrappers as users name them: classes, files, ids without version, arguments."""

import sys
from itertools import pairwise

import gymnasium as gym
import numpy as np
import pytest

from agents import A2C
from envs import EnvironmentUsageError, UnknownEnvironment, Variant, make
from envs.names import full_id, parse_wrapper

MAZE = """
import gymnasium as gym
from tests.toys import Counter

class Maze(Counter):
    pass

def small(length=2):
    return Counter(length)

number = 5
gym.register("FiledMaze-v3", entry_point=Maze, max_episode_steps=7)
"""


@pytest.fixture
def maze(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "filed_mazes", None)  # removed after the test
    del sys.modules["filed_mazes"]
    gym.registry.pop("FiledMaze-v3", None)
    file = tmp_path / "filed_mazes.py"
    file.write_text(MAZE)
    return str(file)


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("CartPole", "CartPole-v1"),
        ("CartPole-v0", "CartPole-v0"),
        ("cartpole", "cartpole"),
        ("nomodule:CartPole", "nomodule:CartPole"),
        ("", ""),
    ],
)
def test_an_id_without_a_version_is_the_one_that_gymnasium_takes(given, full):
    assert full_id(given) == full


def test_an_id_without_a_version_is_native_too():
    worlds = make("CartPole", 1)
    assert (worlds.env_id, worlds.backend) == ("CartPole-v1", "native")


@pytest.mark.parametrize("backend", ["sync", "async"])
def test_a_class_or_a_function_of_a_module_is_built_with_its_arguments(backend):
    worlds = make("tests.toys:Counter", 2, variant=Variant(env_kwargs={"length": 2}), backend=backend)
    worlds.reset()
    ends = [worlds.step(np.zeros(2, np.int64))[2].tolist() for _ in range(4)]
    assert ends == [[False] * 2, [True] * 2] * 2
    worlds.close()
    limited = make("tests.toys:Counter", 1, variant=Variant(env_kwargs={"length": None}, max_episode_steps=2))
    limited.reset()
    assert [limited.step(np.zeros(1, np.int64))[3][0] for _ in range(4)] == [False, True, False, True]


@pytest.mark.parametrize(
    ("name", "limit"),
    [("Maze", 3), ("small", 2), ("FiledMaze-v3", 3), pytest.param("FiledMaze", 3, id="without a version")],
)
def test_an_environment_in_a_file(name, limit, maze, tmp_path):
    agent = A2C(f"{maze}:{name}", num_envs=2, engine="torch").learn(12)
    loaded = A2C.load(agent.save(tmp_path / "a"))
    assert loaded.env == f"{maze}:{name}"
    _, length = loaded.worlds.running
    assert length.tolist() == [6 % limit] * 2


@pytest.mark.parametrize(
    ("env_id", "words"),
    [
        ("Foo-v0", r"unknown environment 'Foo-v0'.*; of another package, name the module .*: module:Foo-v0"),
        ("some_file.py", "name the class in the file: some_file.py:Class"),
        ("no/such_file.py:Maze", "cannot import 'no/such_file.py', .*; check its path"),
        (f"{300 * '9'}.py:Maze", "cannot import '9+.py', .*; check its path"),
        ("{maze}:Mase", "neither registers an id 'Mase' nor has a class of that name; did you mean 'Maze'"),
        ("{maze}:number", "cannot build .*number': TypeError"),
        ("builtins:str", "'builtins:str' gave '', not a gymnasium.Env"),
        ("tests.toys:Counters", "did you mean 'Counter'?"),
    ],
)  # fmt: skip
def test_what_cannot_be_named_is_refused_in_one_line(env_id, words, maze):
    kind = EnvironmentUsageError if "cannot build" in words or "gave" in words else UnknownEnvironment
    with pytest.raises(kind, match=words) as refused:
        make(env_id.format(maze=maze), 1)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("a.b:C", ("a.b", "C", {})),
        ("ClipReward", ("gymnasium.wrappers", "ClipReward", {})),
        ("a:C:shape=[84,84]", ("a", "C", {"shape": (84, 84)})),
        ("C:x=-1:y=1e-3:z=true:w=null", ("gymnasium.wrappers", "C", {"x": -1, "y": 1e-3, "z": True, "w": None})),
        ("C:keys=[a, 'b']", ("gymnasium.wrappers", "C", {"keys": ("a", "b")})),
        ("C:name=some:text", ("gymnasium.wrappers", "C", {"name": "some:text"})),
        ("w.py:C:pairs={'a': [1]}", ("w.py", "C", {"pairs": {"a": [1]}})),
    ],
)
def test_wrappers_with_arguments(text, parsed):
    assert parse_wrapper(text) == parsed


def test_wrapper_arguments_take_bounded_time():
    """Ten lists, each of nine times the one before, are a billion numbers; without aliases they are a line of text."""
    lists = [f"&{name} [{','.join([f'*{before}'] * 9)}]" for before, name in pairwise("abcdefghij")]
    text = f"[&a [1,1,1,1,1,1,1,1,1], {', '.join(lists)}]"
    assert parse_wrapper(f"ClipReward:max_reward={text}")[2] == {"max_reward": text}
    assert parse_wrapper(f"ClipReward:max_reward={'[' * 400}")[2] == {"max_reward": "[" * 400}


CLIP = "ClipReward:min_reward=0:max_reward=0.5"


@pytest.mark.parametrize(
    ("wrappers", "reward"), [((CLIP,), 0.5), (CLIP, 0.5), (f"[{CLIP}, MaxAndSkipObservation:skip=2]", 1.0)]
)
def test_wrappers_take_their_arguments_from_settings(wrappers, reward):
    agent = A2C("tests.toys:Counter", num_envs=1, wrappers=wrappers)
    agent.worlds.reset()
    assert agent.worlds.step(np.zeros(1, np.int64))[1].tolist() == [reward]


def test_a_resize_by_name():
    pytest.importorskip("cv2")
    agent = A2C("tests.toys:Picture", num_envs=1, features_dim=4, wrappers="ResizeObservation:shape=[9,8]",
                env_kwargs={"shape": (6, 5, 3)})  # fmt: skip
    assert agent.obs_space.shape == (9, 8, 3)
    assert agent.wrappers == ("ResizeObservation:shape=[9,8]",)
    assert agent.act(agent.worlds.reset()[0]).action.shape == (1,)


@pytest.mark.parametrize("text", ["ClipReward:nope=1", "NoSuchWrapper", "ResizeObservation:shape=[9"])
def test_arguments_that_do_not_fit_are_refused_in_one_line(text):
    with pytest.raises(EnvironmentUsageError, match=r"cannot apply wrapper '.*': ") as refused:
        make("tests.toys:Counter", 1, variant=Variant(wrappers=(text,)))
    assert "\n" not in str(refused.value)
