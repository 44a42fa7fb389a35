"""`SyncBackend`: Gymnasium's `SyncVectorEnv` in SAME_STEP mode, with less overhead per step."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Self

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.typing import NDArray

from envs.backends.base import BackendEnv, Flags, Infos, Request, StepResult
from envs.backends.guard import (
    GuardedEnv,
    all_time_limited,
    capture_all,
    flattened,
    guarded,
    itself,
    merge_info,
    restore_all,
    stacked_infos,
)
from envs.backends.infos import LazyInfos
from envs.errors import EnvironmentUsageError
from envs.masks import gives_masks, maskable
from envs.replay import Snapshot
from envs.spaces import Array, brief


class SyncBackend(BackendEnv, SyncVectorEnv):
    """Environments with the same flat observation space, stepped one after another."""

    backend = "sync"

    def __init__(self, envs: Sequence[GuardedEnv]) -> None:
        super().__init__([partial(itself, env) for env in envs], copy=False, autoreset_mode=AutoresetMode.SAME_STEP)
        self.env_obs_space = self.single_observation_space
        self._guarded = list(envs)
        self._choose_stepped()
        space = self.single_observation_space
        self._form = (
            (space.shape, space.dtype) if isinstance(space, spaces.Box) else ((), None)
        )  # a choice may not exist
        self._scalars = self.single_action_space.shape == () and isinstance(self.single_action_space, spaces.Box)

    @classmethod
    def build(cls, request: Request) -> Self:
        """Raises EnvironmentUsageError if the function returns the same object every time, or the spaces differ."""
        first, name = request.first, request.name
        copies = [first, *(request.build() for _ in range(request.count - 1))]
        if len({id(copy.unwrapped) for copy in copies}) < request.count:
            raise EnvironmentUsageError(f"the function returns the same {name} every time; it must build a new one")
        flat = [flattened(copy) for copy in copies]
        for i, copy in enumerate(flat):
            if (copy.observation_space, copy.action_space) != (flat[0].observation_space, flat[0].action_space):
                raise EnvironmentUsageError(
                    f"environment {i} ({name}) cannot be stepped beside environment 0: its spaces differ, "
                    f"{brief(copy.observation_space)} and {brief(copy.action_space)}"
                )
        built = cls([guarded(copy, i, name) for i, copy in enumerate(flat)])
        built.spec, built.env_obs_space = first.spec, first.observation_space
        return built

    @classmethod
    def suits(cls, request: Request) -> bool:
        return True

    @classmethod
    def gives_masks(cls, request: Request) -> bool | None:
        if not isinstance(request.env, str):
            return None
        return maskable(request.first.action_space) and gives_masks(request.build)

    @property
    def has_time_limit(self) -> bool:
        return all_time_limited(self._guarded)

    def _choose_stepped(self) -> None:
        self._stepped = [env.stepped for env in self._guarded]

    def reset(self, *, seed: int | list[int | None] | None = None, options: Infos | None = None) -> tuple[Array, Infos]:
        obs, infos = super().reset(seed=seed, options=options)
        self._choose_stepped()
        return obs, infos

    def step(self, actions: Array) -> StepResult:
        obs, (shape, dtype) = np.empty_like(self._observations), self._form
        reward, terminated, truncated, infos = [], [], [], list[Infos]()
        final: dict[int, tuple[Array, Infos]] = {}
        given = [np.asarray(action) for action in actions] if self._scalars else actions
        for i, env in enumerate(self._stepped):
            guard = self._guarded[i]
            try:
                answer = env.step(given[i])
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                raise guard.raised("step", error) from error
            row, r, over, cut, info = guard.outcome(answer)
            reward.append(r)
            terminated.append(over)
            truncated.append(cut)
            good = type(row) is np.ndarray and row.dtype is dtype and row.shape == shape
            obs[i] = row if good else guard.checked(row)
            if over or cut:
                final[i] = obs[i].copy(), info
                obs[i], info = guard.reset()
            infos.append(info)
        merged = self._merged(infos, final)
        return self._result(obs, np.array(reward), np.array(terminated), np.array(truncated), merged, final)

    def _result(
        self, obs: Array, reward: NDArray[np.float64], terminated: Flags, truncated: Flags, merged: Infos,
        final: Mapping[int, tuple[Array, Infos]],
    ) -> StepResult:  # fmt: skip
        """final: index of an environment whose episode ended → its last observation and info; obs and merged are of
        the next episode there."""
        self._env_obs = list(obs)  # used when only some environments are reset
        next_obs = obs
        if final:
            next_obs = obs.copy()
            for i, (row, _) in final.items():
                next_obs[i] = row
        merged["next_obs"] = next_obs
        return obs, reward, terminated, truncated, merged

    def capture(self) -> list[Snapshot] | None:
        snapshots = capture_all(self._guarded)
        self._choose_stepped()
        return snapshots

    def restore(self, state: object) -> None:
        restore_all(self._guarded, state)
        self._choose_stepped()

    def _merged(self, infos: Sequence[Infos], final: Mapping[int, tuple[Array, Infos]]) -> Infos:
        if not final and LazyInfos.fits(infos):
            return LazyInfos(infos, partial(self._merged_now, final={}))
        return self._merged_now(infos, final)

    def _merged_now(self, infos: Sequence[Infos], final: Mapping[int, tuple[Array, Infos]]) -> Infos:
        merged = None if final else stacked_infos(infos)
        if merged is None:
            merged = {}
            for i, info in enumerate(infos):
                if i in final:
                    merged = self._add_info(merged, dict(zip(("final_obs", "final_info"), final[i], strict=True)), i)
                merged = self._add_info(merged, info, i)
        return merged

    def _add_info(self, vector_infos: Infos, env_info: Infos, env_num: int) -> Infos:
        return merge_info(super()._add_info, vector_infos, env_info, env_num, self.num_envs)
