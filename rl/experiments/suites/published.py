"""Scores published by rl-baselines3-zoo for Stable-Baselines3's A2C and PPO with tuned hyper-parameters.

A published score is one run: its trained model plays for 150,000 steps (Atari: 600,000), and the mean return and its
standard deviation over episodes are reported. Actions are deterministic except in Atari. MuJoCo is version 3 there
and 5 here, LunarLander 2 there and 3 here, Pong without repeated actions there and ALE/Pong-v5 here.
Source: https://github.com/DLR-RM/rl-baselines3-zoo/blob/61a0d1349fa98ff3ee371c70cb4f1f45ec29f5b0/benchmark.md
"""

from typing import NamedTuple

from numpy.typing import ArrayLike

from rl.experiments.statistics import Scores, normalized


class Published(NamedTuple):
    """rl-baselines3-zoo's result in one environment."""

    env: str  # its id in rl-baselines3-zoo
    mean: float  # mean return
    std: float  # over the model's episodes
    timesteps: int  # training steps
    deterministic: bool = True  # actions of the evaluation

    def normalize(self, scores: ArrayLike, random: float | None) -> Scores | None:
        """Scores scaled so that uniformly random actions are 0 and this result is 1. None if the score of random
        actions is unknown, or if this result exceeds it by less than one standard deviation: the unit would be noise,
        as in Ant."""
        if random is None or self.mean - random <= self.std:
            return None
        return normalized(scores, random, self.mean)


PUBLISHED = {
    "CartPole-v1": Published("CartPole-v1", 500.000, 0.000, 500_000),
    "Acrobot-v1": Published("Acrobot-v1", -83.353, 17.213, 500_000),
    "MountainCar-v0": Published("MountainCar-v0", -111.263, 24.087, 1_000_000),
    "MountainCarContinuous-v0": Published("MountainCarContinuous-v0", 91.166, 0.255, 100_000),
    "Pendulum-v1": Published("Pendulum-v1", -162.965, 103.210, 1_000_000),
    "LunarLander-v3": Published("LunarLander-v2", 155.751, 80.419, 200_000),
    "LunarLanderContinuous-v3": Published("LunarLanderContinuous-v2", 84.225, 145.906, 5_000_000),
    "BipedalWalker-v3": Published("BipedalWalker-v3", 299.754, 23.459, 5_000_000),
    "Swimmer-v5": Published("Swimmer-v3", 200.627, 2.544, 1_000_000),
    "Hopper-v5": Published("Hopper-v3", 733.454, 376.574, 1_000_000),
    "HalfCheetah-v5": Published("HalfCheetah-v3", 3041.174, 157.265, 1_000_000),
    "Walker2d-v5": Published("Walker2d-v3", 581.835, 127.597, 1_000_000),
    "Ant-v5": Published("Ant-v3", -44.023, 63.206, 1_000_000),
    "Humanoid-v5": Published("Humanoid-v3", 388.321, 92.652, 2_000_000),
    "ALE/Pong-v5": Published("PongNoFrameskip-v4", 17.292, 3.214, 10_000_000, deterministic=False),
}  # our id → result

PUBLISHED_PPO = {
    "CartPole-v1": Published("CartPole-v1", 500.000, 0.000, 100_000),
    "Acrobot-v1": Published("Acrobot-v1", -73.506, 18.201, 1_000_000),
    "MountainCar-v0": Published("MountainCar-v0", -110.423, 19.473, 1_000_000),
    "MountainCarContinuous-v0": Published("MountainCarContinuous-v0", 88.343, 2.572, 20_000),
    "Pendulum-v1": Published("Pendulum-v1", -172.225, 104.159, 100_000),
    "LunarLander-v3": Published("LunarLander-v2", 242.119, 31.823, 1_000_000),
    "LunarLanderContinuous-v3": Published("LunarLanderContinuous-v2", 270.863, 32.072, 1_000_000),
    "BipedalWalker-v3": Published("BipedalWalker-v3", 287.939, 2.448, 5_000_000),
    "Swimmer-v5": Published("Swimmer-v3", 281.561, 9.671, 1_000_000),
    "Hopper-v5": Published("Hopper-v3", 2410.435, 10.026, 1_000_000),
    "HalfCheetah-v5": Published("HalfCheetah-v3", 5819.099, 663.530, 1_000_000),
    "Walker2d-v5": Published("Walker2d-v3", 3478.798, 821.708, 1_000_000),
    "Ant-v5": Published("Ant-v3", 1327.158, 451.577, 1_000_000),
    "ALE/Pong-v5": Published("PongNoFrameskip-v4", 20.989, 0.105, 10_000_000, deterministic=False),
}  # PPO; Humanoid has none
