"""Checkpoints: one file, written atomically, read without running code."""

import io
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol, Self, cast, runtime_checkable

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from torch import Generator, Tensor

from agents import archive
from agents.settings.schema import merge_layers
from envs import EnvLike

FORMAT = 2
_MARK = "actor-critic checkpoint"


class CheckpointError(ValueError):
    """The file is not a checkpoint that can be used here."""


@runtime_checkable
class Stateful(Protocol):
    def state_dict(self) -> dict[str, object]: ...
    def load_state_dict(self, state: Mapping[str, object]) -> object: ...


Parts = Mapping[str, Generator | Stateful]


def state_of(parts: Parts) -> dict[str, object]:
    """Name → state."""
    return {
        name: part.get_state() if isinstance(part, Generator) else part.state_dict() for name, part in parts.items()
    }


def load_state(parts: Parts, state: Mapping[str, object]) -> None:
    """The inverse of `state_of`. Raises KeyError if a part is missing in `state`."""
    for name, part in parts.items():
        if isinstance(part, Generator):
            part.set_state(cast(Tensor, state[name]))
        else:
            part.load_state_dict(cast("dict[str, object]", state[name]))


class Checkpoint(NamedTuple):
    """What a checkpoint of an agent holds."""

    agent: str  # name of the agent's class, see `agents.agent.Agent.name`
    wraps: str | None  # name of the wrapped agent's class, if the agent wraps one
    engine: str  # in use when the agent was saved
    env: str | None  # id; None if the agent was trained on an environment object
    spaces: list[str]  # of observations and actions, as text
    settings: dict[str, object]  # of the agent and of the wrapped agent
    state: dict[str, object]  # `Agent.state_dict`
    loop: dict[str, object]  # `Loop.state_dict`
    extra: dict[str, object]
    path: str = ""  # the file that the checkpoint was read from

    def write(self, path: str | Path) -> Path:
        """Writes the checkpoint atomically to `path` (.pt is added if missing). Returns the path."""
        file = with_suffix(path)
        save(file, {name: value for name, value in self._asdict().items() if name != "path"})
        return file

    def unwrapped(self, name: str | None = None) -> Self:
        """The wrapped agent's checkpoint; it begins new episodes. Raises CheckpointError if its class differs."""
        if self.wraps is None or name not in (None, self.wraps):
            raise CheckpointError(
                f"{self.path} holds an agent of type {self.agent}, not {name}; agents.registry.load takes any"
            )
        state = cast("dict[str, object]", self.state["agent"])
        loop, settings = {**self.loop, "worlds": None}, {**self.settings, "engine": self.engine}
        return self._replace(agent=self.wraps, wraps=None, settings=settings, state=state, loop=loop)

    def settings_on(self, env: EnvLike | None, engine: str | None, known: Mapping[str, object]) -> dict[str, object]:
        """The settings in `known`, name → type. An environment object resets those that apply to an id only."""
        settings = merge_layers(known, [(self.path, {key: x for key, x in self.settings.items() if key in known})])
        if engine is not None and "engine" in known:
            settings |= {"engine": engine}
        if env is not None and not isinstance(env, str):
            settings |= {"num_envs": None, "env_kwargs": None, "atari_preprocessing": False, "backend": "auto"}
            if isinstance(env, VectorEnv):
                settings |= {"max_episode_steps": None, "frame_stack": 1}
        return settings


def read(run: str | Path) -> Checkpoint:
    """The checkpoint in a file (.pt may be left out), or the newest of a run directory. Raises as `load` does."""
    file = locate(run)
    content = load(file)
    if content.keys() != set(Checkpoint._fields) - {"path"}:
        raise CheckpointError(f"{file} does not hold an agent")
    return Checkpoint(**content, path=str(file))  # type: ignore[arg-type]


def save(path: Path, content: Mapping[str, object]) -> None:
    """Writes nested dicts, lists, tuples, numbers, text, tensors and NumPy arrays, atomically."""
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


def locate(run: str | Path) -> Path:
    """The newest checkpoint of a run directory, or the file itself. Raises CheckpointError if there is none."""
    path = Path(run)
    return newest(path / "checkpoints") if path.is_dir() else with_suffix(path)


def with_suffix(path: str | Path) -> Path:
    return Path(path) if str(path).endswith(".pt") else Path(f"{path}.pt")


def newest(directory: Path) -> Path:
    """The checkpoint with the most steps in a run's `checkpoints/`. Raises CheckpointError if there is none."""
    found = in_order(directory)
    if not found:
        raise CheckpointError(f"no checkpoint in {directory}")
    return found[-1]


def in_order(directory: Path) -> list[Path]:
    """The checkpoints in a run's `checkpoints/`, by their number of steps. Other files are left out."""
    named = [(re.fullmatch(r"step-([0-9]+)\.pt", path.name), path) for path in directory.glob("step-*.pt")]
    return [path for _, path in sorted((int(match[1]), path) for match, path in named if match)]


def _to_tensors(value: object) -> object:
    """Turns NumPy arrays into tagged tensors, which torch's safe loader accepts."""
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
