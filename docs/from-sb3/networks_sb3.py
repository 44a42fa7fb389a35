"""Networks of different widths for policy and value, other activations, other initial weights."""

import gymnasium as gym
from stable_baselines3 import A2C
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from torch import nn


def main(seed: int = 0, steps: int = 20_000, episodes: int = 5) -> float:
    env = make_vec_env("CartPole-v1", n_envs=8, seed=seed)
    model = A2C(
        "MlpPolicy",
        env,
        seed=seed,
        policy_kwargs={
            "net_arch": {"pi": [32], "vf": [64, 64]},
            "activation_fn": nn.ELU,
            "ortho_init": False,
        },
    )
    model.learn(steps)
    mean, _ = evaluate_policy(model, gym.make("CartPole-v1"), n_eval_episodes=episodes, warn=False)
    return mean


if __name__ == "__main__":
    print(main())
