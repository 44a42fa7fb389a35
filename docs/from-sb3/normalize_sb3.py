"""Normalized observations and rewards, with the statistics saved beside the model."""

from pathlib import Path
from tempfile import TemporaryDirectory

from stable_baselines3 import A2C
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecNormalize


def main(seed: int = 0, steps: int = 20_000, episodes: int = 5) -> float:
    env = VecNormalize(make_vec_env("Pendulum-v1", n_envs=8, seed=seed), gamma=0.9)
    model = A2C("MlpPolicy", env, gamma=0.9, gae_lambda=0.9, seed=seed)
    model.learn(steps)
    with TemporaryDirectory() as folder:
        model.save(Path(folder) / "a2c_pendulum")
        env.save(str(Path(folder) / "statistics.pkl"))
        env = VecNormalize.load(str(Path(folder) / "statistics.pkl"), make_vec_env("Pendulum-v1"))
        env.training, env.norm_reward = False, False
        model = A2C.load(Path(folder) / "a2c_pendulum")
    mean, _ = evaluate_policy(model, env, n_eval_episodes=episodes, warn=False)
    return mean


if __name__ == "__main__":
    print(main())
