"""Adaptation of the optimizer's step and of the entropy coefficient: in isolation, and in short trainings."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributions as reference

from agents import A2C, checkpoint
from agents.checkpoint import CheckpointError
from agents.events import Status
from agents.machine import torch_threads
from agents.maths.adaptation import AdaptiveFactor
from agents.maths.schedules import Linear, value_at
from agents.rollout import collect
from agents.settings.values import ConfigError

LOWEST, HIGHEST = 0.01, 100.0
ADAPTIVE: dict[str, object] = {
    "target_policy_shift": 1e-4, "max_policy_shift": 1e-3, "target_entropy": 0.5, "ent_coef": 0.01
}  # fmt: skip


def make(env_id: str = "CartPole-v1", **settings: object) -> A2C:
    return A2C(env_id, **({"num_envs": 4} | settings))  # type: ignore[arg-type]


def train(agent: A2C, updates: int) -> dict[str, np.ndarray]:
    """The metrics of every update, and V_φ's learning rate."""
    rows: list[Mapping[str, float]] = []

    def note(status: Status) -> None:
        rates = [group["lr"] for group in agent.learner.optimizer.inner.param_groups]
        rows.append({key: float(x) for key, x in status.metrics.items()} | {"pi": rates[0], "v": rates[1]})

    agent.learn(updates * agent.worlds.num_envs * agent.n_steps, [note])
    return {key: np.array([row[key] for row in rows]) for key in rows[0]}


def one_step(agent: A2C, shift: float) -> dict[str, torch.Tensor]:
    """A step with this given KL divergence."""
    loss = agent.value(torch.ones(1, 4)).sum() + agent.policy.net(torch.ones(1, 4))[0, 0]
    return agent.learner.optimizer.step(loss, 0.0, lambda: torch.tensor(shift))


# --- the factor ---


@pytest.mark.parametrize(
    ("change", "expected"), [(0.1, 0.1), (-0.05, -0.05), (5.0, math.log(1.2)), (-5.0, -math.log(1.2))]
)
def test_a_move_is_at_most_a_fifth(change: float, expected: float) -> None:
    factor = AdaptiveFactor()
    assert factor.value == 1.0
    factor.adapt(change)
    assert math.log(factor.value) == pytest.approx(expected)


@pytest.mark.parametrize(("change", "bound"), [(math.inf, HIGHEST), (-math.inf, LOWEST)])
def test_the_factor_is_bounded(change: float, bound: float) -> None:
    factor = AdaptiveFactor()
    for _ in range(1000):
        factor.adapt(change)
    assert factor.value == bound
    factor.adapt(-math.copysign(0.1, change))  # and returns immediately
    assert factor.value == pytest.approx(bound * math.exp(-math.copysign(0.1, change)))


@pytest.mark.parametrize("settings", [{}, {"max_policy_shift": 1e-4}, {"ent_coef": 0.01}])
def test_without_targets_nothing_adapts(settings: dict[str, object]) -> None:
    agent = make(**settings)
    metrics = train(agent, 50)
    assert (agent.learner.optimizer.step_factor.value, agent.learner.optimizer.entropy_factor.value) == (1.0, 1.0)
    assert set(metrics["pi"]) == set(metrics["v"]) == {agent.learning_rate}
    assert set(metrics["train/ent_coef"]) == {float(np.float32(value_at(agent.ent_coef, 0.0)))}


# --- the step ---


@pytest.mark.parametrize(("shift", "faster"), [(0.0, True), (1e-30, True), (1e-5, True), (1e-1, False), (1e30, False)])
def test_the_step_moves_towards_its_target(shift: float, faster: bool) -> None:
    agent = make(target_policy_shift=1e-3)
    for _ in range(3):
        before = agent.learner.optimizer.step_factor.value
        metrics = one_step(agent, shift)
        assert float(metrics["train/learning_rate"]) == pytest.approx(before * agent.learning_rate)
        assert (agent.learner.optimizer.step_factor.value > before) == faster
        assert abs(math.log(agent.learner.optimizer.step_factor.value / before)) <= math.log(1.2) + 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 10.0])
