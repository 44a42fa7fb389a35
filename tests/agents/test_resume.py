"""Training interrupted at random and resumed writes the same checkpoint, byte for byte, as uninterrupted training."""

from pathlib import Path

import numpy as np
import pytest

from agents import registry
from agents.agent import Agent


def saved(agent: Agent, path: Path) -> bytes:
    """The checkpoint, without training time."""
    agent.loop.seconds = 0.0
    return agent.save(path).read_bytes()


@pytest.mark.parametrize("engine", ["torch", "fused"])
@pytest.mark.parametrize("name", ["a2c", "stream"])
@pytest.mark.parametrize("env_id", ["LunarLander-v3", "HalfCheetah-v5"])
def test_interrupted_training_writes_the_same_file(
    env_id: str, name: str, engine: str, long: bool, tmp_path: Path
) -> None:
    (total, limit), rng = (60_000, None) if long else (400, 90), np.random.default_rng(0)
    chosen = {"seed": 3, "num_envs": 1 if name == "stream" else 4, "engine": engine, "max_episode_steps": limit}
    agent = registry.build(name, env_id, chosen)
    whole = saved(agent.learn(total), tmp_path / "whole")
    part = registry.build(name, env_id, agent.settings)
    for step in [*np.sort(rng.choice(total, 5, replace=False)).tolist(), total]:
        part.learn(step - part.loop.step)
        part.save(tmp_path / "part")
        part.worlds.close()
        part = registry.load(tmp_path / "part")
        assert part.loop.exact
    assert part.loop.step == total
    assert saved(part, tmp_path / "part") == whole


def test_training_resumes_before_its_first_step(tmp_path: Path) -> None:
    """With too few steps for the environments, which were reset for them."""
    whole, part = (registry.build("a2c", "CartPole-v1", {}) for _ in range(2))
    part.learn(3).save(tmp_path / "part")
    part = registry.load(tmp_path / "part")
    assert (part.loop.step, part.loop.exact) == (0, True)
    assert saved(part.learn(400), tmp_path / "part") == saved(whole.learn(400), tmp_path / "whole")
