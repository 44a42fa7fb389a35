"""`Flattened`: a vector environment of structured observations, one row an environment."""

from typing import cast

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from envs.spaces import Array, Space, batched, is_flat

Infos = dict[str, object]


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
