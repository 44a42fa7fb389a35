"""`AdoptedBackend`: a vector environment that the caller built."""

from typing import cast

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space

from envs.backends.base import BackendEnv, Flags, Infos, StepResult, as_transitions
from envs.backends.guard import SCALARIZE, GuardedEnv, all_time_limited, capture_all, guarded, restore_all
from envs.build import AnyEnv, name_of
from envs.errors import EnvironmentFailure, EnvironmentUsageError, UnsupportedSpace, shown
from envs.observations import checked, flat_rows
from envs.replay import Snapshot
from envs.resets import with_full_reset
from envs.spaces import Array, Flat, check_observation_space, is_flat


class AdoptedBackend(BackendEnv, VectorWrapper):
    """Copies the arrays of a vector environment, flattens its observations and adds the true successors.

    The environments in a SyncVectorEnv, also in a wrapped one, become `GuardedEnv`s, since SyncVectorEnv does not copy
    the last observation before a reset overwrites it. Raises EnvironmentUsageError unless the vector environment is in
    SAME_STEP mode.
    """

    _shown: Array  # the latest observations

    def __init__(self, env: VectorEnv) -> None:
        super().__init__(env)
        name, mode = name_of(env), env.metadata.get("autoreset_mode")
        self._name = name
        if mode not in (AutoresetMode.SAME_STEP, AutoresetMode.SAME_STEP.value):
            raise EnvironmentUsageError(
                f"{name} resets in mode {getattr(mode, 'name', mode)}; build it with "
                "autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP, so that no step is a hidden reset"
            )
        self.backend = {SyncVectorEnv: "sync", AsyncVectorEnv: "async"}.get(type(env), type(env).__name__)
        self.fixed_dtypes = isinstance(env, SyncVectorEnv | AsyncVectorEnv)
        self.env_obs_space = check_observation_space(env.single_observation_space, name)
        self._flat = is_flat(self.env_obs_space)
        if not self._flat:  # Gymnasium's vector FlattenObservation does not support SAME_STEP mode
            self.single_observation_space = spaces.flatten_space(self.env_obs_space)
            self.observation_space = batch_space(self.single_observation_space, env.num_envs)
        self._guarded: list[GuardedEnv] | None = None
        inner = env.unwrapped
        if isinstance(inner, SyncVectorEnv) and _is_supported(inner.single_observation_space):
            self._guarded = [guarded(with_full_reset(one), i, name_of(one)) for i, one in enumerate(inner.envs)]
            inner.envs = list[AnyEnv](self._guarded)
        self._bare = inner is env  # a wrapper may have state of its own, and change what a reset left alone

    @property
    def has_time_limit(self) -> bool:
        return super().has_time_limit if self._guarded is None else all_time_limited(self._guarded)

    def reset(self, *, seed: int | list[int | None] | None = None, options: Infos | None = None) -> tuple[Array, Infos]:
        chosen = (options or {}).get("reset_mask")  # read first, since Gymnasium removes it
        obs, infos = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]
        rows = self._flattened(obs)
        others = None if chosen is None else ~cast(Flags, chosen)
        if self._bare and others is not None and not np.array_equal(rows[others], self._shown[others]):
            raise EnvironmentFailure(
                f"{self._name} reset environments that options['reset_mask'] leaves out: obey it, or limit the length "
                "of every episode, so that none has to be cut off"
            )
        self._shown = np.array(rows, copy=True)
        return rows, infos

    def step(self, actions: Array) -> StepResult:
        answer: object = self.env.step(np.array(actions, copy=True))  # it may change them in place
        if not isinstance(answer, tuple) or len(answer) != 5:
            form = "(observations, rewards, terminated, truncated, infos)"
            raise EnvironmentFailure(f"{self._name} returned {shown(answer)} from step, which must return {form}")
        obs, reward, terminated, truncated, infos = answer
        reward = self._column("rewards", reward, "biuf")
        terminated = cast(Flags, self._column("terminated", terminated, "b"))
        truncated = cast(Flags, self._column("truncated", truncated, "b"))
        ended = terminated | truncated
        if ended.any():
            infos = infos | {"final_obs": self._last(infos, ended)}
        result = as_transitions(cast(StepResult, (self._flattened(obs), reward, terminated, truncated, infos)))
        self._shown = result[0]
        return result

    def _column(self, name: str, given: object, kinds: str) -> Array:
        """A copy of one number for each environment, since a vector environment may reuse its array."""
        column = np.array(given, copy=True)
        if column.dtype.kind not in kinds or column.shape != (self.num_envs,):
            raise EnvironmentFailure(
                f"{self._name} returned {name} of shape {column.shape} and type {column.dtype}, which must be "
                f"one for each of the {self.num_envs} environments{SCALARIZE if name == 'rewards' else ''}"
            )
        return column

    def _last(self, infos: Infos, ended: Flags) -> Array:
        """The last observation of each episode that ended, flat; None elsewhere. Raises WrongObservation."""
        if "final_obs" not in infos:
            raise EnvironmentFailure(
                f"{self._name} gave no final_obs in its infos when an episode ended; in SAME_STEP mode, it must be the "
                "last observation of each episode that ended"
            )
        given, last = cast(Array, infos["final_obs"]), np.empty(self.num_envs, object)
        for i in np.flatnonzero(ended):
            last[i] = (
                checked(cast(Flat, self.env_obs_space), given[i])
                if self._flat
                else flat_rows(self.env_obs_space, given[i])[0]
            )
        return last

    def capture(self) -> list[Snapshot] | None:
        return capture_all(self._guarded) if self._guarded and self._bare else None

    def restore(self, state: object) -> None:
        if self._guarded is None or not self._bare:
            raise ValueError(f"the state of {self.backend} cannot be restored")
        restore_all(self._guarded, state)

    def _flattened(self, obs: Array) -> Array:
        """Raises WrongObservation if they are not in their space."""
        if self._flat:
            return checked(cast(Flat, self.env_obs_space), obs, count=self.num_envs)
        return flat_rows(self.env_obs_space, obs, self.num_envs)


def _is_supported(space: object) -> bool:
    """Whether observations can be checked; a wrapper may turn others into supported ones."""
    try:
        check_observation_space(space, "")
    except UnsupportedSpace:
        return False
    return True
