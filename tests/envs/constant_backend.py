"""A backend in one class: one-step environments with reward 1, without any Python environment."""

from typing import ClassVar, Self

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from envs.backends.base import BackendEnv, Infos, Request, StepResult
from envs.spaces import Array


class ConstantBackend(BackendEnv):
    backend = "constant"
    evaluate_on: ClassVar[str] = "constant"

    def __init__(self, count: int) -> None:
        self.num_envs, self.metadata = count, {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space = self.env_obs_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.single_action_space = spaces.Discrete(2)
        self.observation_space = batch_space(self.single_observation_space, count)
        self.action_space = batch_space(self.single_action_space, count)

    @classmethod
    def build(cls, request: Request) -> Self:
        return cls(request.count)

    @classmethod
    def gives_masks(cls, request: Request) -> bool | None:
        return False

    def reset(self, *, seed: object = None, options: Infos | None = None) -> tuple[Array, Infos]:
        return np.zeros((self.num_envs, 1), np.float32), {}

    def step(self, actions: Array) -> StepResult:
        obs, ended = np.zeros((self.num_envs, 1), np.float32), np.ones(self.num_envs, bool)
        return obs, np.ones(self.num_envs), ended, ~ended, {"next_obs": obs.copy()}
