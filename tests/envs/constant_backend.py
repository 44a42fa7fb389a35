"""A backend in one class: one-step environments with reward 1, without any Python environment."""

from typing import ClassVar, Self

import numpy as np
from gymnasium import spaces

from envs.backends.base import BackendEnv, Infos, Request, StepResult
from envs.spaces import Array


class ConstantBackend(BackendEnv):
    backend = "constant"
    evaluate_on: ClassVar[str] = "constant"

    def __init__(self, count: int) -> None:
        self.set_spaces(count, spaces.Box(-1.0, 1.0, (1,), np.float32), spaces.Discrete(2))

    @classmethod
    def build(cls, request: Request) -> Self:
        return cls(request.count)

    def reset(self, *, seed: object = None, options: Infos | None = None) -> tuple[Array, Infos]:
        return np.zeros((self.num_envs, 1), np.float32), {}

    def step(self, actions: Array) -> StepResult:
        obs, ended = np.zeros((self.num_envs, 1), np.float32), np.ones(self.num_envs, bool)
        return obs, np.ones(self.num_envs), ended, ~ended, {"next_obs": obs.copy()}
