"""`WorldsVecEnv`: our environments as a vector environment of Stable-Baselines3."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from envs import Worlds


class WorldsVecEnv(VecEnv):
    """N environments of `Worlds`, for SB3 to train in the same ones. Attributes and methods cannot be reached."""

    def __init__(self, worlds: Worlds) -> None:
        self.worlds, self._actions = worlds, np.zeros(0)
        super().__init__(worlds.num_envs, worlds.single_observation_space, worlds.single_action_space)

    def reset(self) -> VecEnvObs:
        obs: VecEnvObs = self.worlds.reset()[0]
        return obs

    def step_async(self, actions: NDArray[Any]) -> None:
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        obs, reward, terminated, truncated, found = self.worlds.step(self._actions)
        next_obs, infos = cast(NDArray[Any], found["next_obs"]), list[dict[str, Any]]({} for _ in range(self.num_envs))
        for i in np.flatnonzero(terminated | truncated):
            late = bool(truncated[i] and not terminated[i])
            infos[i] = {"terminal_observation": next_obs[i], "TimeLimit.truncated": late}
        return obs, reward.astype(np.float32), terminated | truncated, infos

    def close(self) -> None:
        self.worlds.close()

    def get_attr(self, attr_name: str, indices: object = None) -> list[Any]:
        return [None] * self.num_envs  # SB3 asks for render_mode

    def env_is_wrapped(self, wrapper_class: type, indices: object = None) -> list[bool]:
        return [False] * self.num_envs

    def set_attr(self, attr_name: str, value: object, indices: object = None) -> None:
        raise NotImplementedError

    def env_method(self, method_name: str, *args: object, indices: object = None, **kwargs: object) -> Sequence[Any]:  # type: ignore[override]
        raise NotImplementedError
