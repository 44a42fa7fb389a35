"""Demonstrations from data sets of Minari."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import gymnasium as gym
import minari
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector.utils import create_empty_array

from agents.demonstrations import DemonstrationError, from_minari, load, save
from envs import UnsupportedSpace
from envs.extras import install_command
from envs.observations import batched
from tests.agents.demonstrations.examples import LINE, demonstrations, refused
from tests.agents.demonstrations.test_recording import same
from tests.matrix import OBSERVATIONS


def episode(space: spaces.Space, actions: np.ndarray, **flags: object) -> SimpleNamespace:
    """An episode with the attributes that Minari documents."""
    t = len(actions)
    space.seed(t)
    rows = create_empty_array(space, t + 1, fn=np.zeros)
    samples = [space.sample() for _ in range(t + 1)]
    gym.vector.utils.concatenate(space, samples, rows)
    nothing = np.zeros(t, bool)
    return SimpleNamespace(
        id=0, observations=rows, actions=actions, rewards=np.arange(t, dtype=np.float64), infos={},
        **{"terminations": nothing, "truncations": nothing, **flags},
    )  # fmt: skip


def dataset(
    observations: spaces.Space, actions: spaces.Space, *episodes: object, env_id: str | None = "X-v0"
) -> object:
    spec = SimpleNamespace(dataset_id="a/b-v0", env_spec=env_id and SimpleNamespace(id=env_id))
    return SimpleNamespace(
        observation_space=observations, action_space=actions, spec=spec, iterate_episodes=lambda: iter(episodes)
    )


@pytest.mark.parametrize("observations", OBSERVATIONS)
def test_episodes_of_minari(observations: str, tmp_path: Path) -> None:
    space = OBSERVATIONS[observations]
    ended = np.array([False, False, True])
    episodes = [
        episode(space, np.array([3, 4, 5]), terminations=ended),
        episode(space, np.array([5, 3])),
        episode(space, np.array([], np.int64)),
        episode(space, np.array([4, 4, 3]), truncations=ended),
    ]
    d = from_minari(dataset(space, spaces.Discrete(3, start=3), *episodes))  # type: ignore[arg-type]
    assert (d.env_id, d.metadata["source"], d.metadata["choices"]) == ("X-v0", "minari:a/b-v0", [3])
    assert d.episodes == [(0, 3), (3, 5), (5, 8)]
    assert d.action.tolist() == [0, 1, 2, 2, 0, 1, 1, 0]
    assert np.flatnonzero(d.terminated).tolist() == [2]
    assert np.flatnonzero(d.truncated).tolist() == [4, 7]
    assert d.returns.tolist() == [3, 1, 3]
    rows = batched(space, episodes[0].observations)[0]
    np.testing.assert_array_equal(d.obs[:3], rows[:-1])
    np.testing.assert_array_equal(d.next_obs[:3], rows[1:])
    assert same(load(save(tmp_path / "a", d), obs_space=space, action_space=spaces.Discrete(3)), d)


def test_broken_data_of_minari() -> None:
    sound, actions = episode(LINE, np.array([0, 1])), spaces.Discrete(2)
    for broken, words in (
        (dataset(LINE, actions), "a/b-v0: contains no transition"),
        (dataset(LINE, actions, sound, env_id=None), "a/b-v0: has no environment id"),
        (dataset(LINE, spaces.Discrete(1), sound), r"a/b-v0: action 1 in row 1 is not of Discrete\(1\)"),
        (dataset(spaces.Box(-1, 1, (2,)), actions, sound), r"a/b-v0: observation has shape \(3, 3\)"),
        (dataset(spaces.Box(0, 9, (3,), np.uint8), actions, sound), "a/b-v0: observations are float32"),
        (dataset(LINE, actions, episode(LINE, np.array([0, 1]), truncations=np.array([True, False]))), "ends in row 0"),
    ):
        with pytest.raises(DemonstrationError, match=words):
            from_minari(broken)  # type: ignore[arg-type]
    assert from_minari(dataset(LINE, actions, sound, env_id=None), "Y-v0").env_id == "Y-v0"  # type: ignore[arg-type]
    with pytest.raises(UnsupportedSpace, match="Text"):
        from_minari(dataset(spaces.Text(3), actions, sound))  # type: ignore[arg-type]


def test_minari_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "minari", None)
    assert install_command("minari") in refused("minari:a/b-v0")


def played(env: gym.Env, buffer: Callable[..., object], seed: int) -> object:  # type: ignore[type-arg]
    observations, steps = [env.reset(seed=seed)[0]], []
    while not steps or not steps[-1][-1]:
        action = env.action_space.sample()
        obs, reward, terminated, truncated, _ = env.step(action)
        observations.append(obs)
        steps.append((action, reward, terminated, truncated))
    actions, rewards, terminations, truncations = map(list, zip(*steps, strict=True))
    return buffer(
        observations=observations, actions=actions, rewards=rewards, terminations=terminations, truncations=truncations
    )


@pytest.mark.filterwarnings("ignore:.*is set to None:UserWarning")  # about missing metadata
def test_a_data_set_of_minari_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    env = gym.make("Pendulum-v1", max_episode_steps=10)
    buffers = [played(env, minari.data_collector.EpisodeBuffer, seed) for seed in range(3)]
    minari.create_dataset_from_buffers("toys/pendulum-v0", buffers, env)
    inner = gym.make("Pendulum-v1")
    d = load(
        "minari:toys/pendulum-v0", obs_space=inner.observation_space, action_space=inner.action_space,
        env_id="Pendulum-v1",
    )  # fmt: skip
    assert d.episodes == [(0, 10), (10, 20), (20, 30)]
    assert (d.obs.dtype, d.action.shape, d.action.dtype) == (np.float32, (30, 1), np.float32)
    assert np.flatnonzero(d.truncated).tolist() == [9, 19, 29]
    np.testing.assert_array_equal(d.obs[1:10], d.next_obs[:9])
    assert "`minari download toys/nothing-v0`" in refused("minari:toys/nothing-v0")
    (tmp_path / "toys/pendulum-v0/data/metadata.json").write_text("{")
    assert "Minari cannot open it" in refused("minari:toys/pendulum-v0")


def test_an_id_of_several_lines_is_refused(tmp_path: Path) -> None:
    file = save(tmp_path / "a", demonstrations()._replace(env_id="one\ntwo"))
    with pytest.raises(DemonstrationError, match="the metadata must name the environment, as env_id"):
        load(file)
