"""`learn`, `load` and `set_env`, called as users of Stable-Baselines3 would."""

from enum import StrEnum
from functools import partial
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv
from stable_baselines3.common.env_util import make_vec_env

from agents import A2C, PPO, StreamAC, checkpoint
from agents.checkpoint import CheckpointError
from agents.events import Status
from agents.maths.schedules import Linear
from agents.settings.values import ConfigError
from envs import EnvironmentFailure, EnvironmentUsageError, batched
from tests.agents.reinforce import Reinforce
from tests.toys import Shaped, same_step

DICT = spaces.Dict({"a": spaces.Box(-1, 2, (3,), np.float32), "b": spaces.MultiDiscrete([2, 3])})
SPACES = [
    (DICT, spaces.Discrete(3, start=-1)),
    (spaces.Tuple([spaces.Discrete(4), spaces.MultiBinary([2, 2])]), spaces.MultiDiscrete([2, 3])),
    (spaces.Box(0, 255, (8, 9, 3), np.uint8), spaces.MultiBinary(3)),
    (
        spaces.Box(-np.inf, np.inf, (2,), np.float64),
        spaces.Box(np.array([-1, 0.1], np.float32), np.array([1 / 3, 7], np.float32)),
    ),
]


def cartpole() -> gym.Env:
    return gym.make("CartPole-v1")


@pytest.mark.parametrize("steps", [100, 1e2, np.float64(100), np.int64(100)])
def test_whole_numbers_of_any_type(steps: float) -> None:
    assert A2C("CartPole-v1", num_envs=2).learn(steps).loop.step == 100


@pytest.mark.parametrize("steps", [1.5, -1, float("nan"), float("inf"), True, None])
def test_other_numbers_are_refused(steps: float) -> None:
    with pytest.raises(ConfigError, match=r"^total_timesteps must be "):
        A2C("CartPole-v1", num_envs=2).learn(steps)


@pytest.mark.parametrize("hooks", [print, None, [3], "f"])
def test_hooks_are_a_list_of_functions(hooks: object) -> None:
    with pytest.raises(ConfigError, match="hooks must be a list of functions of a Status") as raised:
        A2C("CartPole-v1", num_envs=2).learn(10, hooks)  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)


def test_a_vector_environment_of_stable_baselines3_is_told_what_to_pass() -> None:
    with pytest.raises(EnvironmentUsageError, match="pass what one copy is built from, and num_envs"):
        A2C(make_vec_env("CartPole-v1", n_envs=2))


