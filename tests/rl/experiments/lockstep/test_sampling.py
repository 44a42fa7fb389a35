"""A million of our actions compared with Stable-Baselines3's, and deviations that must be detected."""

import math
from functools import cache

import pytest

from envs.spaces import Array
from rl.experiments.lockstep.components import DRAWS, SIGNIFICANCE
from rl.experiments.lockstep.sampling import CATEGORICAL, GAUSSIAN, SAMPLERS, compared, sb3_actions

POLICIES = {"categorical": CATEGORICAL, "Gaussian": GAUSSIAN}
SIGNIFICANT = SIGNIFICANCE / (2 * len(POLICIES) * len(SAMPLERS))  # two tests each


@cache
def theirs(policy: str) -> Array:
    return sb3_actions(POLICIES[policy], DRAWS, 0)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("policy", POLICIES)
def test_a_million_actions(policy: str, sampler: str) -> None:
    of = POLICIES[policy]
    ours = SAMPLERS[sampler](of, DRAWS, 0)
    assert ours.shape == theirs(policy).shape == ((DRAWS,) if policy == "categorical" else (DRAWS, 2))
    found = compared(of, ours, theirs(policy))
    assert min(found.p_others, found.p_exact) > SIGNIFICANT
    assert 0 < found.apart < 0.003


# --- deviations ---

DEVIATIONS = {
    "two logits swapped": ("categorical", CATEGORICAL._replace(output=(-1.0, 0.5, 2.0, 0.0, -4.0))),
    "logits 1 % too large": ("categorical", CATEGORICAL._replace(output=tuple(1.01 * x for x in CATEGORICAL.output))),
    "one σ 2 % too large": ("Gaussian", GAUSSIAN._replace(log_std=(-0.7 + math.log(1.02), 0.7))),
}


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["torch", "fused, evaluation"])
@pytest.mark.parametrize("deviation", DEVIATIONS)
def test_deviations_are_found(deviation: str, sampler: str) -> None:
    policy, other = DEVIATIONS[deviation]
    found = compared(POLICIES[policy], SAMPLERS[sampler](other, DRAWS, 0), theirs(policy))
    assert max(found.p_others, found.p_exact) < SIGNIFICANT


@pytest.mark.slow
def test_deviations_in_training_are_found() -> None:
    policy, other = DEVIATIONS["one σ 2 % too large"]
    found = compared(POLICIES[policy], SAMPLERS["fused, training"](other, DRAWS, 0), theirs(policy))
    assert max(found.p_others, found.p_exact) < SIGNIFICANT
