"""Environments in parallel, and another environment to evaluate on."""

import gymnasium as gym
from stable_baselines3.common.evaluation import evaluate_policy

from agents import A2C


def main(seed: int = 0, steps: int = 20_000, episodes: int = 5) -> float:
    model = A2C("CartPole-v1", num_envs=8, n_steps=5, gamma=0.98, ent_coef=0.01, seed=seed)
    model.learn(total_timesteps=steps)
    mean, _ = evaluate_policy(model, gym.make("CartPole-v1"), n_eval_episodes=episodes, warn=False)
    return mean


if __name__ == "__main__":
    print(main())
