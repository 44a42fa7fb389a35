"""Stable-Baselines3's A2C learns through our hooks."""

import pytest

from agents import A2C
from agents.evaluation import evaluate
from agents.events import Status
from agents.sb3 import build, from_sb3
from rl.experiments.sb3_training import learn


def test_sb3_learns_through_our_hooks() -> None:
    seen: list[Status] = []

    def hook(status: Status) -> bool:
        seen.append(status)
        return status.iteration < 30

    model = build(A2C("CartPole-v1", num_envs=2, n_steps=5))
    seconds = learn(model, 1_000, [hook])
    assert [status.step for status in seen] == [10 * i for i in range(1, 31)]
    assert seconds == pytest.approx(seen[-1].seconds, abs=0.05)
    assert all(0 < float(status.metrics["train/policy_shift_kl"]) < 0.1 for status in seen)
    assert 0.6 < float(seen[0].metrics["train/entropy"]) < 0.7
    episodes = [episode for status in seen for episode in status.episodes]
    assert episodes
    assert sum(episode.length for episode in episodes) <= 300
    agent = from_sb3(model)
    assert evaluate(agent, "CartPole-v1", 5).returns.min() > 5
