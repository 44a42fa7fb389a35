"""`make`: the only way from an environment's name, or an environment of the user's own, to `Worlds`."""

import difflib
import importlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import SyncVectorEnv, VectorEnv

from envs.errors import EnvironmentUsageError, UnknownEnvironment
from envs.flat import Flattened
from envs.masks import gives_masks, maskable
from envs.native import WORLDS, NativeVectorEnv
from envs.rows import Rows, bounded
from envs.spaces import check_action_space, check_observation_space, is_flat
from envs.worlds import Worlds

AnyEnv = gym.Env[object, object]
EnvLike = str | AnyEnv | VectorEnv | Callable[[], AnyEnv]
Seeding = Literal["spawn", "sb3"]
Backend = Literal["auto", "sync", "native"]

_EXTRAS = {"box2d": "box2d", "mujoco": "mujoco", "ale": "atari"}


def make(
    env: EnvLike,
    num_envs: int | None = None,
    seed: int = 0,
    *,
    seeding: Seeding = "spawn",
    max_episode_steps: int | None = None,
    env_kwargs: Mapping[str, object] | None = None,
    backend: Backend = "auto",
    action_masks: bool | None = None,
) -> Worlds:
    """N copies of an environment side by side, in this process.

    env: an id ("CartPole-v1", "module:Env-v0", "ALE/Pong-v5"), a function that returns an environment, one
    environment (then N = 1: it cannot be copied), or a vector environment in SAME_STEP mode. num_envs: N, by
    default 8 for an id or a function. seeding: "spawn" seeds environment i from child i of SeedSequence(seed), so
    that no two seeds share a stream; "sb3" uses seed + i. max_episode_steps: a time limit in place of the
    registered one. env_kwargs: arguments of the environment's constructor, for an id only. backend: "sync" steps
    Gymnasium's environments in turn; "native" takes compiled ones, which there are of classic control and which go
    through the same states; "auto" takes those where it can: for an id, without env_kwargs. action_masks: whether the
    `action_mask` in the environments' infos is obeyed; None obeys where an id has one, and refuses to guess elsewhere.

    Observations that are neither Box nor Discrete are flattened, as Gymnasium's FlattenObservation does.

    Raises UnknownEnvironment (with the nearest known id), UnsupportedSpace, or EnvironmentUsageError.
    """
    if max_episode_steps is not None and max_episode_steps < 1:
        raise EnvironmentUsageError(f"max_episode_steps must be positive, got {max_episode_steps}")
    if isinstance(env, VectorEnv):
        given = {"num_envs": None if num_envs == env.num_envs else num_envs, "max_episode_steps": max_episode_steps}
        _adopt(env, given | {"env_kwargs": env_kwargs or None, "backend": None if backend == "auto" else backend})
        name, spec = _name_of(env), env.spec
        space = check_observation_space(env.single_observation_space, name)
        vector = env if is_flat(space) else Flattened(env)
    elif num_envs is not None and num_envs < 1:
        raise EnvironmentUsageError(f"num_envs must be at least 1, got {num_envs}")
    else:
        build, count = builder(env, num_envs, max_episode_steps, env_kwargs)
        first = build()
        name, spec = _name_of(first) if not isinstance(env, str) else env, first.spec
        space = check_observation_space(first.observation_space, name)
        check_action_space(first.action_space, name)
        native = isinstance(env, str) and _is_native(first, name, env_kwargs)
        if backend == "native" and not native:
            raise EnvironmentUsageError(
                f"there is no native {name}{' with env_kwargs' if env_kwargs else ''}; native are {', '.join(WORLDS)}"
            )
        take_native = native and backend != "sync"
        vector = NativeVectorEnv(name, count, max_episode_steps) if take_native else _rows(first, build, count, name)
        if action_masks is None and isinstance(env, str):
            action_masks = not native and maskable(first.action_space) and _gives_masks(build)
    seeds = environment_seeds(seed, vector.num_envs, seeding)
    return Worlds(vector, name, seeds, _threshold(spec), space, action_masks)


def _gives_masks(build: Callable[[], AnyEnv]) -> bool:
    copy = build()
    try:
        return gives_masks(copy)
    finally:
        copy.close()


def _rows(first: AnyEnv, build: Callable[[], AnyEnv], count: int, name: str) -> Rows:
    """The first environment and its copies. Raises EnvironmentUsageError if a copy is an environment again."""
    copies = [first, *(build() for _ in range(count - 1))]
    if len({id(copy.unwrapped) for copy in copies}) < count:
        raise EnvironmentUsageError(f"the function returns the same {name} every time; it must build a new one")
    return Rows([bounded(_flattened(copy), i, name) for i, copy in enumerate(copies)])


def _flattened(env: AnyEnv) -> AnyEnv:
    return env if is_flat(env.observation_space) else gym.wrappers.FlattenObservation(env)