@pytest.mark.parametrize("cls", [A2C, Reinforce])
def test_progress(cls: type[A2C], capsys: pytest.CaptureFixture[str]) -> None:
    agent = cls("CartPole-v1", num_envs=2, n_steps=5).learn(100)
    assert capsys.readouterr().err == ""
    agent.learn(100, progress=True)
    assert "| 100/200 [" in capsys.readouterr().err
    quiet = cls("CartPole-v1", num_envs=2, n_steps=5).learn(100).learn(100)
    for ours, theirs in zip(agent.networks[0].parameters(), quiet.networks[0].parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_counting_anew_begins_schedules_and_episodes_anew() -> None:
    agent = A2C("CartPole-v1", num_envs=2, learning_rate=Linear(1e-3, 0), engine="torch")
    seen = list[Status]()
    agent.learn(20, [seen.append])  # type: ignore[list-item]
    assert agent.learn(20, [seen.append]).loop.step == 40  # type: ignore[list-item]
    agent.learn(20, [seen.append], reset_num_timesteps=True)  # type: ignore[list-item]
    assert (agent.loop.step, agent.loop.iteration) == (20, 10)
    rates = [float(status.metrics["train/learning_rate"]) for status in seen]
    assert rates[:10] == pytest.approx(np.linspace(1e-3, 0, 10, endpoint=False))
    assert rates[10:20] == pytest.approx(np.linspace(1e-3, 0, 20, endpoint=False)[10:])
    assert rates[20:] == pytest.approx(rates[:10])


def test_load_with_other_settings(tmp_path: Path) -> None:
    path = A2C("CartPole-v1", num_envs=3).learn(30).save(tmp_path / "a")
    agent = A2C.load(path, learning_rate=1e-5, n_steps=5)
    assert (agent.learning_rate, agent.n_steps, agent.loop.exact) == (1e-5, 5, True)
    assert agent.learn(30).loop.step == 60
    more = A2C.load(path, num_envs=4)
    assert (more.worlds.num_envs, more.loop.exact) == (4, False)


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"learning_rat": 1}, ConfigError, "load: unknown setting 'learning_rat'; did you mean 'learning_rate'?"),
        ({"learning_rate": "fast"}, ConfigError, "load: learning_rate must be a number"),
        ({"gamma": 2}, ConfigError, "gamma must lie between 0 and 1"),
        ({"device": "gpu"}, ConfigError, "device must be auto, cpu, cuda or cuda:N, got 'gpu'"),
        ({"seed": 3}, ConfigError, "goes on with its own random numbers: leave seed out"),
        ({"net_arch": [3]}, CheckpointError, "does not fit a2c"),
    ],
)
def test_changes_that_are_refused(changes: dict, kind: type[Exception], words: str, tmp_path: Path) -> None:
    path = A2C("CartPole-v1", num_envs=2).save(tmp_path / "a")
    with pytest.raises(kind) as raised:
        A2C.load(path, **changes)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_set_env() -> None:
    agent = A2C("CartPole-v1", num_envs=2, normalize_rewards=True).learn(100)
    old = agent.worlds
    agent.set_env(cartpole)
    assert old.closed
    assert agent.learn(100).loop.step == 200
    assert agent.env is cartpole
    for env, words in (
        ("Acrobot-v1", r"trains on Box\(.* and Discrete\(2\); Acrobot-v1 has Box\(.* and Discrete\(3\)"),
        (cartpole(), "trains on num_envs=2; .* has num_envs=1"),
    ):
        with pytest.raises(ConfigError, match=f"^set_env: the agent {words}$"):
            agent.set_env(env)
    assert agent.learn(100).loop.step == 300, "it still has its environments"


def test_set_env_leaves_an_object_of_the_caller_open() -> None:
    first, second = cartpole(), cartpole()
    agent = A2C(first).learn(10)
    agent.set_env(second)
    agent.learn(10)
    first.reset()
    agent.set_env(first)
    assert agent.learn(10).loop.step == 30


@pytest.mark.parametrize(("observations", "actions"), SPACES)
@pytest.mark.parametrize("count", [1, 3])
def test_an_agent_of_an_object_predicts_without_it(
    observations: spaces.Space, actions: spaces.Space, count: int, tmp_path: Path
) -> None:
    env = Shaped(observations, actions) if count == 1 else lambda: Shaped(observations, actions)
    num_envs = None if count == 1 else count
    agent = A2C(env, num_envs=num_envs, normalize_rewards=True, features_dim=8).learn(30)
    loaded = A2C.load(agent.save(tmp_path / "a"))
    assert (loaded.worlds.env_obs_space, loaded.worlds.env_action_space) == (observations, actions)
    for _ in range(5):
        obs = observations.sample()
        ours, theirs = (each.predict(obs, deterministic=True)[0] for each in (agent, loaded))
        np.testing.assert_array_equal(ours, theirs)
        assert actions.contains(theirs)
    with pytest.raises(ConfigError, match="num_envs is for environments, and this agent is loaded without: pass env="):
        A2C.load(tmp_path / "a", num_envs=2)
    with pytest.raises(EnvironmentFailure, match=r"^the agent was loaded without its environment: pass env= "):
        loaded.learn(30)
    loaded.set_env(env if callable(env) else Shaped(observations, actions))
    assert loaded.learn(30).loop.step == agent.loop.step + 30


class Centered(spaces.Box):
    """A subclass, as environments define them."""


class Part(StrEnum):
    PLACE = "place"


