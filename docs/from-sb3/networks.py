"""Networks of different widths for policy and value, other activations, other initial weights."""

import gymnasium as gym
from stable_baselines3.common.evaluation import evaluate_policy

from agents import A2C


def main(seed: int = 0, steps: int = 20_000, episodes: int = 5) -> float:
    model = A2C(
        "CartPole-v1",
        num_envs=8,
        n_steps=5,
        seed=seed,
        net_arch={"pi": [32], "vf": [64, 64]},
        activation="elu",
        ortho_init=False,
    )
    model.learn(steps)
    mean, _ = evaluate_policy(model, gym.make("CartPole-v1"), n_eval_episodes=episodes, warn=False)
    return mean


if __name__ == "__main__":
    print(main())
