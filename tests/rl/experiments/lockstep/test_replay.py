"""Our updates compared with Stable-Baselines3's at a learning rate of 1e-4, and deviations that must be detected."""

from collections.abc import Callable

import pytest
import stable_baselines3 as sb3
import torch
from torch import Tensor, nn

from agents import A2C
from agents.networks.forward import Inputs
from agents.optimizer import ConstrainedOptimizer
from agents.rmsprop import RMSpropTFLike
from agents.rollout import Rollout
from agents.sb3 import from_sb3
from agents.settings.a2c import A2CSettings
from agents.settings.actor_critic import Engine
from rl.experiments.lockstep.combinations import ALL, FACTORS, LIMIT, STABLE, covering, names, settings_of
from rl.experiments.lockstep.precision import double_precision
from rl.experiments.lockstep.replay import Difference, lockstep


@pytest.mark.slow
@pytest.mark.parametrize("chosen", covering(2), ids=lambda chosen: "-".join(names(chosen)))
def test_many_updates_in_double_precision(chosen: tuple[int, ...], long: bool) -> None:
    """Only the algorithm could differ. Every pair of settings occurs in one of these combinations."""
    short = names(chosen)[:2] != ["MountainCarContinuous-v0", "1"]  # it truncates after 999 steps
    updates = 300 if short and not long else 1_000
    with double_precision():
        replay = lockstep(settings_of(chosen, STABLE), updates)
    assert replay.updates == updates
    assert (replay.truncations > 0) == (names(chosen)[0] != "CartPole-v1")
    assert 0 < max(replay.worst) <= LIMIT, replay.worst


@pytest.mark.slow
@pytest.mark.parametrize("chosen", covering(2)[:4], ids=lambda chosen: "-".join(names(chosen)))
def test_a_thousand_updates_with_sb3_as_it_is(chosen: tuple[int, ...]) -> None:
    """In single precision, where losses that nearly cancel keep fewer digits than parameters do."""
    worst = lockstep(settings_of(chosen, STABLE), 1_000).worst
    assert 0 < max(worst.parameters, worst.optimizer, worst.estimates) <= LIMIT, worst


def test_covering_has_every_pair() -> None:
    levels = [range(len(values)) for values in FACTORS.values()]
    rows = covering(2)
    for i in range(len(levels)):
        for j in range(i):
            assert {(row[i], row[j]) for row in rows} == {(a, b) for a in levels[i] for b in levels[j]}
    assert len(rows) < len(covering(3)) < len(ALL) == 576


# --- deviations, each found in some published implementation ---


class BootstrapsTimeoutsWithOldState(A2C):
    def advantages(self, batch: Rollout, inputs: Inputs, v: Tensor) -> tuple[Tensor, Tensor]:
        wrong = torch.where(batch.truncated[..., None], inputs.x, inputs.x_next)
        return super().advantages(batch, inputs._replace(x_next=wrong), v)


def old_state(model: sb3.A2C) -> A2C:
    agent = from_sb3(model, engine="torch")
    agent.__class__ = BootstrapsTimeoutsWithOldState
    return agent


def epsilon_inside_the_root(model: sb3.A2C) -> A2C:
    agent = from_sb3(model, engine="torch")
    parameters = [{"params": list(net.parameters())} for net in (agent.policy, agent.value)]
    optimizer = RMSpropTFLike(parameters, alpha=0.99, eps=1e-5)
    for group in optimizer.param_groups:
        for p in group["params"]:
            optimizer.state[p] = {"step": 0, "square_avg": torch.zeros_like(p)}  # so that only ε differs
    agent.learner.optimizer._inner = optimizer
    return agent


class ClipsEachNetwork(ConstrainedOptimizer):
    def differentiate(self, loss: Tensor, progress: float, share: float | None = None) -> Tensor:
        self.inner.zero_grad()
        loss.backward()
        return torch.stack([nn.utils.clip_grad_norm_(net, 0.5) for net in self._contents.parameters]).norm()


def clip_each_network(model: sb3.A2C) -> A2C:
    agent = from_sb3(model, engine="torch")
    agent.learner.optimizer.__class__ = ClipsEachNetwork
    return agent


class Sums(ConstrainedOptimizer):
    def step(
        self, loss: Tensor, progress: float, shift: Callable[[], Tensor], measure: bool = True
    ) -> dict[str, Tensor]:
        return super().step(20 * loss, progress, shift, measure)  # five steps of four environments


def sum_instead_of_mean(model: sb3.A2C) -> A2C:
    agent = from_sb3(model, engine="torch")
    agent.learner.optimizer.__class__ = Sums
    return agent


def replayed(
    agent_of: Callable[[sb3.A2C], A2C] | None = None, max_grad_norm: float = 0.5, engine: Engine = "torch"
) -> Difference:
    """Pendulum-v1 truncates at update 40."""
    settings = A2CSettings(
        "Pendulum-v1", num_envs=4, n_steps=5, learning_rate=STABLE, max_grad_norm=max_grad_norm, engine=engine
    )  # fmt: skip
    return lockstep(settings, 60, agent_of).worst


@pytest.mark.parametrize("engine", ["torch", "fused"])
@pytest.mark.parametrize("max_grad_norm", [0.5, 1e6])
def test_without_deviation(max_grad_norm: float, engine: Engine) -> None:
    worst = replayed(None, max_grad_norm, engine)
    assert max(worst.parameters, worst.losses, worst.estimates) <= LIMIT


def test_bootstrapping_timeouts_with_the_old_state_is_found() -> None:
    """Detected in returns and losses after four timeouts; parameters follow slowly."""
    worst = replayed(old_state)
    assert min(worst.returns, worst.advantages, worst.policy_loss, worst.value_loss) > 50 * LIMIT


def test_epsilon_inside_the_root_is_found() -> None:
    worst = replayed(epsilon_inside_the_root)
    assert min(worst.parameters, worst.policy_loss, worst.value_loss) > 10 * LIMIT


def test_a_sum_in_place_of_the_mean_is_found() -> None:
    assert replayed(sum_instead_of_mean).gradient_norm == pytest.approx(19)
    assert replayed(sum_instead_of_mean, max_grad_norm=1e6).parameters > 100 * LIMIT  # clipping would hide it


def test_clipping_each_network_is_found() -> None:
    worst = replayed(clip_each_network)
    assert min(worst.parameters, worst.policy_loss, worst.value_loss) > 10 * LIMIT
