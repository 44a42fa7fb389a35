"""Files of demonstrations are read back as written; damaged ones are refused in one line."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from agents.demonstrations import DemonstrationError, load, save
from tests import ROOT
from tests.agents.demonstrations.examples import arrays_of, demonstrations, refused
from tests.agents.demonstrations.test_recording import same


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


def test_a_missing_or_foreign_file(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    assert "no such file; python -m rl.demos RUN" in refused(path)
    assert "no such file" in refused(tmp_path)
    assert "no such file" in refused(tmp_path / (300 * "9"))
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
