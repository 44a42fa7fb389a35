"""A callback that stops training once the latest 20 episodes pay 150 on average."""

from collections import deque

import gymnasium as gym
from stable_baselines3 import A2C
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy


class StopAt(BaseCallback):
    def __init__(self, goal: float) -> None:
        super().__init__()
        self.goal = goal
        self.returns: deque[float] = deque(maxlen=20)

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self.returns.append(info["episode"]["r"])
        return len(self.returns) < 20 or sum(self.returns) / 20 < self.goal


def main(seed: int = 0, steps: int = 20_000, episodes: int = 5) -> float:
    env = make_vec_env("CartPole-v1", n_envs=8, seed=seed)
    model = A2C("MlpPolicy", env, seed=seed)
    model.learn(steps, callback=StopAt(150))
    mean, _ = evaluate_policy(model, gym.make("CartPole-v1"), n_eval_episodes=episodes, warn=False)
    return mean


if __name__ == "__main__":
    print(main())
