"""Checkpoints: one file, written whole or not at all, read without running code."""

import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from agents import archive

if TYPE_CHECKING:
    pass


FORMAT = 1

_MARK = "actor-critic checkpoint"


class CheckpointError(ValueError):
    """The file is not a checkpoint that can be used here."""


def save(path: Path, content: Mapping[str, object]) -> None:
    """Writes nested dicts, lists, tuples, numbers, text, tensors and NumPy arrays, whole or not at all."""
    buffer = io.BytesIO()
    torch.save({"mark": _MARK, "format": FORMAT, "content": _to_tensors(dict(content))}, buffer)
    archive.write(path, buffer.getvalue())


def load(path: Path) -> dict[str, object]:
    """Reads what `save` wrote. Raises CheckpointError if the file is missing, damaged, foreign or of a newer format."""
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from None
    intact = archive.digest_matches(raw)
    if intact is None:
        raise CheckpointError(
            f"{path} is not a readable checkpoint: it is cut off, or was not written by this package; "
            "delete it to use the one before"
        )
    if not intact:
        raise CheckpointError(f"{path} is not a readable checkpoint: wrong checksum; delete it to use the one before")
    try:
        data = torch.load(io.BytesIO(raw), weights_only=True, map_location="cpu")
    except (RuntimeError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path} holds more than data, so it is not a checkpoint of this package") from error
    if not isinstance(data, dict) or data.get("mark") != _MARK:
        raise CheckpointError(f"{path} was not written by this package")
    if data["format"] != FORMAT:
        raise CheckpointError(f"{path} has format {data['format']}, this version reads format {FORMAT}")
    return cast("dict[str, object]", _from_tensors(data["content"]))


def newest(directory: Path) -> Path:
    """The checkpoint with the most steps in a run's `checkpoints/`. Raises CheckpointError if there is none."""
    found = sorted(directory.glob("step-*.pt"))
    if not found:
        raise CheckpointError(f"no checkpoint in {directory}")
    return found[-1]


def _to_tensors(value: object) -> object:
    """NumPy arrays become tagged tensors, which the safe loader admits."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return {"__ndarray__": torch.from_numpy(value.copy())}
    if isinstance(value, Mapping):
        return {key: _to_tensors(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_to_tensors(item) for item in value)
    if value is None or isinstance(value, bool | int | float | str | bytes | torch.Tensor):
        return value
    raise CheckpointError(f"a checkpoint cannot hold a {type(value).__name__}, {value!r}")


def _from_tensors(value: object) -> object:
    if isinstance(value, dict):
        if set(value) == {"__ndarray__"}:
            return value["__ndarray__"].numpy()
        return {key: _from_tensors(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_from_tensors(item) for item in value)
    return value
