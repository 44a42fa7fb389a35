"""Save, load with another learning rate, train on."""

from pathlib import Path
from tempfile import TemporaryDirectory

import gymnasium as gym
from stable_baselines3.common.evaluation import evaluate_policy

from agents import A2C


def main(seed: int = 0, steps: int = 8_000, episodes: int = 5) -> float:
    env = gym.make("CartPole-v1")
    model = A2C(env, n_steps=5, seed=seed)
    model.learn(steps // 2)
    with TemporaryDirectory() as folder:
        model.save(Path(folder) / "a2c_cartpole")
        del model
        model = A2C.load(Path(folder) / "a2c_cartpole", env=env, learning_rate=3e-4)
    model.learn(steps // 2, reset_num_timesteps=False)
    mean, _ = evaluate_policy(model, gym.make("CartPole-v1"), n_eval_episodes=episodes, warn=False)
    return mean


if __name__ == "__main__":
    print(main())
