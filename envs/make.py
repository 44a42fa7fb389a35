"""`make`: the only way from an environment's name, or an environment of the user's own, to `Worlds`."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, NamedTuple

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import SyncVectorEnv, VectorEnv

from envs.backends.envpool import Pool
from envs.backends.native import WORLDS, NativeVectorEnv
from envs.backends.processes import Processes
from envs.backends.sync import Flattened, Rows, bounded, flattened
from envs.build import NUM_ENVS, AnyEnv, EnvLike, Variant, builder, name_of
from envs.errors import EnvironmentUsageError
from envs.masks import gives_masks, maskable
from envs.spaces import Space, check_action_space, check_observation_space, is_flat
from envs.streams import stream_seeds
from envs.worlds import Origin, Worlds

Backend = Literal["auto", "sync", "native", "async", "envpool"]


def make(
    env: EnvLike,
    num_envs: int | None = None,
    seed: int = 0,
    *,
    variant: Variant = Variant(),  # noqa: B008 - immutable
    backend: Backend = "auto",
    action_masks: bool | None = None,
    step_timeout: float | None = None,
) -> Worlds:
    """N copies of an environment side by side.

    env: an id ("CartPole-v1", "module:Env-v0", "ALE/Pong-v5"), a function that returns an environment, one
    environment (then N = 1: it cannot be copied), or a vector environment in SAME_STEP mode. num_envs: N, by
    default 8 for an id or a function. seed: environment i draws from child i of its stream "environments".
    variant: what is changed about the environment.

    backend: "sync" steps Gymnasium's environments in turn. "native" takes compiled ones, which there are of classic
    control and which go through the same states. "async" steps each in a process of its own, which pays where a step
    takes a millisecond or more; a function is called there. "envpool" takes envpool's own environments, by its own
    ids. "auto" takes native where it can, for an id and with nothing changed but the time limit, and else sync.

    action_masks: whether the `action_mask` in the environments' infos is obeyed; None obeys where an id has one, and
    refuses to guess elsewhere. Observations that are neither Box nor Discrete are flattened, as Gymnasium's
    FlattenObservation does.

    step_timeout: seconds after which a step or a reset of "async" environments raises EnvironmentFailure and names the
    one that hangs; None waits forever. In this process nothing can cut an environment off.

    Raises UnknownEnvironment (with the nearest known id), UnsupportedSpace, or EnvironmentUsageError.
    """
    if step_timeout is not None and backend != "async":
        raise EnvironmentUsageError(f"step_timeout={step_timeout:g} needs backend=async, got backend={backend}")
    if isinstance(env, VectorEnv):
        made = _given(env, num_envs, variant, backend)
    elif num_envs is not None and num_envs < 1:
        raise EnvironmentUsageError(f"num_envs must be at least 1, got {num_envs}")
    elif backend == "envpool":
        made = _pool(env, num_envs, variant)
    else:
        made = _built(env, num_envs, variant, backend, step_timeout, look=action_masks is None)
    seeds = stream_seeds(seed, "environments", made.vector.num_envs)
    masked = made.masked if action_masks is None else action_masks
    origin = Origin(env, seed, variant, backend, action_masks)
    return Worlds(made.vector, made.name, origin, seeds, _threshold(made.vector.spec), made.space, masked)


class _Made(NamedTuple):
    """N environments, their name, and the space of their observations as they give them."""

    vector: VectorEnv
    name: str
    space: Space
    masked: bool | None = None  # whether they give action masks, if that is known


def _given(env: VectorEnv, num_envs: int | None, variant: Variant, backend: Backend) -> _Made:
    """A vector environment of the user's own."""
    given = variant.changes | ({} if num_envs in (None, env.num_envs) else {"num_envs": num_envs})
    _adopt(env, given | ({} if backend == "auto" else {"backend": backend}))
    name = name_of(env)
    space = check_observation_space(env.single_observation_space, name)
    return _Made(env if is_flat(space) else Flattened(env), name, space)


