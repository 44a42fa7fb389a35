"""PPO's kernels equal PPO in torch: updates on the same rollouts, and complete runs on native worlds."""

from typing import Any

import numpy as np
import pytest

from agents.ppo import PPO
from rl.experiments.lockstep.precision import double_precision
from tests.agents.fused.updates import make_equal_updates, parameters, remembered

SMALL = {"num_envs": 4, "n_steps": 32, "batch_size": 60, "n_epochs": 3}
VARIANTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "everything normalized": {"normalize_observations": True, "normalize_rewards": True, "ent_coef": 0.01},
    "values clipped, target KL": {"clip_range_vf": 0.05, "target_kl": 2e-4, "normalize_advantage": False},
    "penalty": {"clip_range": None, "kl_coef": 0.5, "target_policy_shift": 1e-5},
    "shortened": {"max_policy_shift": 1e-4, "target_policy_shift": 5e-5},
    "stopped": {"max_policy_shift": 1e-4, "shift_excess": "stop", "target_entropy": 0.6, "ent_coef": 0.01},
    "one minibatch, RMSprop": {"batch_size": 128, "use_rms_prop": True, "learning_rate": 1e-4},
}


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS)
def test_in_double_precision_nothing_differs_but_the_order_of_sums(env_id: str, settings: dict[str, Any]) -> None:
    with double_precision():
        fused, reference = (PPO(env_id, engine=engine, **{**SMALL, **settings}) for engine in ("fused", "torch"))
        make_equal_updates(fused, reference, updates=8, tolerance=1e-10)
        assert float((remembered(fused) - remembered(reference)).abs().max()) <= 1e-7
    np.testing.assert_array_equal(fused.shuffle.state, reference.shuffle.state)


def test_a_whole_run_is_the_run_of_torch() -> None:
    """Discrete actions use the same random numbers, minibatches the same order."""
    with double_precision():
        fused, reference = (PPO("CartPole-v1", engine=engine, **SMALL) for engine in ("fused", "torch"))
        for agent in (fused, reference):
            agent.learn(128 * 10)
        assert float((parameters(fused) - parameters(reference)).abs().max()) <= 1e-10


@pytest.mark.parametrize("backend", ["native", "sync"])
def test_the_division_into_calls_changes_nothing(backend: str) -> None:
    whole, parts = (PPO("CartPole-v1", engine="fused", backend=backend, **SMALL) for _ in range(2))  # type: ignore[arg-type]
    whole.learn(128 * 6)
    for updates in (1, 2, 3):
        parts.learn(128 * updates)
    assert (parameters(whole) == parameters(parts)).all()
