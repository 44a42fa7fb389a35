"""Normalized observations and rewards, with the statistics saved beside the model."""

from pathlib import Path
from tempfile import TemporaryDirectory

import gymnasium as gym
from stable_baselines3.common.evaluation import evaluate_policy

from agents import A2C


def main(seed: int = 0, steps: int = 20_000, episodes: int = 5) -> float:
    normalized = {"normalize_observations": True, "normalize_rewards": True}
    model = A2C("Pendulum-v1", num_envs=8, n_steps=5, gamma=0.9, gae_lambda=0.9, seed=seed, **normalized)
    model.learn(steps)
    with TemporaryDirectory() as folder:
        model.save(Path(folder) / "a2c_pendulum")
        model = A2C.load(Path(folder) / "a2c_pendulum")
    mean, _ = evaluate_policy(model, gym.make("Pendulum-v1"), n_eval_episodes=episodes, warn=False)
    return mean


if __name__ == "__main__":
    print(main())
