"""An environment of one's own, checked, in copies."""

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from stable_baselines3 import A2C
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy


class GoLeft(gym.Env):
    """A corridor of 10 cells, whose left end pays 1; every step costs 0.02. It begins at the right end."""

    def __init__(self) -> None:
        self.observation_space = spaces.Box(0, 1, (1,), np.float32)
        self.action_space = spaces.Discrete(2)

    def observe(self) -> np.ndarray:
        return np.array([self.cell / 9], np.float32)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.cell, self.time = 9, 0
        return self.observe(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.cell = min(max(self.cell + (1 if action == 1 else -1), 0), 9)
        self.time += 1
        done = self.cell == 0
        return self.observe(), (1.0 if done else 0.0) - 0.02, done, self.time == 50, {}


def main(seed: int = 0, steps: int = 4_000, episodes: int = 5) -> float:
    check_env(GoLeft())
    env = make_vec_env(GoLeft, n_envs=4, seed=seed)
    model = A2C("MlpPolicy", env, seed=seed)
    model.learn(steps)
    mean, _ = evaluate_policy(model, GoLeft(), n_eval_episodes=episodes, deterministic=False, warn=False)
    return mean


if __name__ == "__main__":
    print(main())
