"""A learning rate that is a function of the share of training that remains."""

from collections.abc import Callable

import gymnasium as gym
from stable_baselines3.common.evaluation import evaluate_policy

from agents import A2C


def quadratic(initial: float) -> Callable[[float], float]:
    def rate(progress_remaining: float) -> float:
        return initial * progress_remaining**2

    return rate


def main(seed: int = 0, steps: int = 20_000, episodes: int = 5) -> float:
    model = A2C("CartPole-v1", num_envs=8, n_steps=5, learning_rate=quadratic(2e-3), seed=seed)
    model.learn(steps)
    mean, _ = evaluate_policy(model, gym.make("CartPole-v1"), n_eval_episodes=episodes, warn=False)
    return mean


if __name__ == "__main__":
    print(main())
