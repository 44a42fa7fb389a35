"""Environments in parallel, and another environment to evaluate on."""

import gymnasium as gym
from stable_baselines3 import A2C
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy


def main(seed: int = 0, steps: int = 20_000, episodes: int = 5) -> float:
    env = make_vec_env("CartPole-v1", n_envs=8, seed=seed)
    model = A2C("MlpPolicy", env, gamma=0.98, ent_coef=0.01, seed=seed)
    model.learn(total_timesteps=steps)
    mean, _ = evaluate_policy(model, gym.make("CartPole-v1"), n_eval_episodes=episodes, warn=False)
    return mean


if __name__ == "__main__":
    print(main())