def builder(
    env: str | AnyEnv | Callable[[], AnyEnv],
    num_envs: int | None,
    max_episode_steps: int | None,
    env_kwargs: Mapping[str, object] | None,
) -> tuple[Callable[[], AnyEnv], int]:
    """How to build one copy, and how many to build. Takes and raises what `make` does, but for vector environments."""
    if isinstance(env, str):
        return partial(_build, env, max_episode_steps, dict(env_kwargs or {})), num_envs or 8
    if env_kwargs:
        raise EnvironmentUsageError("env_kwargs belongs to an environment id; this environment is already built")
    if isinstance(env, gym.Env):
        if num_envs not in (None, 1):
            raise EnvironmentUsageError(
                f"one environment object cannot fill num_envs={num_envs}; pass its id or a function that builds it"
            )
        return partial(_limited, lambda: env, max_episode_steps), 1
    if not callable(env):
        raise EnvironmentUsageError(f"env must be an id, an environment or a function that builds one, got {env!r}")
    return partial(_limited, env, max_episode_steps), num_envs or 8


def environment_seeds(seed: int, count: int, seeding: Seeding = "spawn", key: int = 0) -> list[int]:
    """One seed an environment; `key` opens further independent families of streams under the same seed."""
    if seeding == "sb3":
        return [seed + i for i in range(count)]
    children = np.random.SeedSequence(seed, spawn_key=(key,)).spawn(count)
    return [int(child.generate_state(1)[0] >> 1) for child in children]  # 31 bits: some simulators take an int32


def _build(env_id: str, max_episode_steps: int | None, kwargs: dict[str, object]) -> AnyEnv:
    """gymnasium.make, with every way of failing turned into one line."""
    if env_id.startswith("ALE/"):
        _register_atari(env_id)
    try:
        # Gymnasium's checker would only warn, on several lines, of what `Worlds` makes safe or refuses
        return gym.make(env_id, max_episode_steps, disable_env_checker=True, **kwargs)
    except (gym.error.UnregisteredEnv, gym.error.DeprecatedEnv) as error:
        raise UnknownEnvironment(f"unknown environment {env_id!r}{_nearest(env_id)}") from error
    except ModuleNotFoundError as error:
        module = getattr(error.__cause__, "name", None) or error.name  # Gymnasium's own has no name
        raise UnknownEnvironment(f"cannot import {module!r}, which {env_id!r} needs; install it") from error
    except gym.error.DependencyNotInstalled as error:
        extra = next((name for word, name in _EXTRAS.items() if word in str(error).lower()), None)
        remedy = f"pip install 'actor-critic[{extra}]'" if extra else str(error).strip().splitlines()[0]
        raise UnknownEnvironment(f"{env_id!r} needs a package that is not installed: {remedy}") from error
    except (Exception, SystemExit) as error:
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else "no message"
        raise EnvironmentUsageError(f"cannot build {env_id!r}: {type(error).__name__}: {first_line}") from error


def _limited(build: Callable[[], AnyEnv], max_episode_steps: int | None) -> AnyEnv:
    env = build()
    if not isinstance(env, gym.Env):
        raise EnvironmentUsageError(f"the function must return a gymnasium.Env, it returned {env!r}")
    if max_episode_steps is None:
        return env
    return gym.wrappers.TimeLimit(env.env if isinstance(env, gym.wrappers.TimeLimit) else env, max_episode_steps)


def _adopt(env: VectorEnv, given: Mapping[str, object]) -> None:
    """Refuses what cannot apply to a vector environment, and puts the boundary around each environment in it."""
    for name, value in given.items():
        if value is not None:
            raise EnvironmentUsageError(f"{name}={value} cannot apply to a vector environment: it is already built")
    if isinstance(env, SyncVectorEnv):  # it does not copy a last observation before the reset overwrites it
        env.envs = [bounded(copy, i, _name_of(copy)) for i, copy in enumerate(env.envs)]


def _is_native(first: AnyEnv, name: str, env_kwargs: Mapping[str, object] | None) -> bool:
    """Whether the id means Gymnasium's own world with nothing changed."""
    return (
        name in WORLDS
        and not env_kwargs
        and first.spec is not None
        and str(first.spec.entry_point).startswith("gymnasium.envs.classic_control")
        and not first.spec.additional_wrappers
    )


def _register_atari(env_id: str) -> None:
    try:
        gym.register_envs(importlib.import_module("ale_py"))
    except ModuleNotFoundError as error:
        raise UnknownEnvironment(f"{env_id!r} needs ale-py: pip install 'actor-critic[atari]'") from error


def _nearest(env_id: str) -> str:
    bare = env_id.rpartition(":")[2]
    by_lower = {known.lower(): known for known in gym.registry}
    close = difflib.get_close_matches(bare.lower(), by_lower, n=1, cutoff=0.5)
    return f"; did you mean {by_lower[close[0]]!r}?" if close else "; gymnasium.pprint_registry() lists the known ids"


def _name_of(env: AnyEnv | VectorEnv) -> str:
    spec = getattr(env, "spec", None)
    return str(spec.id) if spec is not None else type(env.unwrapped).__name__


def _threshold(spec: EnvSpec | None) -> float | None:
    return None if spec is None or spec.reward_threshold is None else float(spec.reward_threshold)
