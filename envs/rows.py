"""`Rows`: Gymnasium's `SyncVectorEnv` in SAME_STEP mode, stepped with less around the environments' own steps."""

from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from typing import cast

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.typing import NDArray

from envs.errors import EnvironmentFailure
from envs.snapshot import Encoded, capture, restore

Array = NDArray[np.generic]
Infos = dict[str, object]
Copy = gym.Env[object, object]


class Boundary(gym.Wrapper[object, object, object, object]):
    """The innermost side of the boundary: one environment, which may reuse its buffers and may raise."""

    def __init__(self, env: Copy, name: str) -> None:
        super().__init__(env)
        self.name = name

    def reset(self, *, seed: int | None = None, options: Infos | None = None) -> tuple[object, Infos]:
        try:
            obs, info = self.env.reset(seed=seed, options=options)
        except (Exception, SystemExit) as error:
            raise EnvironmentFailure(f"{self.name} raised {type(error).__name__} in reset: {error}") from error
        return _copied(obs), info

    def step(self, action: object) -> tuple[object, float, bool, bool, Infos]:
        try:
            obs, reward, terminated, truncated, info = self.env.step(action)
        except (Exception, SystemExit) as error:
            raise EnvironmentFailure(f"{self.name} raised {type(error).__name__} in step: {error}") from error
        # the automatic reset that may follow would overwrite a reused buffer: copy the observation now
        return _copied(obs), float(reward), bool(terminated), bool(truncated), info

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
        self._scalars = self.single_action_space.shape == () and isinstance(self.single_action_space, gym.spaces.Box)

    def step(self, actions: Array) -> tuple[Array, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], Infos]:
        obs = np.empty_like(self._observations)
        reward, terminated, truncated = [], [], []
        infos: Infos = {}
        final: dict[int, Array] = {}
        given = [np.asarray(action) for action in actions] if self._scalars else actions
        for i, env in enumerate(self._bare):
            try:
                obs[i], r, over, cut, info = env.step(given[i])
            except (Exception, SystemExit) as error:
                name = self._bounded[i].name
                raise EnvironmentFailure(f"{name} raised {type(error).__name__} in step: {error}") from error
            reward.append(float(r))
            terminated.append(bool(over))
            truncated.append(bool(cut))
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


def bounded(env: Copy, i: int, name: str) -> Boundary:
    return env if isinstance(env, Boundary) else Boundary(env, f"environment {i} ({name})")


def _copied(obs: object) -> object:
    return deepcopy(obs) if isinstance(obs, dict | tuple) else np.array(obs, copy=True)


def _same(env: Boundary) -> gym.Env[object, object]:
    return cast(Copy, env)
