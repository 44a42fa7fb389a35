"""A callback that stops training once the latest 20 episodes pay 150 on average."""

from collections import deque

import gymnasium as gym
from stable_baselines3.common.evaluation import evaluate_policy

from agents import A2C
from agents.hooks import Status


class StopAt:
    def __init__(self, goal: float) -> None:
        self.goal = goal
        self.returns: deque[float] = deque(maxlen=20)

    def __call__(self, status: Status) -> bool:
        for episode in status.episodes:
            self.returns.append(episode.ret)
        return len(self.returns) < 20 or sum(self.returns) / 20 < self.goal


def main(seed: int = 0, steps: int = 20_000, episodes: int = 5) -> float:
    model = A2C("CartPole-v1", num_envs=8, n_steps=5, seed=seed)
    model.learn(steps, hooks=[StopAt(150)])
    mean, _ = evaluate_policy(model, gym.make("CartPole-v1"), n_eval_episodes=episodes, warn=False)
    return mean


if __name__ == "__main__":
    print(main())
