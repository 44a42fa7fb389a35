"""Continuous actions with state-dependent exploration."""

import gymnasium as gym
from stable_baselines3 import A2C
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy


def main(seed: int = 0, steps: int = 10_000, episodes: int = 5) -> float:
    env = make_vec_env("Pendulum-v1", n_envs=8, seed=seed)
    model = A2C("MlpPolicy", env, gamma=0.9, use_sde=True, sde_sample_freq=4, seed=seed)
    model.learn(steps)
    mean, _ = evaluate_policy(model, gym.make("Pendulum-v1"), n_eval_episodes=episodes, warn=False)
    return mean


if __name__ == "__main__":
    print(main())
