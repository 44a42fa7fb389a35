"""The fused engine equals the torch engine: kernels, one update, many updates, and complete runs."""

import math
from itertools import pairwise
from typing import Any, get_type_hints

import numpy as np
import pytest
import torch
from torch import Tensor

from agents import A2C
from agents.events import Status
from agents.fused.learn import evaluate_schedules
from agents.fused.learn import value_at as compiled_value_at
from agents.fused.memory import COEFFICIENTS
from agents.fused.shared import Shared
from agents.maths.schedules import Cosine, Exponential, Linear, Ramp, Schedule, numbers_of, value_at
from agents.rollout import collect
from agents.settings.a2c import A2CSettings
from rl.experiments.lockstep.precision import double_precision
from tests.agents.fused.updates import both_update, parameters, remembered

RNG = np.random.default_rng(0)
VARIANTS: dict[str, dict[str, Any]] = {
    "single-step TD": {},
    "GAE, bonus": {"n_steps": 5, "gae_lambda": 0.95, "ent_coef": 0.01},
    "bonus schedule, Adam": {"n_steps": 5, "ent_coef": Linear(0.02, 0.0), "use_rms_prop": False},
    "RMSprop of TensorFlow": {"rms_prop_tf_like": True, "gae_lambda": 0.5, "n_steps": 3},
    "normalized advantages": {"n_steps": 5, "normalize_advantage": True, "learning_rate": Linear(1e-4, 0.0)},
    "normalized observations": {"n_steps": 2, "normalize_observations": True, "normalize_rewards": True},
    "bounded shift": {"max_policy_shift": 1e-7, "n_steps": 2, "normalize_observations": True},
    "adaptive step": {"target_policy_shift": 2e-6, "critic_lr_scale": 3.0},
    "entropy target": {"target_entropy": 0.6, "ent_coef": 0.01},
    "three odd layers, ReLU": {"net_arch": (33, 7, 20), "activation": "relu"},
    "layer normalization": {"net_arch": (33, 7), "activation": "leaky_relu", "layer_norm": True, "n_steps": 3},
    "layer normalization, tanh": {"layer_norm": True, "max_policy_shift": 1e-7, "gae_lambda": 0.9, "n_steps": 3},
    "networks of different shapes": {"net_arch": {"pi": [20], "vf": [33, 7]}, "ortho_init": False, "n_steps": 2},
    "no hidden layer": {"net_arch": (), "n_steps": 2},
    "schedules of all": {
        "n_steps": 2, "learning_rate": Cosine(1e-4, 1e-6), "critic_lr_scale": Linear(3.0, 0.5, 0.5),
        "vf_coef": Exponential(1.0, 0.1), "max_grad_norm": Cosine(0.1, 10.0, 0.8), "ent_coef": Cosine(0.02, 0.01, 0.3),
        "max_policy_shift": Linear(1e-6, 1e-8), "target_policy_shift": Exponential(5e-7, 5e-9),
        "target_entropy": Linear(0.6, 0.3, 0.5),
    },
    "scaled and clipped rewards": {"n_steps": 3, "reward_scale": 0.3, "reward_clip": 0.2},
    "clipped, then normalized": {
        "n_steps": 2, "reward_clip": 1.5, "normalize_rewards": True, "normalize_observations": True,
        "clip_normalized": 0.8,
    },
    "wide": {"net_arch": (130,), "max_grad_norm": 100.0, "vf_coef": 0.25},
}  # fmt: skip
SHARED: dict[str, dict[str, Any]] = {  # kernels of their own; in double precision, test_heads.py always trains some
    "shared layers": {"shared_layers": "all", "net_arch": (33, 20), "n_steps": 3, "gae_lambda": 0.9, "ent_coef": 0.01},
    "one shared layer, normalized": {
        "shared_layers": "all", "net_arch": (7,), "layer_norm": True, "max_policy_shift": 1e-7, "critic_lr_scale": 3.0,
    },
}  # fmt: skip
ENVS = ("CartPole-v1", "Pendulum-v1", "FrozenLake-v1")


