"""Files of demonstrations are read back as written, or refused in one line."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import gymnasium as gym
import minari
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector.utils import create_empty_array

from agents.demonstrations import DemonstrationError, Demonstrations, from_minari, load, save
from agents.demonstrations.checks import NAMES, check_demonstrations
from envs import UnsupportedSpace
from envs.extras import install_command
from envs.observations import batched
from tests import ROOT
from tests.agents.demonstrations.test_recording import same
from tests.matrix import OBSERVATIONS

Arrays = dict[str, np.ndarray]
LINE = spaces.Box(-np.inf, np.inf, (3,), np.float32)


def demonstrations(lengths: tuple[int, ...] = (2, 3), **fields: object) -> Demonstrations:
    """Discrete actions with 4 choices; episodes alternate between termination and truncation."""
    m = sum(lengths)
    last = np.isin(np.arange(m), np.cumsum(lengths) - 1)
    even = np.repeat(np.arange(len(lengths)) % 2 == 0, lengths)
    rng = np.random.default_rng(0)
    d = Demonstrations(
        "CartPole-v1", rng.normal(size=(m, 3)).astype(np.float32), np.arange(m) % 4, np.ones(m, np.float32),
        rng.normal(size=(m, 3)).astype(np.float32), last & even, last & ~even, np.roll(last, 1),
        metadata={"choices": [4], "actor": "γ", "variant": {"frame_stack": 2}},
    )  # fmt: skip
    return d._replace(**fields)


def arrays_of(d: Demonstrations, **metadata: object) -> Arrays:
    """The arrays as another tool would write them."""
    text = json.dumps({"format": 1, "env_id": d.env_id, "choices": [4], **metadata})
    named = {name: getattr(d, field) for field, name in NAMES.items()}
    return {"metadata": np.array(text)} | {name: array for name, array in named.items() if array is not None}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return save(tmp_path / "expert", demonstrations())


def refused(path: Path | str, **asked: object) -> str:
    with pytest.raises(DemonstrationError) as raised:
        load(path, **asked)  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith(f"{path}: ")
    return str(raised.value)


def test_round_trip(file: Path) -> None:
    assert file.name == "expert.npz"
    assert same(load(file), demonstrations())
    assert same(load(str(file)), demonstrations())
    with np.load(file, allow_pickle=False) as arrays:  # needs only NumPy
        assert arrays["observations"].tolist() == demonstrations().obs.tolist()
    assert os.listdir(file.parent) == ["expert.npz"]


@pytest.mark.parametrize(
    "fields",
    [
        {"action": np.arange(10, dtype=np.float32).reshape(5, 2), "metadata": {"choices": []}},
        {"action": np.arange(10).reshape(5, 2) % 2, "metadata": {"choices": [2, 2]}},
        {
            "action": np.zeros((5, 2), np.int64), "legal": np.array([[1, 0, 1, 0, 0]] * 5, bool),
            "metadata": {"choices": [2, 3]},
        },
        {"legal": np.arange(4) == np.arange(5)[:, None] % 4},
        {"obs": np.zeros((5, 4, 4), np.uint8), "next_obs": np.ones((5, 4, 4), np.uint8)},
        {"obs": np.arange(5), "next_obs": np.arange(5), "metadata": {}},
    ],
    ids=["continuous", "several parts", "masks of several parts", "masks", "images", "Discrete, nothing told"],
)  # fmt: skip
def test_round_trip_of_other_kinds(tmp_path: Path, fields: dict[str, object]) -> None:
    d = demonstrations(**fields)
    assert same(load(save(tmp_path / "a.npz", d)), d)


def test_the_same_data_gives_the_same_bytes(file: Path, tmp_path: Path) -> None:
    assert save(tmp_path / "other", demonstrations()).read_bytes() == file.read_bytes()


# --- files ---


def test_a_missing_or_foreign_file(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    assert "no such file; python -m rl.demos RUN" in refused(path)
    assert "no such file" in refused(tmp_path)
    for content in (b"", b"text", b"PK but nothing else"):
        path.write_bytes(content)
        refused(path)
    with path.open("wb") as stream:
        np.save(stream, np.zeros(3))
    assert "not an .npz file" in refused(path)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **arrays_of(demonstrations()) | {"observations": np.array([None] * 5)})
    assert "not only numbers" in refused(path)


@pytest.mark.parametrize("digest", [True, False])
@pytest.mark.parametrize("compressed", [True, False])
def test_a_truncated_file(file: Path, digest: bool, compressed: bool) -> None:
    if not digest:
        write = np.savez_compressed if compressed else np.savez
        write(file, **arrays_of(demonstrations()))
    whole = file.read_bytes()
    for stop in range(0, len(whole), 7):
        file.write_bytes(whole[:stop])
        refused(file)


def test_a_flipped_byte_is_noticed_by_the_digest(file: Path) -> None:
    whole = file.read_bytes()
    for position in range(0, len(whole) - 66, 11):
        file.write_bytes(whole[:position] + bytes([whole[position] ^ 16]) + whole[position + 1 :])
        assert "wrong checksum" in refused(file)


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_a_flipped_byte_never_changes_what_is_read(tmp_path: Path, write: Callable[..., None]) -> None:
    """Some bytes of a zip archive are unused; after such a flip, the content must be intact."""
    path = tmp_path / "a.npz"
    write(path, **arrays_of(demonstrations()))
    whole, expected = path.read_bytes(), load(path)
    survived = 0
    positions = range(0, len(whole), 5)
    for position in positions:
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 2 ** (position % 8)]) + whole[position + 1 :])
        with suppress(DemonstrationError):
            assert same(load(path), expected)
            survived += 1
    assert 0 < survived < len(positions) / 3


def test_a_failed_write_keeps_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_full(_: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(OSError, match="no space left"):
        save(file, demonstrations((1,)))
    assert os.listdir(file.parent) == [file.name]
    assert same(load(file), demonstrations())


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_process_killed_while_it_writes_leaves_the_old_file(file: Path) -> None:
    code = (
        "import os, signal, sys; from agents.demonstrations import load, save; d = load(sys.argv[1]);"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL); save(sys.argv[1], d.take(1))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(file)], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    assert same(load(file), demonstrations())


def test_what_cannot_be_loaded_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(DemonstrationError, match=r"cannot save .*: rewards holds NaN or infinity in row 4"):
        save(tmp_path / "a", demonstrations(reward=np.array([1, 1, 1, 1, np.inf], np.float32)))
    with pytest.raises(DemonstrationError, match="is a directory; name a file in it"):
        save(tmp_path, demonstrations())
    assert not os.listdir(tmp_path)


# --- arrays ---


@pytest.mark.parametrize("name", [*sorted(set(NAMES.values()) - {"action_masks"}), "metadata"])
def test_a_missing_array_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **{key: array for key, array in arrays_of(demonstrations()).items() if key != name})
    assert f"missing array {name}; docs/demonstrations.md lists all" in refused(path)


def changed(name: str, row: object, value: object) -> Callable[[Arrays], Arrays]:
    def change(arrays: Arrays) -> Arrays:
        array = arrays[name].copy()
        array[row] = value
        return arrays | {name: array}

    return change


def given(**others: object) -> Callable[[Arrays], Arrays]:
    return lambda arrays: arrays | {name: np.asarray(array) for name, array in others.items()}


SINGLE = np.float32
FAULTS = {
    "misspelled": (
        given(action_mask=np.ones((5, 4), bool)),
        "unknown array 'action_mask'; did you mean 'action_masks'",
    ),
    "double rewards": (given(rewards=np.ones(5)), "rewards is float64[5]; it must be float32[M]"),
    "rewards in a column": (given(rewards=np.ones((5, 1), SINGLE)), "rewards is float32[5, 1]"),
    "flags as numbers": (given(terminated=[0, 1, 0, 0, 1]), "terminated is int64[5]; it must be bool[M]"),
    "short integers": (
        given(actions=np.zeros(5, np.int32)),
        "actions is int32[5]; it must be int64[M] or int64[M, K] or float32[M, K]",
    ),
    "flat continuous actions": (given(actions=np.zeros(5, SINGLE)), "actions is float32[5]"),
    "text": (given(observations=["a"] * 5), "observations is <U1[5]; it must be numbers [M, …]"),
    "complex": (given(observations=np.zeros((5, 3), complex)), "observations is complex128[5, 3]"),
    "a number": (given(observations=1.0), "observations is float64[]; it must be numbers [M, …]"),
    "other lengths": (given(rewards=np.ones(4, SINGLE)), "rewards has 4 rows, observations has 5"),
    "other successors": (
        given(next_observations=np.zeros((5, 2), SINGLE)),
        "next_observations is float32[5, 2], observations float32[5, 3]",
    ),
    "double successors": (given(next_observations=np.zeros((5, 3))), "next_observations is float64[5, 3]"),
    "NaN observation": (changed("observations", (2, 1), np.nan), "observations holds NaN or infinity in row 2"),
    "NaN successor": (changed("next_observations", (0, 0), np.nan), "next_observations holds NaN or infinity in row 0"),
    "infinite reward": (changed("rewards", 3, -np.inf), "rewards holds NaN or infinity in row 3"),
    "too large": (given(observations=np.full((5, 3), 1e300)), "observations holds NaN or infinity in row 0"),
    "NaN action": (given(actions=np.full((5, 1), np.nan, SINGLE)), "actions holds NaN or infinity in row 0"),
    "no end": (given(terminated=np.zeros(5, bool), truncated=np.zeros(5, bool)), "no episode is complete"),
    "begins in the middle": (changed("episode_starts", 0, False), "the first row does not start an episode"),
    "ends in the middle": (changed("truncated", 4, False), "the last row does not end an episode"),
    "start without an end": (
        changed("episode_starts", 1, True),
        "an episode starts in row 1, but the previous one does not end in row 0",
    ),
    "end without a start": (changed("terminated", 2, True), "an episode ends in row 2, but row 3 starts none"),
    "action too large": (changed("actions", 3, 4), "action 4 in row 3 is outside its choices"),
    "negative action": (changed("actions", 3, -1), "action -1 in row 3 is outside its choices"),
    "forbidden action": (
        given(action_masks=np.arange(4) == np.arange(5)[:, None]),
        "action 0 in row 4 is forbidden by its action_masks",
    ),
    "narrow masks": (
        given(action_masks=np.ones((5, 3), bool)),
        "action_masks has 3 columns, but actions have 4 choices",
    ),
    "short masks": (given(action_masks=np.ones((4, 4), bool)), "action_masks has 4 rows, observations has 5"),
    "masks of numbers": (given(action_masks=np.ones((5, 4))), "action_masks is float64[5, 4]; it must be bool[M, K]"),
    "parts": (given(actions=np.zeros((5, 2), np.int64)), "actions have 2 parts, but the metadata has choices [4]"),
    "continuous": (given(actions=np.zeros((5, 2), SINGLE)), "actions are float32, but the metadata has choices [4]"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_arrays(tmp_path: Path, fault: str) -> None:
    change, words = FAULTS[fault]
    path = tmp_path / "a.npz"
    np.savez(path, **change(arrays_of(demonstrations())))
    assert words in refused(path)


def test_no_rows(tmp_path: Path) -> None:
    empty = {name: array[:0] if array.ndim else array for name, array in arrays_of(demonstrations()).items()}
    np.savez(tmp_path / "a.npz", **empty)
    assert "no episode is complete" in refused(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ("{", "metadata must be JSON text"),
        ("[" * 10_000, "metadata must be JSON text"),
        ("[1]", "metadata must be JSON text"),
        (b"{}", "metadata must be JSON text"),
        (3.5, "metadata must be JSON text"),
        ('{"env_id": "CartPole-v1"}', "has format None; this version reads format 1"),
        ('{"format": 2, "env_id": "CartPole-v1"}', "has format 2; this version reads format 1"),
        ('{"format": true, "env_id": "CartPole-v1"}', "has format True"),
        ('{"format": 1}', "must name the environment, as env_id"),
        ('{"format": 1, "env_id": "X-v0", "choices": 4}', "choices in the metadata must be a list such as [2], got 4"),
        (
            '{"format": 1, "env_id": "X-v0", "choices": [0]}',
            "choices in the metadata must be a list such as [2], got [0]",
        ),
    ],
)
def test_broken_metadata(tmp_path: Path, metadata: object, words: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays_of(demonstrations()) | {"metadata": np.array(metadata)})
    assert words in refused(tmp_path / "a.npz")


def test_masks_of_several_parts_need_their_choices(tmp_path: Path) -> None:
    d = demonstrations(action=np.zeros((5, 2), np.int64), legal=np.ones((5, 5), bool), metadata={})
    with pytest.raises(DemonstrationError, match="need choices in the metadata"):
        save(tmp_path / "a", d)
    d = demonstrations(action=np.zeros((5, 2), np.float32), legal=np.ones((5, 5), bool), metadata={})
    with pytest.raises(DemonstrationError, match="action_masks need discrete actions"):
        save(tmp_path / "a", d)


# --- of what is asked for ---


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (spaces.Box(-1, 1, (4,), np.float32), "observations are float32[3]; the agent observes Box"),
        (spaces.Box(-1, 1, (3,), np.float64), "observations are float32[3]; the agent observes Box"),
        (spaces.Discrete(3), "the agent observes Discrete(3)"),
        (spaces.Dict(a=LINE, b=LINE), "the agent observes Box"),
    ],
)
def test_another_observation_space(file: Path, space: spaces.Space, words: str) -> None:
    assert words in refused(file, obs_space=space)


def test_observations_that_fit(file: Path) -> None:
    assert load(file, obs_space=LINE).transitions == 5
    parts = spaces.Dict(a=spaces.Box(-1, 1, (2,), np.float32), b=spaces.Box(-1, 1, (1,), np.float32))
    assert load(file, obs_space=parts).transitions == 5


def test_discrete_observations_are_of_their_space() -> None:
    d = demonstrations(obs=np.arange(5) - 2, next_obs=np.arange(5) - 1)
    check_demonstrations(d, "here", spaces.Discrete(6, start=-2))
    with pytest.raises(DemonstrationError, match="here: next_observations holds 3 in row 4, which is outside Discrete"):
        check_demonstrations(d, "here", spaces.Discrete(5, start=-2))


@pytest.mark.parametrize(
    "space", [spaces.Discrete(5), spaces.Discrete(3), spaces.MultiDiscrete([4]), spaces.Box(-1, 1, (1,))]
)
def test_another_action_space(file: Path, space: spaces.Space) -> None:
    assert f"actions are int64[5] with choices [4]; the agent acts in {space}" in refused(file, action_space=space)


@pytest.mark.parametrize(
    ("action", "space", "fits"),
    [
        (np.arange(5) % 4, spaces.Discrete(4, start=3), True),
        (np.arange(5), spaces.Discrete(4), False),
        (np.zeros((5, 4), np.int64), spaces.MultiBinary((2, 2)), True),
        (np.zeros((5, 4), np.int64), spaces.MultiDiscrete([[2, 2], [2, 5]], start=[[1, 1], [1, 1]]), True),
        (np.zeros((5, 4), np.float32), spaces.Box(-1, 1, (2, 2)), True),
        (np.full((5, 1), 9, np.float32), spaces.Box(-1, 1, ()), True),  # as the policy sampled it, not clipped
        (np.zeros((5, 4), np.float32), spaces.Box(-1, 1, (2,)), False),
        (np.zeros((5, 4), np.float32), spaces.MultiBinary(4), False),
    ],
)
def test_actions_of_a_file_that_does_not_tell_their_choices(
    action: np.ndarray, space: spaces.Space, fits: bool
) -> None:
    d = demonstrations(action=action, metadata={})
    if fits:
        check_demonstrations(d, "here", action_space=space)
    else:
        with pytest.raises(DemonstrationError, match="here: action"):
            check_demonstrations(d, "here", action_space=space)


def test_another_environment(file: Path) -> None:
    assert load(file, env_id="CartPole-v1").env_id == "CartPole-v1"
    assert load(file, env_id="some.module:CartPole-v1").env_id == "CartPole-v1"
    assert load(file, env_id=None).env_id == "CartPole-v1"
    assert "recorded in CartPole-v1, not in CartPole-v0; record there" in refused(file, env_id="CartPole-v0")


# --- Minari ---


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
