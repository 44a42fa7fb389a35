"""Checkpoints: single files, written atomically, read without running code."""

import io
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol, Self, cast

import torch
from torch import nn

from agents import archive
from agents.encoding import from_tensors, to_tensors
from agents.settings.values import ConfigError, convert
from envs import EnvironmentFailure, EnvironmentUsageError, saved

FORMAT = 2
BEST = "best.pt"  # in a run directory: the checkpoint with the best evaluation
_MARK = "actor-critic checkpoint"
_MODULES = ("network", "optimizer")  # settings that may name a class, module:Class


class CheckpointError(ValueError):
    """The file is not a checkpoint that can be used here."""


class StatefulLoop(Protocol):
    def load_state_dict(self, state: Mapping[str, object], with_worlds: bool) -> None: ...


class Restorable(Protocol):
    """What loading uses of an agent. See `agents.agent.Agent`."""

    @property
    def networks(self) -> list[nn.Module]: ...
    @property
    def loop(self) -> StatefulLoop: ...
    def load_state_dict(self, state: Mapping[str, object]) -> None: ...


class Checkpoint(NamedTuple):
    """The content of an agent's checkpoint."""

    agent: str  # name of the agent's class, see `agents.agent.Agent.name`
    wraps: str | None  # name of the wrapped agent's class, if the agent wraps one
    engine: str  # in use when the agent was saved
    env: str | None  # id; None if the agent was trained on an environment object
    spaces: list[str]  # of observations and actions, as text
    settings: dict[str, object]  # of the agent and of the wrapped agent
    state: dict[str, object]  # `Agent.state_dict`
    loop: dict[str, object]  # `Loop.state_dict`
    extra: dict[str, object]
    absent: dict[str, object] | None = None  # `envs.absent`, if env is None; added after the format
    path: str = ""  # the file that the checkpoint was read from

    @property
    def step(self) -> int:
        """Environment steps of training."""
        return cast(int, self.loop["step"])

    def detached(self) -> Self:
        """A copy that further training does not change, to be written later."""
        copied = {name: _encoded(getattr(self, name)) for name in ("state", "loop", "extra")}
        return self._replace(**copied)  # type: ignore[arg-type]

    def write(self, path: str | Path) -> Path:
        """Writes the checkpoint atomically to `path` (.pt is added if missing). Returns the path."""
        file = with_suffix(path)
        save(file, {name: value for name, value in self._asdict().items() if name != "path"})
        return file

    def imports(self, with_env: bool = True) -> list[str]:
        """Modules ("module:Class") that loading imports, and other checkpoints that it reads.

        with_env: whether to include the environment's, which are not needed if the caller passes an environment.
        """
        others = ("wrappers", "teachers", "demonstrations")  # the last is only read, never imported
        singles = [value for key, value in self.settings.items() if key not in others]
        singles += [self.agent, self.wraps, self.env if with_env else None]
        named = [name for name in singles if isinstance(name, str) and ":" in name]
        for key in ("wrappers",) if self.wraps is None else ("wrappers", "teachers"):
            with suppress(ConfigError):  # loading will raise it
                named += cast("tuple[str, ...]", convert(self.settings.get(key, ()), tuple[str, ...]))
        return named

    def refuse_imports(self, with_env: bool) -> None:
        """Raises CheckpointError if there are `imports`."""
        named = self.imports(with_env)
        if named:
            raise CheckpointError(f"{self.path} names {', '.join(named)}, which trust=False does not import")

    def load_into(self, agent: "Restorable", with_worlds: bool, finite: bool) -> None:
        """Loads the state into an agent built from the settings.

        Raises CheckpointError if the state does not fit, whatever it is; with `finite`, also for non-finite parameters.
        """
        try:
            agent.load_state_dict(self.state)
            agent.loop.load_state_dict(self.loop, with_worlds)
        except (ConfigError, EnvironmentFailure, EnvironmentUsageError):
            raise
        except KeyError as missing:
            raise CheckpointError(
                f"{self.path} lacks {missing}: it is of another version of this package, or a new setting needs more"
            ) from None
        except Exception as error:  # Misfit, or from a user's network or algorithm
            kind = "" if isinstance(error, saved.Misfit) else f"{type(error).__name__}: "
            raise CheckpointError(
                f"{self.path} does not fit {self.agent}: {kind}{' '.join(str(error).split())}{self._own_code}"
            ) from error
        for network in agent.networks if finite else ():
            for name, parameter in network.named_parameters():
                if not bool(torch.isfinite(parameter).all()):
                    raise CheckpointError(
                        f"{self.path}: parameter {name} is not finite; load it in Python with finite=False"
                    )

    @property
    def _own_code(self) -> str:
        """Advice to restore the user's modules, which may have been edited; empty if the agent needs none."""
        named = [self.agent, *(self.settings.get(name) for name in _MODULES)]
        own = [name for name in named if isinstance(name, str) and ":" in name]
        return f"; if {' or '.join(own)} was edited after training, restore it" if own else ""

    def actor(self) -> Self:
        """The acting agent's checkpoint: this, or the wrapped agent's, which needs no demonstrations or teachers."""
        return self if self.wraps is None else self.unwrapped()

    def unwrapped(self, name: str | None = None) -> Self:
        """The checkpoint of the wrapped agent; it starts new episodes. Raises CheckpointError if its class differs."""
        if self.wraps is None or name not in (None, self.wraps):
            raise CheckpointError(
                f"{self.path} holds an agent of type {self.agent}, not {name}; agents.registry.load takes any"
            )
        state = self.state.get("agent")
        if not isinstance(state, dict):
            raise CheckpointError(f"{self.path} lacks the state of the wrapped agent")
        loop, settings = {**self.loop, "worlds": None, "obs": None}, {**self.settings, "engine": self.engine}
        return self._replace(agent=self.wraps, wraps=None, settings=settings, state=state, loop=loop)