def side_by_side(env_id: str, updates: int, **settings: Any) -> tuple[float, float, dict[str, float]]:
    """Both engines on the same rollouts: largest differences of parameters, of optimizer state, and of metrics."""
    chosen = {"learning_rate": 1e-4, "num_envs": 4} | settings
    fused, reference = (A2C(env_id, engine=engine, **chosen) for engine in ("fused", "torch"))
    apart, metrics = 0.0, dict[str, float]()
    for ours, theirs in both_update(fused, reference, updates):
        apart = max(apart, float((parameters(fused) - parameters(reference)).abs().max()))
        for name, value in theirs.items():
            gap = abs(ours[name] - value) if math.isfinite(value) else 0.0
            metrics[name] = max(metrics.get(name, 0.0), gap)
    memory = float((remembered(fused) - remembered(reference)).abs().max())
    return apart / float(parameters(reference).abs().max()), memory, metrics


@pytest.mark.parametrize("env_id", ENVS)
@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS)
def test_one_update(env_id: str, settings: dict[str, Any]) -> None:
    assert side_by_side(env_id, 1, **settings)[0] <= 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("env_id", ENVS[:2])
@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS)
def test_many_updates(env_id: str, settings: dict[str, Any], long: bool) -> None:
    """Uses a learning rate at which training is not chaotic; see results/lockstep.md."""
    assert side_by_side(env_id, 1_000 if long else 200, **settings)[0] <= 1e-4


@pytest.mark.parametrize("env_id", ENVS)
@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS)
def test_in_double_precision_nothing_differs_but_the_order_of_sums(
    env_id: str, settings: dict[str, Any], long: bool
) -> None:
    with double_precision():
        apart, memory, metrics = side_by_side(env_id, 100 if long else 40, **settings)
    assert apart <= 1e-9
    assert memory <= 1e-7
    assert max(metrics.values()) <= 1e-6, metrics


def test_acting_leaves_no_trace_and_draws_what_torch_draws() -> None:
    fused, reference = (A2C("CartPole-v1", engine=engine) for engine in ("fused", "torch"))
    obs = RNG.normal(size=(9, 4)).astype(np.float32)
    for _ in range(20):
        ours, theirs = fused.act(obs), reference.act(obs)
        assert torch.equal(ours.action, theirs.action)
        torch.testing.assert_close(ours.raw, theirs.raw, rtol=1e-5, atol=1e-7)
    assert torch.equal(fused.act(obs, deterministic=True).action, reference.act(obs, deterministic=True).action)
    assert torch.equal(parameters(fused), parameters(reference))


@pytest.mark.parametrize("shape", [Linear, Cosine, Exponential])
def test_schedules_are_computed_alike(shape: type[Ramp]) -> None:
    for progress in RNG.random(300):
        for ramp in (shape(*RNG.random(2)), shape(*RNG.random(3)), shape(*RNG.random(2), 0.8, 0.5)):
            ours, theirs = compiled_value_at(np.array(numbers_of(ramp)), progress), value_at(ramp, progress)
            assert ours == (theirs if shape is Linear else pytest.approx(theirs, rel=1e-15))


def test_every_schedule_that_the_settings_declare_reaches_the_kernels() -> None:
    """A coefficient is declared only in A2CSettings: the record that the kernels read follows the annotations."""
    declared = [name for name, kind in get_type_hints(A2CSettings).items() if kind in (Schedule, Schedule | None)]
    assert list(COEFFICIENTS.names or ()) == declared
    schedules = {name: Linear(0.05 * k, 0.02 * k) for k, name in enumerate(declared, 1)}
    schedules |= {"target_policy_shift": Linear(1e-3, 1e-4), "max_policy_shift": Linear(2e-3, 2e-4)}
    agent, record = A2C("CartPole-v1", engine="fused", **schedules), np.zeros(1, COEFFICIENTS)
    evaluate_schedules(Shared(agent.learner).options()[0]["schedules"], 0.3, record)
    assert {name: record[0][name] for name in declared} == {name: value_at(s, 0.3) for name, s in schedules.items()}


# --- whole runs ---


def run_of(settings: dict[str, Any], calls: list[int], interval: int | None = None) -> tuple[Tensor, list[Any]]:
    """Trains in one call per entry of `calls`; a hook with this interval (or none) records episodes and losses."""
    agent, seen = A2C(engine="fused", **settings), list[Any]()

    def note(status: Status) -> None:
        seen.extend(status.episodes)
        seen.extend(status.series["train/value_loss"].reshape(-1).tolist())

    if interval:
        note.interval = interval  # type: ignore[attr-defined]
    for steps in calls:
        agent.learn(steps, [note])
    return parameters(agent), sorted(map(str, seen))


