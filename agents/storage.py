"""An agent as a checkpoint: its settings, its state, and where its training was."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from gymnasium.vector import VectorEnv
from torch import Tensor

from agents import checkpoint
from agents.checkpoint import CheckpointError
from agents.loop import Loop
from agents.maths.normalize import ObservationNormalizer, RewardNormalizer
from agents.networks.heads import StateDependentNoise
from agents.settings.a2c import Engine
from agents.settings.schema import merge_layers
from agents.settings.values import plain
from envs import EnvLike, Worlds

if TYPE_CHECKING:
    from agents.a2c import A2C


class Stored(Protocol):
    """What a checkpoint is made of."""

    @property
    def env(self) -> EnvLike: ...
    @property
    def worlds(self) -> Worlds: ...
    @property
    def settings(self) -> Mapping[str, object]: ...

    loop: Loop

    def state_dict(self) -> dict[str, object]: ...
    def load_state_dict(self, state: Mapping[str, object]) -> None: ...


Agent = TypeVar("Agent", bound=Stored)


def save(agent: Stored, path: str | Path, extra: Mapping[str, object] | None) -> Path:
    """See `A2C.save`."""
    file = _with_suffix(path)
    content = {
        "agent": type(agent).__name__,
        "env": agent.env if isinstance(agent.env, str) else None,
        "spaces": _spaces(agent),
        "settings": {key: plain(value) for key, value in agent.settings.items()},
        "state": agent.state_dict(),
        "loop": agent.loop.state_dict(),
        "extra": dict(extra or {}),
    }
    checkpoint.save(file, content)
    return file


def read(path: str | Path, kind: str | None = None) -> tuple[Path, dict[str, object]]:
    """The file, whose suffix may be left out, and what `save` wrote. kind: the class that it must be of, if any.

    Raises CheckpointError as `rl.checkpoint.load` does, and if it is of another class.
    """
    file = _with_suffix(path)
    content = checkpoint.load(file)
    if kind is not None and content.get("agent") != kind:
        raise CheckpointError(
            f"{file} holds an agent of type {content.get('agent')}, not {kind}; agents.registry.load takes any, "
            "agents.registry.actor the A2C in it"
        )
    return file, content


def restore(
    build: Callable[[EnvLike, Mapping[str, object]], Agent], known: Mapping[str, object], file: Path,
    content: Mapping[str, object], env: EnvLike | None, engine: Engine | None = None,
) -> Agent:  # fmt: skip
    """The agent that a checkpoint holds, by `read`. known: its settings, see `rl.config.schema`. See `A2C.load`."""
    target = content["env"] if env is None else env
    if target is None:
        raise CheckpointError(f"{file} was trained on an environment object, which no file can hold: pass env=")
    settings = merge_layers(known, [(str(file), cast("dict[str, object]", content["settings"]))])
    if engine is not None:
        settings |= {"engine": engine}
    if env is not None and not isinstance(env, str):  # built already
        settings |= {"num_envs": None, "env_kwargs": None, "atari_preprocessing": False, "backend": "auto"}
        if isinstance(env, VectorEnv):
            settings |= {"max_episode_steps": None, "frame_stack": 1}
    agent = build(cast(EnvLike, target), settings)
    if _spaces(agent) != content["spaces"]:
        raise CheckpointError(f"{file} is for the spaces {content['spaces']}; {target} has {_spaces(agent)}")
    try:
        agent.load_state_dict(cast("dict[str, object]", content["state"]))
        agent.loop.load_state_dict(cast("dict[str, object]", content["loop"]), with_worlds=env is None)
    except KeyError as missing:
        raise CheckpointError(f"{file} is of another version of this package: it lacks {missing}") from None
    return agent


def state_of(agent: "A2C") -> dict[str, object]:
    """See `A2C.state_dict`."""
    return {
        "policy": agent.policy.state_dict(),
        "value": agent.value.state_dict(),
        "descent": agent.descent.state_dict(),
        "generators": [generator.get_state() for generator in agent.generators],
        "parts": [None if part is None else part.state_dict() for part in _parts(agent)],
    }


def set_state(agent: "A2C", state: Mapping[str, object]) -> None:
    """The inverse of `state_of`."""
    agent.policy.load_state_dict(cast("dict[str, Tensor]", state["policy"]))
    agent.value.load_state_dict(cast("dict[str, Tensor]", state["value"]))
    agent.descent.load_state_dict(cast("dict[str, object]", state["descent"]))
    for generator, saved in zip(agent.generators, cast("list[Tensor]", state["generators"]), strict=True):
        generator.set_state(saved)
    saved_parts = state["parts"] if "parts" in state else [*cast("list[object]", state["normalizers"]), None]
    for part, own in zip(_parts(agent), cast("list[object]", saved_parts), strict=True):
        if part is not None:
            part.load_state_dict(cast("dict[str, object]", own))


def _parts(agent: "A2C") -> tuple[ObservationNormalizer | RewardNormalizer | StateDependentNoise | None, ...]:
    """What only some agents have."""
    return agent.obs_norm, agent.reward_norm, agent.noise


def _spaces(agent: Stored) -> list[str]:
    return [repr(agent.worlds.env_obs_space), repr(agent.worlds.env_action_space)]


def _with_suffix(path: str | Path) -> Path:
    return Path(path) if str(path).endswith(".pt") else Path(f"{path}.pt")
