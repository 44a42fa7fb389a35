"""The experiments of docs/extending.md: short, accepted by mypy, and equal to what theory predicts.

mypy also accepts the examples of docs/hooks.md.

`test_agent.py` runs them, like every example in the documents.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from agents import A2C
from agents.rollout import Rollout, collect
from tests import ROOT

TEXT = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
HOOKS = (ROOT / "docs/hooks.md").read_text(encoding="utf-8")
BLOCKS, OF_HOOKS = (re.findall(r"```python\n(.*?)```", text, re.DOTALL) for text in (TEXT, HOOKS))


def defined(name: str) -> Any:
    """A class of the document, without the training at the end of its example."""
    [block] = [block for block in BLOCKS if f"class {name}(" in block]
    names: dict[str, Any] = {}
    exec(block.split("\n\n\nagent = ")[0], names)
    return names[name]


def parameters(agent: A2C) -> Tensor:
    return torch.cat([p.detach().flatten() for network in agent.networks for p in network.parameters()])


def rollout_of(agent: A2C, steps: int = 24) -> Rollout:
    obs, _ = agent.worlds.reset()
    rollout, _, _ = collect(agent.worlds, agent, obs, steps, 0)
    assert rollout.terminated.any()
    assert rollout.truncated.any()
    return rollout


def moved(agent: A2C) -> A2C:
    """The agent after its policy has moved away from the policy that acted."""
    with torch.no_grad():
        agent.policy.net[-1].bias += torch.tensor([0.5, -0.5])
    return agent


@pytest.mark.slow
def test_mypy_accepts_them(tmp_path: Path) -> None:
    files = []
    for number, block in enumerate([*BLOCKS, *OF_HOOKS]):
        files.append(tmp_path / f"experiment_{number}.py")
        files[-1].write_text(block, encoding="utf-8")
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", *map(str, files)], cwd=ROOT, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout


def test_they_are_short_and_public() -> None:
    assert len(BLOCKS) >= 5
    for block in BLOCKS:
        assert len(block.splitlines()) < 60
        assert not re.search(r"[.\s]_(?!replace)[a-z]", block), "public names only"
        assert max(map(len, block.splitlines())) <= 120


def test_v_trace_on_policy_is_gae() -> None:
    """ρ = 1: the targets are λ-returns with λ = 1."""
    settings: dict[str, Any] = {"seed": 1, "num_envs": 3, "n_steps": 24, "max_episode_steps": 11, "engine": "torch"}
    agent, reference = defined("VTrace")("CartPole-v1", **settings), A2C("CartPole-v1", **settings)
    rollout = rollout_of(reference)
    for ours, theirs in zip(agent.estimate(rollout), reference.estimate(rollout), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_v_trace_off_policy() -> None:
    """The sum in its definition, term by term."""
    agent = defined("VTrace")("CartPole-v1", seed=1, num_envs=3, max_episode_steps=11)
    rollout = rollout_of(agent)
    moved(agent)
    advantage, target = (x.double() for x in agent.estimate(rollout))
    with torch.no_grad():
        x, x_next = rollout.obs, rollout.next_obs
        v, v_next = agent.value(x).double(), agent.value(x_next).double()
        now, before = agent.policy(x), agent.policy.distribution(rollout.behavior)
        ratio = (now.log_prob(rollout.action) - before.log_prob(rollout.action)).exp().double()
    rho, gamma = ratio.clamp(max=1.0), agent.gamma
    assert (ratio > 1).any()
    assert (ratio < 1).any()
    delta = rho * (rollout.reward + gamma * ~rollout.terminated * v_next - v)
    for i in range(3):
        for t in range(24):
            expected, weight = v[t, i].clone(), torch.ones((), dtype=torch.float64)
            for k in range(t, 24):
                expected += weight * delta[k, i]
                weight = weight * gamma * rho[k, i]
                if rollout.ended[k, i]:
                    break
            torch.testing.assert_close(target[t, i], expected, rtol=1e-4, atol=1e-4)
            after = v_next[t, i] if rollout.ended[t, i] or t == 23 else target[t + 1, i]
            wanted = rho[t, i] * (rollout.reward[t, i] + gamma * ~rollout.terminated[t, i] * after - v[t, i])
            torch.testing.assert_close(advantage[t, i], wanted, rtol=1e-4, atol=1e-4)


def test_the_clipped_objective_on_policy_has_the_gradient_of_a2c() -> None:
    settings: dict[str, Any] = {"seed": 1, "num_envs": 3, "max_episode_steps": 11, "engine": "torch"}
    agent, reference = (
        defined("Clipped")("CartPole-v1", n_epochs=1, n_steps=24, **settings),
        A2C("CartPole-v1", **settings),
    )
    rollout = rollout_of(reference)
    agent.update(rollout)
    reference.update(rollout)
    torch.testing.assert_close(parameters(agent), parameters(reference), rtol=0, atol=1e-6)


def test_the_clipped_objective_off_policy() -> None:
    agent = defined("Clipped")("CartPole-v1", seed=1, num_envs=3, max_episode_steps=11)
    rollout = rollout_of(agent)
    moved(agent)
    pi = agent.policy(rollout.obs)
    before = agent.policy.distribution(rollout.behavior)
    ratio = (pi.log_prob(rollout.action) - before.log_prob(rollout.action)).exp().detach()
    advantage = torch.where(torch.arange(ratio.numel()).reshape(ratio.shape) % 2 == 0, 1.0, -1.0)
    expected = [
        -min(r * a, min(max(r, 0.8), 1.2) * a)
        for r, a in zip(ratio.flatten().tolist(), advantage.flatten().tolist(), strict=True)
    ]
    loss = float(agent.policy_loss(rollout, pi, advantage).detach())
    assert loss == pytest.approx(sum(expected) / len(expected), rel=1e-5)
    assert min(ratio.flatten().tolist()) < 0.8


def test_the_anchor_is_saved(tmp_path: Path) -> None:
    anchored = defined("Anchored")
    agent = anchored("CartPole-v1", seed=2, anchor_coef=10.0).learn(256)
    other = anchored("CartPole-v1", seed=3)
    other.load_state_dict(agent.state_dict())
    for p, q in zip(other.anchor.parameters(), agent.anchor.parameters(), strict=True):
        assert torch.equal(p, q)
    free = anchored("CartPole-v1", seed=2, anchor_coef=0.0).learn(256)
    assert not torch.equal(parameters(free), parameters(agent))