@pytest.mark.parametrize(
    ("space", "settings"),
    [
        pytest.param(spaces.Box(0, 255, (7, 7, 3), np.uint8), {"frame_stack": 4}, id="stacked images"),
        pytest.param(Centered(-1, 1, (3,), np.float32), {}, id="subclass"),
        pytest.param(spaces.Dict({0: DICT, 1: spaces.Discrete(3)}), {}, id="numbered parts"),
    ],
)
def test_rare_spaces_come_back_without_their_environment(space: spaces.Space, settings: dict, tmp_path: Path) -> None:
    build = partial(Shaped, space, spaces.Discrete(2))
    agent = A2C(build, num_envs=1, features_dim=4, engine="torch", **settings)
    loaded = A2C.load(agent.save(tmp_path / "a"))
    obs = agent.worlds.env_obs_space.sample()
    ours, theirs = (each.act(batched(each.worlds.env_obs_space, obs)[0], True).raw for each in (agent, loaded))
    assert torch.equal(ours, theirs)
    assert agent.describe()["networks"] == loaded.describe()["networks"]


class Titled(spaces.Box):
    def __repr__(self) -> str:
        return "Titled"


@pytest.mark.parametrize(
    "space", [spaces.Dict({("a", 1): DICT}), spaces.Dict({Part.PLACE: DICT}), Titled(-1, 1, (2,), np.float32)]
)
def test_spaces_that_a_checkpoint_cannot_hold_do_not_prevent_it(space: spaces.Space, tmp_path: Path) -> None:
    build = partial(Shaped, space, spaces.Discrete(2))
    path = A2C(build, num_envs=1, engine="torch").save(tmp_path / "a")
    with pytest.raises(CheckpointError, match="which no file can hold: pass env="):
        A2C.load(path)
    assert A2C.load(path, env=build).engine_in_use == "torch"


def test_a_checkpoint_from_before_spaces_were_stored_needs_an_environment(tmp_path: Path) -> None:
    agent = A2C(cartpole(), n_steps=5).learn(10)
    path = agent.save(tmp_path / "a")
    content = checkpoint.load(path)
    del content["absent"]
    checkpoint.save(path, content)
    with pytest.raises(
        CheckpointError, match="was trained on an environment object, which no file can hold: pass env="
    ):
        A2C.load(path)
    assert A2C.load(path, env=cartpole()).loop.step == 10


@pytest.mark.parametrize(
    "form",
    [
        {"count": 0}, {"count": 10**9}, {"observations": {"kind": "Text", "parts": []}}, {"observations": 3},
        {"observations": {"kind": "Box", "parts": [1, 2]}}, {"actions": {"kind": "Discrete", "parts": [-1, 0]}},
        {"actions": {"kind": "Discrete", "parts": [5, 0]}}, {"extra": 1},
    ],
)  # fmt: skip
def test_damaged_spaces_are_one_line(form: dict, tmp_path: Path) -> None:
    path = A2C(cartpole()).save(tmp_path / "a")
    content = checkpoint.load(path)
    checkpoint.save(path, {**content, "absent": {**content["absent"], **form}})
    with pytest.raises(CheckpointError) as raised:
        A2C.load(path)
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)


def test_a_vector_environment_has_its_own_number() -> None:
    """PPO's default, one environment, gives way to it; a number that is given must be the same."""

    def vector() -> SyncVectorEnv:
        return same_step(*(cartpole() for _ in range(3)))

    for agent in (A2C(vector()), PPO(vector(), n_steps=8, batch_size=8), PPO(env=vector(), num_envs=3)):
        assert agent.worlds.num_envs == 3
        agent.learn(48)
    with pytest.raises(EnvironmentUsageError, match="num_envs=1 cannot apply to a vector environment: it has 3"):
        PPO(vector(), num_envs=1)
    with pytest.raises(ConfigError, match="stream learns from one environment, this vector environment has 3"):
        StreamAC(vector())
    assert StreamAC(same_step(cartpole())).worlds.num_envs == 1
