"""Stable-Baselines3's vector environment, with the seeds that our worlds use."""

from collections.abc import Sequence
from functools import partial

import gymnasium as gym
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from envs import Variant, builder
from envs.backends.base import Infos
from envs.build import AnyEnv


class SeededReset(gym.Wrapper[object, object, object, object]):
    """The first reset uses this seed, whatever seed is passed; later resets continue the random stream."""

    def __init__(self, env: AnyEnv, seed: int) -> None:
        super().__init__(env)
        self._seed: int | None = seed

    def reset(self, *, seed: int | None = None, options: Infos | None = None) -> tuple[object, Infos]:
        seed, self._seed = self._seed, None
        return self.env.reset(seed=seed, options=options)


def seeded_envs(env_id: str, seeds: Sequence[int], variant: Variant) -> DummyVecEnv:
    """SB3's DummyVecEnv of environments in SB3's Monitor; environment i starts with seeds[i].

    SB3 itself would seed environment i with seed + i.
    """
    build, _ = builder(env_id, len(seeds), variant)

    def monitored(seed: int) -> AnyEnv:
        return Monitor(SeededReset(build(), seed))

    return DummyVecEnv([partial(monitored, seed) for seed in seeds])
