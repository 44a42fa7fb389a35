"""Checkpoints are read back as written, or refused; a failed write changes nothing."""

import os
import pickle
import zipfile
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from agents import checkpoint
from agents.checkpoint import CheckpointError

CONTENT: dict[str, object] = {
    "numbers": [1, -2.5, float("inf"), True, None, 2**127 + 1, -(2**127)],
    "text": "γ → δ",
    "nested": {"tuple": (1, (2, [3, ()])), 7: {}},
    "tensor": torch.arange(6, dtype=torch.float64).reshape(2, 3) + 0.1,
    "arrays": (np.arange(8, dtype=np.uint32), np.array([True, False]), np.array(3.5), np.zeros((0, 2), np.float32)),
    "reversed": np.arange(4)[::-1],
}


class Level(IntEnum):
    LOW = 1


class Exploit:
    """Creates a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "step-000000000100.pt"
    checkpoint.save(file, CONTENT)
    return file


def same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as raised:
        checkpoint.load(path)
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)
    return str(raised.value)


def test_round_trip(path: Path) -> None:
    assert same(checkpoint.load(path), CONTENT)
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("value", [np.float64(1.5), np.float32(0.5), np.int64(3), np.bool_(True)])
def test_numpy_numbers_come_back(tmp_path: Path, value: np.generic) -> None:
    checkpoint.save(tmp_path / "a.pt", {"x": [value]})
    assert checkpoint.load(tmp_path / "a.pt") == {"x": [value]}


@pytest.mark.parametrize(
    "value",
    [
        Level.LOW, {1.5: 2}, {(1, 2): 3}, {True: 1}, {None: 1}, np.array([None]), np.array(["a"]),
        np.datetime64("2020-01-01"), torch.zeros(2, 2).to_sparse(),
    ],
    ids=str,
)  # fmt: skip
def test_what_would_not_load_is_not_saved(tmp_path: Path, value: object) -> None:
    with pytest.raises(CheckpointError, match="a checkpoint cannot hold a ") as raised:
        checkpoint.save(tmp_path / "a.pt", {"x": [value]})
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "a.pt").exists()


def test_sequences_of_other_types_come_back_as_lists_and_tuples(tmp_path: Path) -> None:
    pair = NamedTuple("pair", [("a", int), ("b", int)])(1, 2)
    checkpoint.save(tmp_path / "a.pt", {"pair": pair, "size": torch.zeros(2, 3).shape})
    assert checkpoint.load(tmp_path / "a.pt") == {"pair": (1, 2), "size": (2, 3)}


def test_save_makes_directories_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "a.pt"
    for content in ({"x": 1}, {"x": 2}):
        checkpoint.save(path, content)
        assert checkpoint.load(path) == content


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.5, 0.9, 0.99, 0.9999])
def test_truncated_file_is_refused(path: Path, share: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    refused(path)


def assert_flip_is_harmless(path: Path, position: int, mask: int) -> None:
    """Some bytes, such as padding and dates, are unused; then the content must be intact."""
    damaged = bytearray(path.read_bytes())
    damaged[position] ^= mask
    path.write_bytes(damaged)
    with suppress(CheckpointError):
        assert same(checkpoint.load(path), CONTENT)


@pytest.mark.parametrize("mask", [1, 16, 128, 255])
@pytest.mark.parametrize("share", [i / 20 for i in range(20)])
def test_flipped_byte_never_changes_the_content(path: Path, share: float, mask: int) -> None:
    assert_flip_is_harmless(path, int(share * path.stat().st_size), mask)


@pytest.mark.parametrize("mask", [1, 8, 16, 128, 255])
@pytest.mark.parametrize(
    ("header", "offset"),
    [
        pytest.param(b"PK\x01\x02", 8, id="flags"),
        pytest.param(b"PK\x01\x02", 10, id="method"),
        pytest.param(b"PK\x01\x02", 16, id="checksum"),
        pytest.param(b"PK\x01\x02", 24, id="size"),
        pytest.param(b"PK\x01\x02", 28, id="length of the name"),
        pytest.param(b"PK\x01\x02", 30, id="length of the extra field"),
        pytest.param(b"PK\x01\x02", 38, id="attributes"),
        pytest.param(b"PK\x01\x02", 42, id="position"),
        pytest.param(b"PK\x01\x02", 46, id="name"),
        pytest.param(b"PK\x03\x04", 26, id="local length of the name"),
        pytest.param(b"PK\x03\x04", 30, id="local name"),
    ],
)
def test_flipped_byte_in_a_zip_header(path: Path, header: bytes, offset: int, mask: int) -> None:
    raw = path.read_bytes()
    name = raw.index(b"data/0", raw.index(header))
    assert_flip_is_harmless(path, raw.rindex(header, 0, name) + offset, mask)


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused(path)
    for content in (b"", b"text", pickle.dumps({"mark": 1})):
        path.write_bytes(content)
        refused(path)
    for value in ({"weight": torch.zeros(2)}, torch.zeros(2), [1]):
        torch.save(value, path)
        assert "was not written by this package" in refused(path)
    torch.save(torch.nn.Linear(1, 1), path)
    refused(path)


def test_code_is_refused_without_running_it(tmp_path: Path) -> None:
    path, target = tmp_path / "a.pt", tmp_path / "target"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "to_tensors", lambda content: content)
        checkpoint.save(path, {"x": Exploit(target)})
    refused(path)
    path.write_bytes(pickle.dumps(Exploit(target)))
    refused(path)
    assert not target.exists()


def test_directory_and_missing_file_are_refused(tmp_path: Path) -> None:
    assert refused(tmp_path) == f"no checkpoint at {tmp_path}"
    refused(tmp_path / "missing.pt")


def test_a_name_that_no_file_can_have_is_refused() -> None:
    name = 300 * "9"
    for best in (False, True):
        with pytest.raises(CheckpointError, match=rf"^(no checkpoint at {name}.pt|{name} holds no best.pt; .*)$"):
            checkpoint.read(name, best)


def test_newer_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, ours = tmp_path / "a.pt", checkpoint.FORMAT
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "FORMAT", ours + 1)
        checkpoint.save(path, {})
    assert f"has format {ours + 1}, this version reads format {ours}" in refused(path)


def test_failed_write_keeps_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_full(_: int) -> None:
        raise OSError("no space left")

    with pytest.raises(CheckpointError, match="a checkpoint cannot hold a function"):
        checkpoint.save(path, {"tensor": torch.zeros(9), "x": lambda: 0})
    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(OSError, match="no space left"):
        checkpoint.save(path, {"x": 1})
    assert os.listdir(path.parent) == [path.name]
    assert same(checkpoint.load(path), CONTENT)


def test_newest(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint in"):
        checkpoint.newest(tmp_path)
    for name in ("step-000000050000.pt", "step-000000100000.pt", "step-000000009000.pt", ".step-9.pt.1.tmp", "x.pt"):
        (tmp_path / name).touch()
    assert checkpoint.newest(tmp_path).name == "step-000000100000.pt"


def test_equal_content_gives_equal_files(tmp_path) -> None:
    """Regardless of whether two texts are one object, or two tensors share memory."""
    word, memory = "generators", torch.arange(6.0)
    checkpoint.save(tmp_path / "a.pt", {"x": [word, word], "y": memory[:3], "z": memory[3:].reshape(1, 3).T})
    other = "".join(list(word))
    checkpoint.save(
        tmp_path / "b.pt", {"x": [word, other], "y": torch.arange(3.0), "z": torch.arange(3.0, 6.0)[:, None]}
    )
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()
