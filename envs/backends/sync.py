"""`Rows`: Gymnasium's `SyncVectorEnv` in SAME_STEP mode, stepped with less around the environments' own steps."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial
from typing import cast

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from envs.errors import EnvironmentFailure
from envs.snapshot import Encoded, capture, restore
from envs.spaces import Array, Flat, Space, batched, brief, is_flat

Infos = dict[str, object]

Copy = gym.Env[object, object]

_MISFITS = (TypeError, ValueError, OverflowError, AttributeError, LookupError)


class Boundary(gym.Wrapper[object, object, object, object]):
    """The innermost side of the boundary: one environment, which may reuse its buffers and may raise."""

    def __init__(self, env: Copy, name: str) -> None:
        super().__init__(env)
        self.name = name
        self._space = env.observation_space if is_flat(env.observation_space) else None

    def reset(self, *, seed: int | None = None, options: Infos | None = None) -> tuple[object, Infos]:
        try:
            obs, info = self.env.reset(seed=seed, options=options)
        except (Exception, SystemExit) as error:
            raise EnvironmentFailure(f"{self.name} raised {type(error).__name__} in reset: {error}") from error
        return self._copied(obs), info

    def step(self, action: object) -> tuple[object, float, bool, bool, Infos]:
        try:
            obs, reward, terminated, truncated, info = self.env.step(action)
            reward, terminated, truncated = float(reward), bool(terminated), bool(truncated)
        except (Exception, SystemExit) as error:
            raise EnvironmentFailure(f"{self.name} raised {type(error).__name__} in step: {error}") from error
        # the automatic reset that may follow would overwrite a reused buffer: copy the observation now
        return self._copied(obs), reward, terminated, truncated, info

    def _copied(self, obs: object) -> object:
        return deepcopy(obs) if self._space is None else np.array(self.fitting(obs), copy=True)

    def fitting(self, obs: object) -> Array:
        """A flat observation as an array. Raises EnvironmentFailure if it is not of its space's form.

        Without this, NumPy would repeat what is too short, and cut 0.7 to 0 where the space has integers.
        """
        row, space = np.asarray(obs), cast(Flat, self._space)
        if row.shape != space.shape or not np.can_cast(row.dtype, space.dtype, "same_kind"):
            raise EnvironmentFailure(
                f"{self.name} returned an observation of shape {row.shape} and type {row.dtype}; its space is "
                f"{brief(space)}"
            )
        return row

    @property
    def snapshot(self) -> list[dict[str, Encoded]] | None:
        return capture(self.env)

    @snapshot.setter
    def snapshot(self, layers: list[dict[str, Encoded]]) -> None:
        restore(self.env, layers)


class Rows(SyncVectorEnv):
    """Environments of one flat Box or Discrete observation space, stepped in turn, each behind a `Boundary`.

    `step` returns new arrays every time, and the true successors as `infos["next_obs"]`, beside what SyncVectorEnv has.
    """

    def __init__(self, envs: Sequence[Boundary]) -> None:
        super().__init__([partial(_same, env) for env in envs], copy=False, autoreset_mode=AutoresetMode.SAME_STEP)
        self._bounded = list(envs)
        self._bare = [env.env for env in envs]
        self._form = self.single_observation_space.shape, self.single_observation_space.dtype
        self._scalars = self.single_action_space.shape == () and isinstance(self.single_action_space, gym.spaces.Box)

    def step(self, actions: Array) -> tuple[Array, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], Infos]:
        obs, (shape, dtype) = np.empty_like(self._observations), self._form
        reward, terminated, truncated = [], [], []
        infos: Infos = {}
        final: dict[int, Array] = {}
        given = [np.asarray(action) for action in actions] if self._scalars else actions
        for i, env in enumerate(self._bare):
            try:
                row, r, over, cut, info = env.step(given[i])
                reward.append(float(r))
                terminated.append(bool(over))
                truncated.append(bool(cut))
            except (Exception, SystemExit) as error:
                name = self._bounded[i].name
                raise EnvironmentFailure(f"{name} raised {type(error).__name__} in step: {error}") from error
            good = type(row) is np.ndarray and row.dtype is dtype and row.shape == shape
            obs[i] = row if good else self._bounded[i].fitting(row)
            if over or cut:
                final[i] = obs[i].copy()
                infos = self._add_info(infos, {"final_obs": final[i], "final_info": info}, i)
                obs[i], info = self._bounded[i].reset()
            if info:
                infos = self._add_info(infos, info, i)
        self._env_obs = list(obs)  # for a reset of some
        next_obs = obs
        if final:
            next_obs = obs.copy()
            for i, row in final.items():
                next_obs[i] = row
        infos["next_obs"] = next_obs
        return obs, np.array(reward), np.array(terminated), np.array(truncated), infos

    def _add_info(self, vector_infos: Infos, env_info: Infos, env_num: int) -> Infos:
        return merged(super()._add_info, vector_infos, env_info, env_num, self.num_envs)


def merged(add: Callable[[Infos, Infos, int], Infos], infos: Infos, info: Infos, i: int, count: int) -> Infos:
    """The infos of `count` environments with that of environment i, as `add`, Gymnasium's own, puts it in.

    A value that does not fit into the array made for another environment's makes it an array of objects.
    """
    try:
        return add(infos, info, i)
    except _MISFITS:
        for key, value in info.items():
            try:
                add(infos, {key: value}, i)
            except _MISFITS:
                found, mask = infos.get(key), infos.get(f"_{key}")
                values, given = np.full(count, None, object), np.zeros(count, bool)
                if isinstance(found, np.ndarray) and isinstance(mask, np.ndarray):
                    for j in np.flatnonzero(mask):
                        values[j], given[j] = found[j], True
                values[i], given[i] = value, True
                infos[key], infos[f"_{key}"] = values, given
        return infos


def bounded(env: Copy, i: int, name: str) -> Boundary:
    return env if isinstance(env, Boundary) else Boundary(env, f"environment {i} ({name})")


def _same(env: Boundary) -> gym.Env[object, object]:
    return cast(Copy, env)


def flattened(env: gym.Env[object, object]) -> gym.Env[object, object]:
    """With observations as they are if they are Box or Discrete, and else in one row."""
    return env if is_flat(env.observation_space) else gym.wrappers.FlattenObservation(env)


class Flattened(VectorWrapper):
    """What Gymnasium's vector FlattenObservation is, which cannot be used in SAME_STEP mode."""

    def __init__(self, env: VectorEnv) -> None:
        super().__init__(env)
        self.space = cast(Space, env.single_observation_space)
        self.single_observation_space = spaces.flatten_space(self.space)
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)

    def reset(self, *, seed: int | list[int | None] | None = None, options: Infos | None = None) -> tuple[Array, Infos]:
        obs, infos = self.env.reset(seed=cast("int | None", seed), options=options)
        return batched(self.space, obs)[0], infos

    def step(self, actions: Array) -> tuple[Array, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], Infos]:
        obs, reward, terminated, truncated, infos = self.env.step(actions)
        if "final_obs" in infos:
            rows = [None if row is None else batched(self.space, row)[0][0] for row in infos["final_obs"]]
            final = np.empty(len(rows), object)
            final[:] = rows
            infos = infos | {"final_obs": final}
        return batched(self.space, obs)[0], reward, terminated, truncated, infos
