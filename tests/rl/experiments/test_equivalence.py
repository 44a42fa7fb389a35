"""The equivalence test decides as its rules say, on scores whose truth is known."""

from collections.abc import Mapping

import numpy as np
import pytest

from rl.experiments import equivalence
from rl.experiments.compared import Compared
from rl.experiments.equivalence import ENVIRONMENTS, SEEDS, Pair, different, estimate
from rl.experiments.suites.published import PUBLISHED

LABELS = ("ours, 1 step", "SB3, 1 step", "ours, 5 steps", "SB3, 5 steps")
RANDOM = {"CartPole-v1": 22.0, "Acrobot-v1": -500.0, "Pendulum-v1": -1290.0, "LunarLander-v3": -170.0}


def compared(env: str, shift: Mapping[str, float], seeds: range = SEEDS) -> Compared:
    """Bimodal normalized scores: two fifths fail. shift: of the labels named."""
    rng, worst, best = np.random.default_rng(len(env)), RANDOM[env], PUBLISHED[env].mean
    lines = []
    for label in LABELS:
        scores = np.where(rng.permutation(len(seeds)) < 0.4 * len(seeds), 0.0, 1.0) + rng.normal(0, 0.02, len(seeds))
        returns = worst + (scores + shift.get(label, 0.0)) * (best - worst)
        runs = [
            {"seed": seed, "eval_mean": x, "eval_stochastic_mean": x} for seed, x in zip(seeds, returns, strict=True)
        ]
        lines.append({"label": label, "settings": {"total_timesteps": 100_000}, "runs": runs})
    return Compared(env, "comparison", {"random": worst, "machine": "a machine", "lines": lines})


def test_equal_scores_are_equivalent() -> None:
    test = equivalence.judge([compared(env, {}) for env in ENVIRONMENTS])
    assert test is not None
    assert len(test.pairs) == 8
    assert test.together.equivalent
    assert not different(test.pairs)
    text = str(equivalence.page(test, "python -m rl.index"))
    assert "our A2C is equivalent to Stable-Baselines3's" in text
    assert text.count("| not decided |") + text.count("| equivalent |") == 8, "fifty bimodal scores decide little"


@pytest.mark.parametrize("shift", [-0.2, 0.2])
def test_a_shift_beyond_the_margin_is_no_equivalence(shift: float) -> None:
    shifted = {"ours, 1 step": shift, "ours, 5 steps": shift}
    test = equivalence.judge([compared(env, shifted) for env in ENVIRONMENTS])
    assert test is not None
    assert not test.together.equivalent
    assert test.together.difference.value == pytest.approx(shift, abs=0.02)
    assert "not shown to be equivalent" in equivalence.conclusion(test)


def test_one_pair_that_differs_is_named() -> None:
    found = [compared(env, {"ours, 5 steps": 2.0} if env == "Acrobot-v1" else {}) for env in ENVIRONMENTS]
    test = equivalence.judge(found)
    assert test is not None
    assert [(pair.env, pair.steps) for pair in different(test.pairs)] == [("Acrobot-v1", "5 steps")]
    assert "Different by themselves: Acrobot-v1, 5 steps." in equivalence.conclusion(test)


def test_one_unlucky_pair_of_eight_is_no_difference() -> None:
    """P = 0.62 of fifty a side excludes ½ at 95 % by itself, as one pair in twenty does by luck."""
    even = [Pair(f"task {i}", "1 step", np.arange(50.0), np.arange(50.0)) for i in range(7)]
    unlucky = Pair("task 7", "1 step", np.arange(50.0) + 7, np.arange(50.0))
    p = estimate([unlucky]).p
    assert p.low > 0.5
    assert not different([*even, unlucky])


@pytest.mark.parametrize("missing", ["an environment", "seeds"])
def test_nothing_is_judged_by_other_runs(missing: str) -> None:
    found = [compared(env, {}) for env in ENVIRONMENTS]
    found[1:2] = [] if missing == "an environment" else [compared("Acrobot-v1", {}, range(10))]
    assert equivalence.judge(found) is None
