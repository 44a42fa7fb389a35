"""Observations that are a Dict."""

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from stable_baselines3 import A2C
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy


class Choose(gym.Env):
    """Pays 1 for the action that `target` names while `sign` is 1, and for the other one while it is 0."""

    def __init__(self) -> None:
        self.observation_space = spaces.Dict({"target": spaces.Discrete(2), "sign": spaces.Box(0, 1, (1,), np.float32)})
        self.action_space = spaces.Discrete(2)

    def observe(self) -> dict[str, object]:
        self.target, self.sign = (int(x) for x in self.np_random.integers(2, size=2))
        return {"target": self.target, "sign": np.array([self.sign], np.float32)}

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[dict[str, object], dict]:
        super().reset(seed=seed)
        self.time = 0
        return self.observe(), {}

    def step(self, action: int) -> tuple[dict[str, object], float, bool, bool, dict]:
        right = (action == self.target) == (self.sign == 1)
        self.time += 1
        return self.observe(), float(right), False, self.time == 20, {}


def main(seed: int = 0, steps: int = 8_000, episodes: int = 5) -> float:
    env = make_vec_env(Choose, n_envs=4, seed=seed)
    model = A2C("MultiInputPolicy", env, gamma=0.5, seed=seed)
    model.learn(steps)
    mean, _ = evaluate_policy(model, Choose(), n_eval_episodes=episodes, deterministic=False, warn=False)
    return mean


if __name__ == "__main__":
    print(main())
