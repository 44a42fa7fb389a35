"""Demonstrations on disk: an `.npz` that NumPy alone can read and write. See docs/demonstrations.md."""

import io
import json
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np

from agents.archive import digest_matches, has_no_comment
from agents.archive import write as write_archive
from agents.demonstrations.checks import NAMES, check_demonstrations
from agents.demonstrations.data import DemonstrationError, Demonstrations
from agents.demonstrations.minari import PREFIX, load_minari
from agents.settings.schema import suggestion
from envs import saved
from envs.spaces import Array, Space

FORMAT = 1
_OPTIONAL = {NAMES["legal"]}
_KNOWN = {*NAMES.values(), "metadata"}
_UNREADABLE = (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, LookupError, RuntimeError, MemoryError)


def target(path: str | Path) -> Path:
    """The file that `save` writes: path, with `.npz` added if missing. Raises DemonstrationError for a folder."""
    if os.path.isdir(path):
        raise DemonstrationError(f"{path}: is a directory; name a file in it")
    return Path(path) if str(path).endswith(".npz") else Path(f"{path}.npz")


def save(path: str | Path, demonstrations: Demonstrations) -> Path:
    """Writes demonstrations atomically to `target(path)`, which it returns. The same data gives the same bytes.

    Raises DemonstrationError if the demonstrations are invalid, and OSError if they cannot be written.
    """
    file = target(path)
    check_demonstrations(demonstrations, f"cannot save {file}")
    metadata = {"format": FORMAT, "env_id": demonstrations.env_id} | dict(demonstrations.metadata)
    arrays = {name: getattr(demonstrations, field) for field, name in NAMES.items()}
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        metadata=np.array(json.dumps(metadata)),
        **{name: array for name, array in arrays.items() if array is not None},
    )
    write_archive(file, buffer.getvalue())
    return file


def load(
    path: str | Path,
    *,
    obs_space: Space | None = None,
    action_space: Space | None = None,
    env_id: str | None = None,
) -> Demonstrations:
    """The demonstrations of a file, or of a local Minari data set if path is "minari:NAME".

    obs_space, action_space: the spaces of the environment or agent that will use them; None allows any.
    env_id: the environment that they must come from; None allows any.
    Raises DemonstrationError: one line that names the file, the fault and the remedy.
    """
    demonstrations = load_minari(str(path)) if str(path).startswith(PREFIX) else _from_file(Path(path))
    check_demonstrations(demonstrations, str(path), obs_space, action_space)
    if env_id is not None and _without_module(env_id) != _without_module(demonstrations.env_id):
        raise DemonstrationError(
            f"{path}: recorded in {demonstrations.env_id}, not in {env_id}; record there, or load without env_id"
        )
    return demonstrations


def _without_module(env_id: str) -> str:
    """ "module:Env-v0" → "Env-v0"."""
    return env_id.rpartition(":")[2]


def _from_file(path: Path) -> Demonstrations:
    if not os.path.isfile(path):  # also of a name that is too long, where `Path.is_file` raises OSError
        raise DemonstrationError(f"{path}: no such file; python -m rl.demos RUN --episodes N records one")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DemonstrationError(f"{path}: cannot read it: {error.strerror}") from None
    intact = digest_matches(raw)
    if intact is False:
        raise DemonstrationError(f"{path}: wrong checksum, the file is damaged; record it again")
    if not raw.startswith(b"PK"):
        raise DemonstrationError(f"{path}: not an .npz file; numpy.savez writes one")
    if intact is None and not has_no_comment(raw):
        raise DemonstrationError(f"{path}: the file is truncated or damaged at its end; record it again")
    arrays = _arrays(path, raw, verified=intact is True)
    unknown = sorted(arrays.keys() - _KNOWN)
    if unknown:
        raise DemonstrationError(f"{path}: unknown array {unknown[0]!r}{suggestion(unknown[0], _KNOWN)}")
    missing = sorted(_KNOWN - _OPTIONAL - arrays.keys())
    if missing:
        raise DemonstrationError(f"{path}: missing array {', '.join(missing)}; docs/demonstrations.md lists all")
    env_id, metadata = _metadata(path, arrays.pop("metadata"))
    fields = {field: arrays.get(name) for field, name in NAMES.items()}
    return Demonstrations(env_id=env_id, metadata=metadata, **fields)  # type: ignore[arg-type]


def _arrays(path: Path, raw: bytes, verified: bool) -> dict[str, Array]:
    """verified: whether a digest has confirmed the bytes; otherwise the archive's own checksums are used."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            wrong = None if verified else archive.testzip()  # NumPy may not read far enough to check them
        if wrong is not None:
            raise DemonstrationError(f"{path}: wrong checksum of {wrong}, the file is damaged")
        with np.load(io.BytesIO(raw), allow_pickle=False) as loaded:
            arrays = {name: loaded[name] for name in loaded.files}
    except DemonstrationError:
        raise
    except _UNREADABLE as error:
        reason = " ".join(str(error).split())
        raise DemonstrationError(f"{path}: truncated, damaged, or not only numbers ({reason})") from None
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise DemonstrationError(f"{path}: {name} is not an array")
    return arrays


def _metadata(path: Path, array: Array) -> tuple[str, dict[str, object]]:
    """The environment's id and the other metadata."""
    try:
        metadata = json.loads(str(array))
    except (ValueError, RecursionError):
        metadata = None
    if array.dtype.kind != "U" or not isinstance(metadata, dict):
        raise DemonstrationError(
            f'{path}: metadata must be JSON text, such as {{"format": 1, "env_id": "CartPole-v1"}}'
        )
    found, env_id = metadata.pop("format", None), metadata.pop("env_id", None)
    if type(found) is not int or found > FORMAT or found < 1:
        raise DemonstrationError(f"{path}: has format {saved.shown(found)}; this version reads format {FORMAT}")
    if not isinstance(env_id, str) or not env_id.isprintable():
        raise DemonstrationError(f"{path}: the metadata must name the environment, as env_id")
    return env_id, metadata
