"""`AdoptedBackend`: a vector environment that the caller built."""

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space

from envs.backends.base import BackendEnv, Infos, StepResult, as_transitions
from envs.backends.guard import SCALARIZE, GuardedEnv, all_time_limited, capture_all, guarded, restore_all
from envs.build import AnyEnv, name_of
from envs.errors import EnvironmentFailure, EnvironmentUsageError
from envs.observations import flat_rows
from envs.replay import Snapshot
from envs.resets import with_full_reset
from envs.spaces import Array, check_observation_space, is_flat


class AdoptedBackend(BackendEnv, VectorWrapper):
    """Copies the arrays of a vector environment, flattens its observations and adds the true successors.

    The environments in a SyncVectorEnv become `GuardedEnv`s, since SyncVectorEnv does not copy the last observation
    before a reset overwrites it. Raises EnvironmentUsageError unless the vector environment is in SAME_STEP mode.
    """

    def __init__(self, env: VectorEnv) -> None:
        super().__init__(env)
        name, mode = name_of(env), env.metadata.get("autoreset_mode")
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
        if isinstance(env, SyncVectorEnv):
            self._guarded = [guarded(with_full_reset(one), i, name_of(one)) for i, one in enumerate(env.envs)]
            env.envs = list[AnyEnv](self._guarded)

    @property
    def has_time_limit(self) -> bool:
        return super().has_time_limit if self._guarded is None else all_time_limited(self._guarded)

    def reset(self, *, seed: int | list[int | None] | None = None, options: Infos | None = None) -> tuple[Array, Infos]:
        obs, infos = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]
        return self._flattened(obs), infos

    def step(self, actions: Array) -> StepResult:
        obs, reward, terminated, truncated, infos = self.env.step(actions)
        for name, array, kinds in (
            ("rewards", reward, "biuf"),
            ("terminated", terminated, "b"),
            ("truncated", truncated, "b"),
        ):
            given = np.asarray(array)
            if given.dtype.kind not in kinds or given.shape != (self.num_envs,):
                raise EnvironmentFailure(
                    f"{name_of(self.env)} returned {name} of shape {given.shape} and type {given.dtype}, which must be "
                    f"one for each of the {self.num_envs} environments{SCALARIZE if name == 'rewards' else ''}"
                )
        if not self._flat and "final_obs" in infos:
            final = np.empty(self.num_envs, object)
            for i in np.flatnonzero(terminated | truncated):
                final[i] = flat_rows(self.env_obs_space, infos["final_obs"][i])[0]
            infos = infos | {"final_obs": final}
        return as_transitions((self._flattened(obs), reward, terminated, truncated, infos))

    def capture(self) -> list[Snapshot] | None:
        return None if self._guarded is None else capture_all(self._guarded)

    def restore(self, state: object) -> None:
        if self._guarded is None:
            raise ValueError(f"the state of {self.backend} cannot be restored")
        restore_all(self._guarded, state)

    def _flattened(self, obs: Array) -> Array:
        return obs if self._flat else flat_rows(self.env_obs_space, obs, self.num_envs)
