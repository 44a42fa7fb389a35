"""Arrays and metadata of demonstrations that are missing, broken or of another kind are named."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from agents.demonstrations import DemonstrationError, save
from agents.demonstrations.checks import NAMES
from tests.agents.demonstrations.examples import Arrays, arrays_of, demonstrations, refused


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
