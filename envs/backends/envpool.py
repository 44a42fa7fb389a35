"""`EnvpoolBackend`: envpool's environments, stepped by its threads."""

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import ClassVar, Protocol, Self, cast

import numpy as np
from gymnasium import Space, spaces
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from envs.backends.base import BackendEnv, Flags, Infos, Request, StepResult
from envs.build import Variant
from envs.errors import EnvironmentUsageError, UnknownEnvironment, UnsupportedSpace
from envs.extras import install_command
from envs.names import nearest
from envs.spaces import Array

_RESERVED = ("num_envs", "batch_size", "seed", "env_seed", "max_episode_steps")  # arguments that this file sets
_NO_LIMIT = 2**31 - 1  # envpool counts steps in an int32


class _EnvPool(Protocol):
    """The part of envpool's interface used here; env_id: indices of environments, by default all."""

    def reset(self, env_id: Array | None = None) -> tuple[Array, Infos]: ...
    def step(self, action: Array, env_id: Array | None = None) -> tuple[Array, Array, Flags, Flags, Infos]: ...


class EnvpoolBackend(BackendEnv):
    """N environments of envpool, named by envpool's own ids ("CartPole-v1", "Pong-v5").

    envpool resets an environment in the step after its last one, and ignores that step's action. Here that step is
    taken at once, so that every row is a transition. envpool reports a termination in the last step before the time
    limit as a truncation, so its limit is set one step later, and the real limit is applied here. Its constructor takes
    the seeds, so `reset` with seeds makes a new pool. Its environments may differ from Gymnasium's of the same name:
    envpool's Pendulum-v1 updates the angle with the speed before clipping.

    Raises UnknownEnvironment, UnsupportedSpace for spaces other than Box and Discrete, EnvironmentUsageError for what
    envpool cannot do.
    """

    backend = "envpool"
    evaluate_on: ClassVar[str] = "envpool"

    def __init__(self, env_id: str, num_envs: int, variant: Variant) -> None:
        self._id, self._pool = env_id, cast("_EnvPool | None", None)
        self._kwargs, envpool = _kwargs(variant), _envpool(env_id)
        limit = {} if variant.max_episode_steps is None else {"max_episode_steps": variant.max_episode_steps}
        try:
            spec = envpool.make_spec(env_id, **limit, **self._kwargs)
        except (AssertionError, TypeError, ValueError, RuntimeError, ImportError) as error:
            reason = " ".join(str(error).split()) or "no message"
            raise EnvironmentUsageError(
                f"cannot build {env_id!r} of envpool: {type(error).__name__}: {reason}"
            ) from error
        if spec.config.max_num_players > 1:
            raise EnvironmentUsageError(f"{env_id!r} of envpool is for {spec.config.max_num_players} players, not one")
        with _quiet():
            observation = _supported(spec.observation_space, "observations", env_id)
            action = _supported(spec.action_space, "actions", env_id)
        self.set_spaces(num_envs, observation, action)
        self.limit = int(spec.config.max_episode_steps)
        known_limit = self.limit if self.limit < _NO_LIMIT else None
        self.spec = EnvSpec(env_id, reward_threshold=spec.reward_threshold, max_episode_steps=known_limit)

    @classmethod
    def build(cls, request: Request) -> Self:
        if not isinstance(request.env, str):
            raise EnvironmentUsageError(f"backend=envpool takes an id, got {request.env!r}; use backend=sync")
        return cls(request.env, request.count, request.variant)

    def reset(self, *, seed: int | list[int | None] | None = None, options: Infos | None = None) -> tuple[Array, Infos]:
        chosen = dict(options or {})
        ids = np.flatnonzero(cast(Flags, chosen.pop("reset_mask", np.ones(self.num_envs, bool)))).astype(np.int32)
        if chosen:
            raise EnvironmentUsageError(f"{self._id!r} of envpool takes no reset options, got {sorted(chosen)}")
        if seed is not None or self._pool is None:
            with _quiet():
                self._pool = self._seeded(seed)
                self._obs = self._observed(self._pool.reset()[0])
        else:
            self._obs = self._obs.copy()
            self._obs[ids] = self._observed(self._pool.reset(ids)[0])
        return self._obs, {}

    def step(self, actions: Array) -> StepResult:
        if self._pool is None:
            raise EnvironmentUsageError(f"call reset before the first step of {self._id!r} of envpool")
        try:
            return self._step(self._pool, actions)
        except BaseException:  # such as Ctrl-C; late answers would be mistaken for those of the next step
            self._pool = None
            raise

    def _step(self, pool: _EnvPool, actions: Array) -> StepResult:
        raw, reward, terminated, truncated, info = pool.step(actions)
        next_obs, ended = self._observed(raw), terminated | truncated
        late = cast("NDArray[np.int32]", info["elapsed_step"]) >= self.limit
        self._obs, infos = next_obs, cast(Infos, {"next_obs": next_obs})
        if ended.any() or late.any():
            self._obs, final_obs = next_obs.copy(), np.full(self.num_envs, None, object)
            if (ids := np.flatnonzero(ended).astype(np.int32)).size:  # envpool resets these in its next step
                self._obs[ids] = self._observed(pool.step(actions[ids], ids)[0])
            if (ids := np.flatnonzero(late & ~ended).astype(np.int32)).size:
                self._obs[ids] = self._observed(pool.reset(ids)[0])
            for i in np.flatnonzero(ended | late):
                final_obs[i] = next_obs[i]
            infos |= {"final_obs": final_obs, "_final_obs": ended | late, "final_info": {}}
        return self._obs, reward.astype(np.float64), terminated, truncated | late, infos

    def close_extras(self) -> None:
        self._pool = None  # the destructor ends the threads

    def _seeded(self, seed: int | list[int | None] | None) -> _EnvPool:
        """A new pool. seed: environment i has seed + i; or one seed per environment, where None is random."""
        n = self.num_envs
        wanted = [seed + i for i in range(n)] if isinstance(seed, int) else seed or [None] * n
        drawn = np.random.SeedSequence().generate_state(n) >> 1
        seeds = [int(drawn[i]) if own is None else own for i, own in enumerate(wanted)]
        limit = min(self.limit + 1, _NO_LIMIT)
        pool = _envpool(self._id).make_gymnasium(
            self._id, num_envs=n, batch_size=n, seed=seeds, max_episode_steps=limit, **self._kwargs
        )
        return cast(_EnvPool, pool)

    def _observed(self, raw: Array) -> Array:
        space = self.single_observation_space
        shaped: Array = raw.reshape(len(raw), *(space.shape or ())).astype(space.dtype, copy=False)
        return shaped


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences Gymnasium's warning that envpool's bounds of spaces have double precision."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _kwargs(variant: Variant) -> dict[str, object]:
    for name in variant.changes.keys() & {"frame_stack", "atari_preprocessing"}:
        raise EnvironmentUsageError(
            f"{name} is not for backend=envpool, whose environments do that themselves: set stack_num (Atari) or "
            "frame_stack (MuJoCo) in env_kwargs, or use backend=sync"
        )
    kwargs = dict(variant.env_kwargs or {})
    for name in kwargs.keys() & set(_RESERVED):
        raise EnvironmentUsageError(f"{name} cannot be in env_kwargs of envpool: it is a separate setting")
    return kwargs


def _envpool(env_id: str) -> ModuleType:
    """The envpool package. Raises EnvironmentUsageError if it is missing, UnknownEnvironment if it lacks the id."""
    try:
        envpool = importlib.import_module("envpool")
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "envpool":
            raise EnvironmentUsageError(f"backend=envpool needs envpool: {install_command('envpool')}") from error
        reason = f"{type(error).__name__}: {error}"
        raise EnvironmentUsageError(f"envpool cannot be imported: {reason}; install it again") from error
    known = envpool.list_all_envs()
    if env_id not in known:
        hint = nearest(env_id, known)
        raise UnknownEnvironment(f"envpool has no environment {env_id!r}{hint}; Gymnasium's need backend=sync")
    return envpool


def _supported(space: Space[object], what: str, env_id: str) -> Space[object]:
    if not isinstance(space, spaces.Box | spaces.Discrete):
        raise UnsupportedSpace(
            f"{env_id!r} of envpool has {type(space).__name__} {what}; supported with backend=envpool are Box and "
            "Discrete: use backend=sync"
        )
    return space
