"""A learning rate that is a function of the share of training that remains."""

from collections.abc import Callable

import gymnasium as gym
from stable_baselines3 import A2C
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy


def quadratic(initial: float) -> Callable[[float], float]:
    def rate(progress_remaining: float) -> float:
        return initial * progress_remaining**2

    return rate


def main(seed: int = 0, steps: int = 20_000, episodes: int = 5) -> float:
    env = make_vec_env("CartPole-v1", n_envs=8, seed=seed)
    model = A2C("MlpPolicy", env, learning_rate=quadratic(2e-3), seed=seed)
    model.learn(steps)
    mean, _ = evaluate_policy(model, gym.make("CartPole-v1"), n_eval_episodes=episodes, warn=False)
    return mean


if __name__ == "__main__":
    print(main())