def _built(
    env: str | AnyEnv | Callable[[], AnyEnv], num_envs: int | None, variant: Variant, backend: Backend,
    timeout: float | None, look: bool,
) -> _Made:  # fmt: skip
    """Of an id, a function or one environment. look: whether an id's environments give action masks."""
    if backend == "async" and isinstance(env, gym.Env):
        raise EnvironmentUsageError("backend=async builds in other processes: pass an id or a function, not an object")
    build, count = builder(env, num_envs, variant)
    first = build()
    name = env if isinstance(env, str) else name_of(first)
    space = check_observation_space(first.observation_space, name)
    check_action_space(first.action_space, name)
    native = isinstance(env, str) and _native_fits(first, name, variant, backend)
    masked = None
    if look and isinstance(env, str):
        masked = not native and maskable(first.action_space) and gives_masks(build)
    if native:
        return _Made(NativeVectorEnv(name, count, variant.max_episode_steps), name, space, masked)
    return _Made(_python(first, build, count, name, backend, timeout), name, space, masked)


def _python(
    first: AnyEnv, build: Callable[[], AnyEnv], count: int, name: str, backend: Backend, timeout: float | None
) -> VectorEnv:
    """Gymnasium's environments, in turn or in processes of their own."""
    if backend == "native":
        raise EnvironmentUsageError(f"there is no native {name}; native are {', '.join(WORLDS)}")
    if backend != "async":
        return _rows(first, build, count, name)
    first.close()
    return Processes(partial(_flat, build), count, name, flattened(first), timeout)


def _flat(build: Callable[[], AnyEnv]) -> AnyEnv:
    return flattened(build())


def _native_fits(first: AnyEnv, name: str, variant: Variant, backend: Backend) -> bool:
    """Whether compiled environments take its place. Raises EnvironmentUsageError if they must and cannot."""
    changed = sorted(variant.changes.keys() - {"max_episode_steps"})
    if backend == "native" and changed and name in WORLDS:
        raise EnvironmentUsageError(
            f"there is no native {name} with {' and '.join(changed)}; native are {', '.join(WORLDS)}"
        )
    return backend in ("auto", "native") and not changed and _is_native(first, name)


def _pool(env: object, num_envs: int | None, variant: Variant) -> _Made:
    if not isinstance(env, str):
        raise EnvironmentUsageError(f"backend=envpool takes an id, got {env!r}; take backend=sync")
    variant.check()
    vector = Pool(env, num_envs or NUM_ENVS, variant)
    return _Made(vector, env, vector.single_observation_space)


def _rows(first: AnyEnv, build: Callable[[], AnyEnv], count: int, name: str) -> Rows:
    """The first environment and its copies. Raises EnvironmentUsageError if a copy is an environment again."""
    copies = [first, *(build() for _ in range(count - 1))]
    if len({id(copy.unwrapped) for copy in copies}) < count:
        raise EnvironmentUsageError(f"the function returns the same {name} every time; it must build a new one")
    rows = Rows([bounded(flattened(copy), i, name) for i, copy in enumerate(copies)])
    rows.spec = first.spec
    return rows


def _adopt(env: VectorEnv, given: Mapping[str, object]) -> None:
    """Refuses what cannot apply to a vector environment, and puts the boundary around each environment in it."""
    for name, value in given.items():
        raise EnvironmentUsageError(f"{name}={value} cannot apply to a vector environment: it is already built")
    if isinstance(env, SyncVectorEnv):  # it does not copy a last observation before the reset overwrites it
        env.envs = [bounded(copy, i, name_of(copy)) for i, copy in enumerate(env.envs)]


def _is_native(first: AnyEnv, name: str) -> bool:
    """Whether the id means Gymnasium's own world."""
    return (
        name in WORLDS
        and first.spec is not None
        and str(first.spec.entry_point).startswith("gymnasium.envs.classic_control")
        and not first.spec.additional_wrappers
    )


def _threshold(spec: EnvSpec | None) -> float | None:
    return None if spec is None or spec.reward_threshold is None else float(spec.reward_threshold)
