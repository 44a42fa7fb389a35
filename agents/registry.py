"""The agents that commands know by name: built from settings, loaded from checkpoints, begun where another ended."""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

from agents import checkpoint, storage
from agents.a2c import A2C
from agents.checkpoint import CheckpointError
from agents.imitation.base import Method
from agents.settings.a2c import Engine
from agents.settings.schema import setting_types, suggestion
from agents.settings.values import ConfigError
from envs import EnvLike

Learner = A2C | Method

_CLASSES = {
    "a2c": ("agents.a2c", "A2C"),
    "clone": ("agents.imitation.clone", "Clone"),
    "gail": ("agents.imitation.gail", "GAIL"),
    "distill": ("agents.imitation.distill", "Distill"),
    "mutual": ("agents.imitation.mutual", "Mutual"),
}

NAMES = tuple(_CLASSES)


def class_of(name: str) -> type[Learner]:
    """Raises ConfigError if there is none of this name."""
    if name not in _CLASSES:
        raise ConfigError(f"agent must be one of {', '.join(NAMES)}, got {name!r}{suggestion(name, NAMES)}")
    module, cls = _CLASSES[name]
    return cast("type[Learner]", getattr(importlib.import_module(module), cls))


def name_of(agent: Learner) -> str:
    """The inverse of `class_of`."""
    return next(name for name, (_, cls) in _CLASSES.items() if cls == type(agent).__name__)


def kinds(name: str) -> tuple[type, ...]:
    """The dataclasses whose fields are the agent's settings."""
    cls = class_of(name)
    return (A2C,) if cls is A2C else (A2C, cls)


def build(name: str, env: EnvLike, settings: Mapping[str, object]) -> Learner:
    """A new agent. settings: all that differ from the defaults, of the A2C and of what is around it."""
    return class_of(name).build(env, settings)


def checkpoint_of(run: str | Path) -> Path:
    """The newest checkpoint of a run directory, or the file itself. Raises CheckpointError if there is none."""
    path = Path(run)
    return checkpoint.newest(path / "checkpoints") if path.is_dir() else path


def load(run: str | Path, env: EnvLike | None = None, engine: Engine | None = None) -> Learner:
    """The agent of a run directory or checkpoint, of whatever kind it is. See `A2C.load`."""
    file, content = storage.read(checkpoint_of(run))
    name = _name_in(file, content)
    build = cast(Callable[[EnvLike, Mapping[str, object]], Learner], class_of(name).build)
    return storage.restore(build, setting_types(*kinds(name)), file, content, env, engine)


def actor(run: str | Path, env: EnvLike | None = None, engine: Engine | None = None) -> A2C:
    """The A2C that acts in a run directory or checkpoint, whatever is around it: to play, to teach, to begin with.

    What its training learned from, such as demonstrations, need not be there any more. It begins new episodes if there
    is something around it. See `A2C.load`.
    """
    file, content = storage.read(checkpoint_of(run))
    cls = class_of(_name_in(file, content))
    known = setting_types(A2C)
    if issubclass(cls, Method):
        settings, state = (cast("dict[str, object]", content[key]) for key in ("settings", "state"))
        content["settings"] = {key: value for key, value in settings.items() if key in known}
        content["state"] = state["agent"]
        content["loop"] = {**cast("dict[str, object]", content["loop"]), "worlds": None}
        engine = "torch" if cls.obstacle else engine  # as it was trained
    return storage.restore(A2C.build, known, file, content, env, engine)


def _name_in(file: Path, content: Mapping[str, object]) -> str:
    """The name of the agent that a checkpoint holds."""
    named = {cls: name for name, (_, cls) in _CLASSES.items()}
    if content.get("agent") not in named:
        raise CheckpointError(f"{file} holds an agent of type {content.get('agent')}, which this version does not know")
    return named[str(content["agent"])]


def inner(agent: Learner) -> A2C:
    """The A2C that acts."""
    return agent if isinstance(agent, A2C) else agent.agent


def warm_start(agent: Learner, run: str | Path) -> None:
    """Gives the agent the policy, the value network and the observation statistics of another; of peers, the first.

    run: a run directory or a checkpoint. Raises ConfigError if their networks differ.
    """
    own, source = inner(agent), actor(run, engine="torch")
    source.worlds.close()
    for name in ("net_arch", "activation", "network", "normalize_observations", "squash_output"):
        if getattr(own, name) != getattr(source, name):
            raise ConfigError(
                f"warm_start: {name} is {getattr(source, name)} in {run} and {getattr(own, name)} here; make them equal"
            )
    here, there = ([{key: x.shape for key, x in n.state_dict().items()} for n in a.networks] for a in (own, source))
    if here != there:
        raise ConfigError(f"warm_start: the networks of {run}, trained on {source.env}, have other shapes")
    own.policy.load_state_dict(source.policy.state_dict())
    own.value.load_state_dict(source.value.state_dict())
    if own.obs_norm and source.obs_norm:
        own.obs_norm.load_state_dict(source.obs_norm.state_dict())
