"""Distillation and mutual learning with PPO: with one epoch of one minibatch, they equal those with A2C."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from agents import A2C
from agents.imitation.base import AgentWrapper
from agents.imitation.distill import Distill, DistillPPO
from agents.imitation.mutual import Mutual, MutualPPO
from agents.ppo import PPO
from agents.settings.values import ConfigError

ALIKE = {
    "use_rms_prop": True, "rms_prop_eps": 1e-5, "learning_rate": 7e-4, "gae_lambda": 0.95, "normalize_advantage": False,
    "num_envs": 4, "n_steps": 8, "net_arch": (8,), "ent_coef": 0.01, "max_policy_shift": 1e-3,
    "normalize_observations": True, "normalize_rewards": True,
}  # fmt: skip
Around = Callable[[A2C, tuple[str, ...]], AgentWrapper]
PAIRS: dict[str, tuple[Around, Around]] = {
    "distill": (lambda a, t: Distill(a, teachers=t), lambda a, t: DistillPPO(a, teachers=t)),
    "kickstart": (
        lambda a, t: Distill(a, teachers=t, rl_coef=0.5, distill_coef="linear(1,0)"),
        lambda a, t: DistillPPO(a, teachers=t, rl_coef=0.5, distill_coef="linear(1,0)"),
    ),
    "mutual": (lambda a, t: Mutual(a, peers=3, mutual_coef=0.2), lambda a, t: MutualPPO(a, peers=3, mutual_coef=0.2)),
}


def parameters(agent: AgentWrapper) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for network in agent.networks for p in network.parameters()])


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
@pytest.mark.parametrize("case", PAIRS)
def test_one_epoch_of_one_minibatch_is_the_same_around_an_a2c(case: str, env_id: str, tmp_path: Path) -> None:
    teachers = tuple(str(A2C(env_id, seed=s, net_arch=(8,)).save(tmp_path / f"{s}")) for s in (7, 8))
    around_a2c, around_ppo = PAIRS[case]
    ppo = PPO(env_id, n_epochs=1, batch_size=64, **ALIKE)
    one, other = around_a2c(A2C(env_id, **ALIKE), teachers), around_ppo(ppo, teachers)
    untrained = parameters(other)
    rows: list[dict[str, float]] = []
    one.learn(1200, [lambda status: rows.append({key: float(x) for key, x in status.metrics.items()})])
    other.learn(1200)
    assert torch.equal(parameters(one), parameters(other))
    assert not torch.equal(parameters(other), untrained)
    assert {"train/distill_loss", "train/peer_kl"} & rows[-1].keys()


def test_the_student_becomes_its_teacher_in_epochs_of_minibatches(tmp_path: Path) -> None:
    teacher = A2C("CartPole-v1", seed=5, net_arch=(8,))
    with torch.no_grad():
        teacher.policy.net[-1].weight.mul_(2000)  # nearly uniform before
    student = PPO("CartPole-v1", net_arch=(32,), num_envs=4, n_steps=64, n_epochs=4, batch_size=32, learning_rate=3e-3)
    distill = DistillPPO(student, teachers=(str(teacher.save(tmp_path / "teacher")),), batch_size=32)
    kl: list[float] = []
    distill.learn(40 * 256, [lambda status: kl.append(float(status.metrics["train/teacher_kl"]))])
    assert kl[0] > 0.1
    assert kl[-1] < 0.02 * kl[0]


def test_one_size_of_minibatches(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="batch_size is 64, and 32 of the PPO: make them equal"):
        DistillPPO(PPO("CartPole-v1", batch_size=32), teachers=(str(tmp_path),))