def test_the_mean_shift_is_held_from_either_side(share: float) -> None:
    """Mean KL of updates 350 to 750 over three seeds is within a factor of 2 of the target; uncontrolled it is 100.

    Runs are chaotic down to the last bit. Individually, seeds 0 to 5 gave 0.93 to 1.24 times the target from below,
    0.67 to 1.77 from above, except for seed 5, where a step destroys the policy before it is short enough.
    """
    shifts, rates = [], []
    for seed in range(3):
        agent = make(
            seed=seed, num_envs=8, n_steps=5, ent_coef=0.02, normalize_advantage=True,
            learning_rate=7e-4 * share, critic_lr_scale=1 / share, target_policy_shift=1e-3,
        )  # fmt: skip
        metrics = train(agent, 750)
        np.testing.assert_allclose(metrics["v"], 7e-4)
        np.testing.assert_allclose(metrics["pi"], metrics["train/learning_rate"], rtol=1e-6)
        assert metrics["pi"][0] == pytest.approx(7e-4 * share)
        shifts.append(metrics["train/policy_shift_kl"][350:].mean())
        rates.append(metrics["pi"][-1])
    assert 0.5 < np.mean(shifts) / 1e-3 < 2
    assert 0.3 < np.median(rates) / 7e-4 < 3


def test_the_factor_multiplies_the_schedule() -> None:
    agent = make(learning_rate=Linear(1e-2, 1e-3), critic_lr_scale=0.5, target_policy_shift=1e-5)
    factors: list[float] = []
    agent.learn(400, [lambda _: factors.append(agent.learner.optimizer.step_factor.value)])
    again = make(learning_rate=Linear(1e-2, 1e-3), critic_lr_scale=0.5, target_policy_shift=1e-5)
    metrics, schedule = train(again, 100), np.linspace(1e-2, 1e-3, 101)[:-1]
    np.testing.assert_allclose(metrics["pi"], schedule * [1.0, *factors[:-1]])
    np.testing.assert_allclose(metrics["v"], schedule * 0.5)
    assert factors[-1] < 0.9


def test_a_schedule_of_the_target_shift() -> None:
    """At a KL of 1e-3, between the target's two ends, the step first grows and then shrinks."""
    agent = make(target_policy_shift=Linear(1e-2, 1e-4))
    moves = []
    for progress in (0.0, 0.99):
        before = agent.learner.optimizer.step_factor.value
        agent.learner.optimizer.step(agent.value(torch.ones(1, 4)).sum(), progress, lambda: torch.tensor(1e-3))
        moves.append(agent.learner.optimizer.step_factor.value / before)
    assert moves[0] > 1 > moves[1]


def test_target_and_bound_together() -> None:
    agent = make(num_envs=8, learning_rate=7e-3, target_policy_shift=1e-4, max_policy_shift=1e-3)
    metrics = train(agent, 300)
    shift = metrics["train/policy_shift_kl"]
    assert 0 <= shift.min() < shift.max() <= 1e-3
    assert agent.learner.optimizer.step_factor.value < 0.5
    np.testing.assert_allclose(metrics["v"], 7e-3)


# --- metrics, files, failures ---


