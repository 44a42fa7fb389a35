"""PPO's updates compared with Stable-Baselines3's for every minibatch, and deviations that must be detected."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from agents.maths.schedules import Linear
from agents.minibatches import Columns, Shuffle
from agents.ppo import PPO, Loss, Samples
from agents.rollout import Metrics, Rollout
from agents.sb3 import from_sb3
from agents.sb3.model import Model
from agents.settings.ppo import PPOSettings
from rl.experiments.lockstep.combinations import LIMIT, STABLE
from rl.experiments.lockstep.precision import double_precision
from rl.experiments.lockstep.replay import Difference, lockstep

pytestmark = pytest.mark.filterwarnings("ignore:You have specified a mini-batch size")
SMALL: dict[str, Any] = {"num_envs": 4, "n_steps": 32, "batch_size": 60, "learning_rate": STABLE}
VARIANTS: dict[str, dict[str, Any]] = {
    "ten epochs": {},
    "one epoch": {"n_epochs": 1},
    "values clipped, bonus": {"clip_range_vf": 0.1, "ent_coef": 0.01, "n_epochs": 4},
    "target KL, schedules": {
        "target_kl": 1e-4, "clip_range": Linear(0.2, 0.05), "learning_rate": Linear(3e-4, 0.0), "n_epochs": 4,
    },
    "advantages as they are, RMSprop": {"normalize_advantage": False, "use_rms_prop": True, "n_epochs": 4},
}  # fmt: skip


def compared(
    env_id: str, iterations: int, agent_of: Callable[[Model], PPO] | None = None, **settings: Any
) -> Difference:
    return lockstep(PPOSettings(env_id, **{**SMALL, **settings}), iterations, agent_of).worst


@pytest.mark.parametrize("engine", ["torch", "fused"])
@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS)
def test_iterations_in_double_precision(env_id: str, settings: dict[str, Any], engine: str) -> None:
    with double_precision():
        worst = compared(env_id, 10, engine=engine, **settings)
    assert 0 < max(worst) <= LIMIT, worst


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["torch", "fused"])
def test_a_thousand_minibatches_with_sb3_as_it_is(engine: str) -> None:
    """In single precision, where losses that nearly cancel keep fewer digits than parameters do."""
    worst = compared("Pendulum-v1", 34, engine=engine)  # 34 iterations of 10 epochs of 3 minibatches
    assert 0 < max(worst.parameters, worst.optimizer, worst.estimates) <= 10 * LIMIT, worst


# --- deviations ---


class RatioAgainstTheCurrentPolicy(PPO):
    def loss(self, part: Samples, progress: float = 0.0) -> Loss:
        with torch.no_grad():
            now = self.policy(part.x).log_prob(part.action)
        return super().loss(part._replace(log_prob=now), progress)


class NormalizesOverTheRollout(PPO):
    def samples(self, batch: Rollout, inputs: Any) -> Samples:
        samples = super().samples(batch, inputs)
        a = samples.advantage
        vars(self)["normalize_advantage"] = False  # a setting of a built agent is read-only
        return samples._replace(advantage=(a - a.mean()) / (a.std() + 1e-8))


class ClipsOnTheWrongSide(PPO):
    def loss(self, part: Samples, progress: float = 0.0) -> Loss:
        """max instead of min, by flipping the advantage's sign and flipping it back."""
        flipped = super().loss(part._replace(advantage=-part.advantage), progress)
        right = super().loss(part, progress)
        policy = -flipped.metrics["train/policy_loss"]
        pi = self.policy(part.x)
        ratio = (pi.log_prob(part.action) - part.log_prob).exp()
        a = (part.advantage - part.advantage.mean()) / (part.advantage.std() + 1e-8)
        wrong = -torch.max(ratio * a, ratio.clamp(0.98, 1.02) * a).mean()
        value = (part.target - self.value(part.x)).square().mean()
        metrics: Metrics = {**right.metrics, "train/policy_loss": policy}
        return Loss(wrong + 0.5 * value, metrics, pi)


class DropsTheLast(Shuffle):
    def minibatches(self, rows: int, size: int) -> Iterator[Columns]:
        return (part for part in super().minibatches(rows, size) if isinstance(part, slice) or len(part) == size)


def turned_into(cls: type[PPO]) -> Callable[[Model], PPO]:
    def agent_of(model: Model) -> PPO:
        agent = from_sb3(model, engine="torch")
        agent.__class__ = cls
        assert isinstance(agent, PPO)
        return agent

    return agent_of


def without_the_last(model: Model) -> PPO:
    agent = turned_into(PPO)(model)
    shuffle = DropsTheLast(0)
    shuffle.load_state_dict(agent.shuffle.state_dict())
    vars(agent)["shuffle"] = shuffle  # assigning is refused
    return agent


@pytest.mark.parametrize(
    "agent_of",
    [
        turned_into(RatioAgainstTheCurrentPolicy),
        turned_into(NormalizesOverTheRollout),
        turned_into(ClipsOnTheWrongSide),
        without_the_last,
    ],
    ids=["ratio against the current policy", "normalized over the rollout", "clip on the wrong side", "last dropped"],
)
def test_a_deviation_is_found(agent_of: Callable[[Model], PPO]) -> None:
    with double_precision():
        settings: dict[str, Any] = {"clip_range": 0.02, "learning_rate": 3e-3, "n_epochs": 4}
        right = compared("CartPole-v1", 2, turned_into(PPO), **settings)
        wrong = compared("CartPole-v1", 2, agent_of, **settings)
    assert right.parameters <= 1e-9
    assert wrong.parameters > 1e-4


def test_the_order_of_ours_is_taken_by_sb3() -> None:
    """With SB3's own order, minibatches contain other steps, and parameters differ."""
    orders = [np.concatenate([*Shuffle(7).minibatches(128, 60)]) for _ in range(2)]  # type: ignore[arg-type]
    np.testing.assert_array_equal(*orders)
