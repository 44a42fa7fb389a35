"""Agents by name: "a2c", "gail", …, or "module:Class" for a user's own class."""

import importlib
from collections.abc import Mapping
from inspect import isabstract
from pathlib import Path

from agents import checkpoint
from agents.agent import Agent
from agents.checkpoint import Checkpoint, CheckpointError
from agents.settings.schema import suggestion
from agents.settings.values import ConfigError
from envs import EnvLike

_CLASSES = {
    "a2c": "agents.a2c:A2C",
    "ppo": "agents.ppo:PPO",
    "stream": "agents.streaming:StreamAC",
    "clone": "agents.imitation.clone:Clone",
    "gail": "agents.imitation.gail:GAIL",
    "gail-ppo": "agents.imitation.gail:GAILPPO",
    "distill": "agents.imitation.distill:Distill",
    "distill-ppo": "agents.imitation.distill:DistillPPO",
    "mutual": "agents.imitation.mutual:Mutual",
    "mutual-ppo": "agents.imitation.mutual:MutualPPO",
}

NAMES = tuple(_CLASSES)


def class_of(name: str) -> type[Agent]:
    """Raises ConfigError if the name is unknown, or the module or class cannot be imported."""
    if name not in _CLASSES and ":" not in name:
        raise ConfigError(
            f"agent must be module:Class or one of {', '.join(NAMES)}, got {name!r}{suggestion(name, NAMES)}"
        )
    module, _, attribute = _CLASSES.get(name, name).partition(":")
    try:
        cls = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"cannot import agent {name!r}: {error}") from error
    except (Exception, SystemExit) as error:  # from anything that the module's import runs
        raise ConfigError(f"cannot import agent {name!r}: {type(error).__name__}: {error}") from error
    if not (isinstance(cls, type) and issubclass(cls, Agent) and not isabstract(cls)):
        raise ConfigError(f"agent {name!r} is not a subclass of agents.Agent that can be built")
    return cls


def kinds(name: str) -> tuple[type, ...]:
    """The dataclasses whose fields are the agent's settings."""
    return class_of(name).settings_classes()


def build(name: str, env: EnvLike, settings: Mapping[str, object]) -> Agent:
    """A new agent. settings: name → value; the others have their defaults.

    >>> build("ppo", "CartPole-v1", {"n_steps": 64}).describe()["environment"]
    'CartPole-v1, 1 in parallel (native)'
    """
    return class_of(name).build_from(env, settings)


def load(
    run: str | Path, env: EnvLike | None = None, engine: str | None = None,
    *, best: bool = False, trust: bool = True, finite: bool = True,
) -> Agent:  # fmt: skip
    """Loads an agent of any class from a run directory or checkpoint. See `Agent.load`."""
    return restore(checkpoint.read(run, best), env, engine, trust=trust, finite=finite)


def load_actor(
    run: str | Path, env: EnvLike | None = None, engine: str | None = None, *, trust: bool = True, finite: bool = True
) -> Agent:
    """Loads the agent that acts: a wrapped agent without its wrapper, which would need demonstrations or teachers.

    See `Agent.load`.
    """
    return restore(checkpoint.read(run).actor(), env, engine, trust=trust, finite=finite)


def restore(
    read: Checkpoint, env: EnvLike | None = None, engine: str | None = None, *, trust: bool = True, finite: bool = True
) -> Agent:
    """The agent that a checkpoint describes. Raises CheckpointError if its class cannot be imported."""
    if not trust:
        read.refuse_imports(env is None)
    try:
        cls = class_of(read.agent)
    except ConfigError as error:
        raise CheckpointError(f"{read.path}: {error}") from error
    return cls.restore(read, env, engine, trust=trust, finite=finite)