def test_shifts_are_those_of_the_update() -> None:
    agent = make(learning_rate=1e-2, n_steps=5, num_envs=8)
    obs, _ = agent.worlds.reset()
    for _ in range(5):
        with torch_threads(1):
            batch, obs, _ = collect(agent.worlds, agent, obs, 5, 0)
            metrics = agent.update(batch)
        with torch.no_grad():
            after = agent.policy.net(batch.obs).double().log_softmax(-1)
        before = batch.behavior.double().log_softmax(-1)
        middle = torch.logaddexp(before, after) - math.log(2)
        kl = (before.exp() * (before - after)).sum(-1)
        js = (before.exp() * (before - middle)).sum(-1) / 2 + (after.exp() * (after - middle)).sum(-1) / 2
        assert float(kl.mean()) > 1e-6
        torch.testing.assert_close(metrics["train/policy_shift_kl"], kl.mean().float(), rtol=1e-4, atol=1e-9)
        torch.testing.assert_close(metrics["train/policy_shift_js"], js.mean().float(), rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("settings", [{}, {"max_policy_shift": 1.0}, {"target_policy_shift": 1e-3}], ids=str)
def test_an_update_measures_the_shift_where_it_is_needed(settings: dict[str, object]) -> None:
    log, silent = (make(engine="torch", **settings) for _ in range(2))
    batch, _, _ = collect(log.worlds, log, log.worlds.reset()[0], 5, 0)
    measured, left_out = log.update(batch), silent.update(batch._replace(measure=False))
    assert measured.keys() == left_out.keys()
    assert bool(left_out["train/policy_shift_kl"].isnan()) == bool(left_out["train/policy_shift_js"].isnan())
    assert bool(left_out["train/policy_shift_kl"].isnan()) == (not settings)
    assert all(torch.equal(p, q) for p, q in zip(log.policy.parameters(), silent.policy.parameters(), strict=True))


def test_shifts_of_gaussians_are_those_of_the_update() -> None:
    agent = make("Pendulum-v1", learning_rate=1e-2, n_steps=5)
    obs, _ = agent.worlds.reset()
    batch, _, _ = collect(agent.worlds, agent, obs, 5, 0)
    metrics = agent.update(batch)
    mean, log_std = batch.behavior.chunk(2, -1)
    pi = agent.policy(batch.obs)
    before, after = reference.Normal(mean, log_std.exp()), reference.Normal(pi.mean, pi.log_std.exp())
    expected = reference.kl_divergence(before, after).sum(-1).mean()
    torch.testing.assert_close(metrics["train/policy_shift_kl"], expected.detach(), rtol=1e-4, atol=1e-9)
    assert "train/policy_shift_js" not in metrics


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_factors_resume_exactly(env_id: str, tmp_path: Path) -> None:
    straight = make(env_id, **ADAPTIVE).learn(800)
    resumed = A2C.load(make(env_id, **ADAPTIVE).learn(400).save(tmp_path / "half")).learn(400)
    for factor in ("step_factor", "entropy_factor"):
        assert (
            getattr(straight.learner.optimizer, factor).value == getattr(resumed.learner.optimizer, factor).value != 1.0
        )
    for p, q in zip(straight.policy.parameters(), resumed.policy.parameters(), strict=True):
        assert torch.equal(p, q)


@pytest.mark.parametrize("shift", [math.nan, math.inf])
def test_a_shift_that_is_not_finite_is_refused(shift: float) -> None:
    agent = make(target_policy_shift=1e-3)
    with pytest.raises(FloatingPointError, match=r"0\.0007 moved the policy infinitely far"):
        one_step(agent, shift)
    assert agent.learner.optimizer.step_factor.value == 1.0


def test_an_update_that_overflows_is_refused() -> None:
    """The first step makes the parameters infinite, which a KL divergence of 0 would hide."""
    agent = make(learning_rate=1e38, max_policy_shift=1e-3)
    obs, _ = agent.worlds.reset()
    batch, _, _ = collect(agent.worlds, agent, obs, 1, 0)
    with pytest.raises(FloatingPointError, match="infinitely far"):
        agent.update(batch)


def test_a_refused_update_leaves_the_factors() -> None:
    agent = make(**ADAPTIVE).learn(100)
    factor = agent.learner.optimizer.entropy_factor.value
    with torch.no_grad():
        agent.value.net[-1].bias.fill_(torch.inf)
    with pytest.raises(FloatingPointError, match="gradient is not finite"):
        agent.learn(4)
    assert agent.learner.optimizer.entropy_factor.value == factor


def test_a_target_beyond_the_bound_is_refused() -> None:
    with pytest.raises(ConfigError, match="max_policy_shift"):
        make(target_policy_shift=1e-2, max_policy_shift=1e-3)


def test_a_checkpoint_of_an_older_version(tmp_path: Path) -> None:
    path = make().learn(40).save(tmp_path / "old")
    content = checkpoint.load(path)
    del content["state"]["learner"]["optimizer"]["factors"]  # type: ignore[index]
    checkpoint.save(path, content)
    with pytest.raises(CheckpointError):
        A2C.load(path)
