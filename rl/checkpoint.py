"""Checkpoints: one file, written whole or not at all, read without running code."""

import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
import torch

FORMAT = 1
_MARK = "actor-critic checkpoint"


class CheckpointError(ValueError):
    """The file is not a checkpoint that can be used here."""


def save(path: Path, content: Mapping[str, object]) -> None:
    """Writes nested dicts, lists, tuples, numbers, text, tensors and NumPy arrays.

    A neighboring temporary file is synced and then renamed, so that a crash leaves the old file or the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            torch.save({"mark": _MARK, "format": FORMAT, "content": _to_tensors(dict(content))}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load(path: Path) -> dict[str, object]:
    """Reads what `save` wrote. Raises CheckpointError if the file is missing, damaged, foreign or of a newer format."""
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # checks every checksum; torch's own reader does not
        if damaged is not None:
            raise CheckpointError(f"{path} is damaged: wrong checksum in {damaged}; use an earlier checkpoint")
        data = torch.load(path, weights_only=True, map_location="cpu")
    except (zipfile.BadZipFile, EOFError, RuntimeError, OSError, pickle.UnpicklingError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(f"{path} is not a readable checkpoint: {reason[:120]}; use an earlier one") from error
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
    if isinstance(value, np.ndarray):
        return {"__ndarray__": torch.from_numpy(value.copy())}
    if isinstance(value, Mapping):
        return {key: _to_tensors(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_to_tensors(item) for item in value)
    return value


def _from_tensors(value: object) -> object:
    if isinstance(value, dict):
        if set(value) == {"__ndarray__"}:
            return value["__ndarray__"].numpy()
        return {key: _from_tensors(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_from_tensors(item) for item in value)
    return value