def read(run: str | Path, best: bool = False) -> Checkpoint:
    """The checkpoint in a file (.pt may be omitted); for a run directory, the newest or the best one.

    Raises what `load` and `locate` raise.
    """
    file = locate(run, best)
    content = load(file)
    content.setdefault("absent", None)
    if content.keys() != set(Checkpoint._fields) - {"path"}:
        raise CheckpointError(f"{file} does not hold an agent")
    try:
        return Checkpoint(
            agent=saved.text(content["agent"], "agent"),
            wraps=None if content["wraps"] is None else saved.text(content["wraps"], "wraps"),
            engine=saved.text(content["engine"], "engine"),
            env=None if content["env"] is None else saved.text(content["env"], "env"),
            spaces=[saved.text(space, "spaces") for space in saved.sequence(content["spaces"], "spaces", 2)],
            **{name: saved.mapping(content[name], name) for name in ("settings", "state", "loop", "extra")},
            absent=None if content["absent"] is None else saved.mapping(content["absent"], "absent"),
            path=str(file),
        )
    except saved.Misfit as error:
        raise CheckpointError(f"{file}: {error}") from None


def save(path: Path, content: Mapping[str, object]) -> None:
    """Writes nested dicts, lists, tuples, numbers, text, tensors and NumPy arrays, atomically."""
    buffer = io.BytesIO()
    torch.save({"mark": _MARK, "format": FORMAT, "content": _encoded(content)}, buffer)
    archive.write(path, buffer.getvalue())


def load(path: Path) -> dict[str, object]:
    """Reads what `save` wrote. Raises CheckpointError if the file is missing, damaged, foreign or of a newer format."""
    if not os.path.isfile(path):  # also of a name that is too long, where `Path.is_file` raises OSError
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
    except Exception as error:  # whatever a pickle can raise
        raise CheckpointError(f"{path} holds more than data, so it is not a checkpoint of this package") from error
    if not isinstance(data, dict) or type(data.get("mark")) is not str or data["mark"] != _MARK:
        raise CheckpointError(f"{path} was not written by this package")
    if type(data.get("format")) is not int or data["format"] != FORMAT:
        found = saved.shown(data.get("format"))
        raise CheckpointError(f"{path} has format {found}, this version reads format {FORMAT}")
    try:
        return saved.mapping(from_tensors(data.get("content")), "its content")
    except (saved.Misfit, RecursionError) as error:
        raise CheckpointError(f"{path} holds what this package does not write: {error}") from None


def locate(run: str | Path, best: bool = False) -> Path:
    """The file itself; for a run directory, its newest or best checkpoint.

    Raises CheckpointError if there is none.
    """
    path = Path(run)
    if best:
        if not os.path.isfile(path / BEST):
            raise CheckpointError(f"{path} holds no {BEST}; a run directory does if it was trained with eval_interval")
        return path / BEST
    return newest(path / "checkpoints") if os.path.isdir(path) else with_suffix(path)


def with_suffix(path: str | Path) -> Path:
    return Path(path) if str(path).endswith(".pt") else Path(f"{path}.pt")


def newest(directory: Path) -> Path:
    """The checkpoint with the most steps in a run's `checkpoints/`. Raises CheckpointError if there is none."""
    found = in_order(directory)
    if not found:
        raise CheckpointError(f"no checkpoint in {directory}")
    return found[-1]


def in_order(directory: Path) -> list[Path]:
    """The checkpoints in a run's `checkpoints/`, sorted by step. Ignores other files."""
    named = [(re.fullmatch(r"step-([0-9]+)\.pt", path.name), path) for path in directory.glob("step-*.pt")]
    return [path for _, path in sorted((int(match[1]), path) for match, path in named if match)]


def _encoded(content: Mapping[str, object]) -> dict[str, object]:
    try:
        return cast("dict[str, object]", to_tensors(content))
    except saved.Misfit as error:
        raise CheckpointError(f"a checkpoint cannot hold {error}") from None