@pytest.mark.parametrize("env_id", ENVS[:2])
@pytest.mark.parametrize("settings", SHARED.values(), ids=SHARED)
def test_shared_layers(env_id: str, settings: dict[str, Any], long: bool) -> None:
    if not long:
        pytest.skip("compiling the kernels of shared layers takes a minute")
    assert side_by_side(env_id, 1, **settings)[0] <= 1e-6
    assert side_by_side(env_id, 1_000, **settings)[0] <= 1e-4


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
@pytest.mark.parametrize("backend", ["native", "sync"])
def test_the_same_in_whatever_calls(env_id: str, backend: str) -> None:
    settings = {"env": env_id, "backend": backend, "n_steps": 3, "num_envs": 4, "normalize_rewards": True}
    whole, seen = run_of(settings, [6000])
    for calls, interval in (([6000], 7), ([6000], 10_000), ([1200, 4800], 100)):
        again, noted = run_of(settings, calls, interval)
        assert torch.equal(whole, again)
        assert noted == seen


def test_native_and_sync_worlds_make_the_same_run() -> None:
    native, sync = (run_of({"env": "Acrobot-v1", "backend": b, "n_steps": 2}, [8000]) for b in ("native", "sync"))
    assert torch.equal(native[0], sync[0])
    assert native[1] == sync[1]


def test_the_last_rollout_is_cut_short_and_nothing_more() -> None:
    agent = A2C("CartPole-v1", num_envs=4, n_steps=5, engine="fused").learn(4 * 5 * 3 + 4 * 2 + 3)
    assert (agent.loop.step, agent.loop.iteration) == (4 * 5 * 3 + 4 * 2, 4)


def test_hooks_without_an_interval_see_every_update() -> None:
    seen: list[int] = []
    A2C("CartPole-v1", engine="fused").learn(800, [lambda status: seen.append(status.iteration)])
    assert seen == list(range(1, 101))


@pytest.mark.parametrize("engine", ["fused", "torch"])
def test_the_shift_is_measured_where_the_hooks_look(engine: str) -> None:
    rows: list[Tensor] = []

    def note(status: Status) -> None:
        rows.append(status.series["train/policy_shift_kl"].reshape(-1))

    note.interval = 100  # type: ignore[attr-defined]
    A2C("CartPole-v1", engine=engine).learn(800, [note])
    measured = ~torch.cat(rows).isnan()
    assert measured.nonzero().flatten().tolist() == list(range(9, 100, 10))


def test_replaced_memory_is_taken_up() -> None:
    """Assigning parameters or loading an optimizer state has the intended effect."""
    agent, other = A2C("CartPole-v1", engine="fused").learn(80), A2C("CartPole-v1", engine="fused", seed=1).learn(800)
    agent.load_state_dict(other.state_dict())
    for mine, theirs in zip(agent.policy.parameters(), other.policy.parameters(), strict=True):
        mine.data = theirs.detach().clone()
    obs, _ = other.worlds.reset()
    rollout, _, _ = collect(other.worlds, other, obs, 1, 0)
    agent.update(rollout), other.update(rollout)
    assert torch.equal(parameters(agent), parameters(other))
    assert torch.equal(remembered(agent), remembered(other))


@pytest.mark.parametrize("backend", ["native", "sync"])
def test_a_gradient_that_is_not_finite_changes_nothing(backend: str) -> None:
    agent = A2C("CartPole-v1", engine="fused", backend=backend).learn(80)
    with torch.no_grad():
        agent.value.net[0].weight[0, 0] = torch.nan
    before = parameters(agent)
    with pytest.raises(FloatingPointError, match="gradient is not finite"):
        agent.learn(80)
    assert torch.equal(before.nan_to_num(), parameters(agent).nan_to_num())
    assert agent.loop.step == 80


def test_a_step_into_infinity_is_reported() -> None:
    agent = A2C("CartPole-v1", engine="fused", learning_rate=1e30)
    with pytest.raises(FloatingPointError, match=r"moved the policy infinitely far|not finite"):
        agent.learn(800, [lambda status: None])


def test_learning_curves_of_both_engines_agree_step_by_step_at_first() -> None:
    """Equal random numbers give equal episodes until rounding errors have grown."""
    episodes: dict[str, list[Any]] = {"fused": [], "torch": []}
    for engine, seen in episodes.items():
        A2C("CartPole-v1", engine=engine).learn(2400, [lambda status, seen=seen: seen.extend(status.episodes)])
    assert len(episodes["torch"]) > 20
    assert episodes["fused"][:20] == episodes["torch"][:20]
    assert all(a.step <= b.step for a, b in pairwise(episodes["fused"]))
