"""The coefficients of A2C, and Adam in place of RMSprop."""

import gymnasium as gym
from stable_baselines3 import A2C
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy


def main(seed: int = 0, steps: int = 20_000, episodes: int = 5) -> float:
    env = make_vec_env("Acrobot-v1", n_envs=8, seed=seed)
    model = A2C(
        "MlpPolicy",
        env,
        learning_rate=1e-3,
        n_steps=16,
        gamma=0.98,
        gae_lambda=0.9,
        ent_coef=0.01,
        vf_coef=0.4,
        max_grad_norm=1.0,
        use_rms_prop=False,
        normalize_advantage=True,
        seed=seed,
        device="cpu",
    )
    model.learn(steps)
    mean, _ = evaluate_policy(model, gym.make("Acrobot-v1"), n_eval_episodes=episodes, warn=False)
    return mean


if __name__ == "__main__":
    print(main())
