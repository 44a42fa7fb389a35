"""Images, seen by convolutions of one's own."""

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import A2C
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn


class Spot(gym.Env):
    """A bright spot on an image of 36 × 36 pixels; pays 1 for the side that it is on, for 10 images."""

    def __init__(self) -> None:
        self.observation_space = spaces.Box(0, 255, (36, 36, 1), np.uint8)
        self.action_space = spaces.Discrete(2)

    def observe(self) -> np.ndarray:
        self.row, self.column = (int(x) for x in self.np_random.integers(32, size=2))
        image = np.zeros((36, 36, 1), np.uint8)
        image[self.row : self.row + 4, self.column : self.column + 4] = 255
        return image

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.time = 0
        return self.observe(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        right = action == (self.column > 15)
        self.time += 1
        return self.observe(), float(right), False, self.time == 10, {}


class SmallCNN(BaseFeaturesExtractor):
    def __init__(self, observation_space: gym.Space, features_dim: int = 64) -> None:
        super().__init__(observation_space, features_dim)
        self.net = nn.Sequential(nn.Conv2d(1, 8, 8, 4), nn.ReLU(), nn.Flatten())
        self.last = nn.Sequential(nn.Linear(8 * 8 * 8, features_dim), nn.ReLU())

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        return self.last(self.net(observations))


def main(seed: int = 0, steps: int = 4_000, episodes: int = 5) -> float:
    env = make_vec_env(Spot, n_envs=4, seed=seed)
    model = A2C(
        "CnnPolicy",
        env,
        gamma=0.5,
        seed=seed,
        policy_kwargs={
            "features_extractor_class": SmallCNN,
            "features_extractor_kwargs": {"features_dim": 32},
            "net_arch": [],
        },
    )
    model.learn(steps)
    mean, _ = evaluate_policy(model, make_vec_env(Spot), n_eval_episodes=episodes, deterministic=False, warn=False)
    return mean


if __name__ == "__main__":
    print(main())
