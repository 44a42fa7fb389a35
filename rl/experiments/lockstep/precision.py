"""float64 for our agent and SB3's networks, also where SB3 casts to float32."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.vec_env import VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from agents.sb3.model import Model


@contextmanager
def double_precision() -> Iterator[None]:
    """Makes float64 torch's default type, which our agent and SB3's networks use."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def keep_double(model: Model) -> None:
    """Keeps float64 where SB3 casts to float32 (observations, rewards, returns). model: untrained."""
    buffer = model.rollout_buffer
    model.rollout_buffer = _DoubleBuffer(
        buffer.buffer_size, buffer.observation_space, buffer.action_space, buffer.device, buffer.gae_lambda,
        buffer.gamma, buffer.n_envs,
    )  # fmt: skip
    assert model.env is not None
    model.env = _DoubleRewards(model.env)
    model.policy.features_extractor.register_forward_hook(lambda module, inputs, out: out.double())


class _DoubleBuffer(RolloutBuffer):
    def reset(self) -> None:
        super().reset()
        for name in ("values", "rewards", "returns", "advantages", "log_probs", "episode_starts"):
            setattr(self, name, getattr(self, name).astype(np.float64))


class _DoubleRewards(VecEnvWrapper):
    def reset(self) -> VecEnvObs:
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        obs, reward, done, infos = self.venv.step_wait()
        return obs, reward.astype(np.float64), done, infos
