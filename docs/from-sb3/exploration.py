"""Continuous actions with state-dependent exploration."""

import gymnasium as gym
from stable_baselines3.common.evaluation import evaluate_policy

from agents import A2C


def main(seed: int = 0, steps: int = 10_000, episodes: int = 5) -> float:
    model = A2C("Pendulum-v1", num_envs=8, n_steps=5, gamma=0.9, use_sde=True, sde_sample_freq=4, seed=seed)
    model.learn(steps)
    mean, _ = evaluate_policy(model, gym.make("Pendulum-v1"), n_eval_episodes=episodes, warn=False)
    return mean


if __name__ == "__main__":
    print(main())
