"""The equivalence test decides by its rules, on scores whose true distribution is known."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from rl.experiments import equivalence, equivalence_page
from rl.experiments.compared import Compared
from rl.experiments.equivalence import A2C, PPO, Pair, different, estimate
from rl.experiments.suites.published import PUBLISHED, PUBLISHED_PPO

LABELS = ("ours, 1 step", "SB3, 1 step", "ours, 5 steps", "SB3, 5 steps")
RANDOM = {"CartPole-v1": 22.0, "Acrobot-v1": -500.0, "Pendulum-v1": -1290.0, "LunarLander-v3": -170.0}


def compared(
    env: str, shift: Mapping[str, float], seeds: range = A2C.seeds, labels: Sequence[str] = LABELS,
    name: str = "comparison",
) -> Compared:  # fmt: skip
    """Bimodal normalized scores: two fifths fail. shift: added to the scores of these labels."""
    rng, worst, best = np.random.default_rng(len(env)), RANDOM[env], PUBLISHED[env].mean
    lines = []
    for label in labels:
        scores = np.where(rng.permutation(len(seeds)) < 0.4 * len(seeds), 0.0, 1.0) + rng.normal(0, 0.02, len(seeds))
        returns = worst + (scores + shift.get(label, 0.0)) * (best - worst)
        runs = [
            {"seed": seed, "eval_mean": x, "eval_stochastic_mean": x} for seed, x in zip(seeds, returns, strict=True)
        ]
        lines.append({"label": label, "settings": {"total_timesteps": 100_000}, "runs": runs})
    return Compared(env, name, {"random": worst, "machine": "a machine", "lines": lines})


def test_equal_scores_are_equivalent() -> None:
    test = equivalence.judge(A2C, [compared(env, {}) for env in A2C.environments])
    assert test is not None
    assert len(test.pairs) == 8
    assert test.together.equivalent
    assert not different(test.pairs)
    text = str(equivalence_page.page(test, "python -m rl.index"))
    assert "our A2C is equivalent to Stable-Baselines3's" in text
    assert "lies within ± 0.1, as equivalence requires" in " ".join(text.split())
    assert text.count("| not decided |") + text.count("| equivalent |") == 8, "fifty bimodal scores decide little"


@pytest.mark.parametrize("shift", [-0.2, 0.2])
def test_a_shift_beyond_the_margin_is_no_equivalence(shift: float) -> None:
    shifted = {"ours, 1 step": shift, "ours, 5 steps": shift}
    test = equivalence.judge(A2C, [compared(env, shifted) for env in A2C.environments])
    assert test is not None
    assert not test.together.equivalent
    assert test.together.difference.value == pytest.approx(shift, abs=0.02)
    assert "not shown to be equivalent" in equivalence_page.conclusion(test)


def test_one_pair_that_differs_is_named() -> None:
    found = [compared(env, {"ours, 5 steps": 2.0} if env == "Acrobot-v1" else {}) for env in A2C.environments]
    test = equivalence.judge(A2C, found)
    assert test is not None
    assert [(pair.env, pair.steps) for pair in different(test.pairs)] == [("Acrobot-v1", "5 steps")]
    assert "Different by themselves: Acrobot-v1, 5 steps." in equivalence_page.conclusion(test)


def test_one_unlucky_pair_of_eight_is_no_difference() -> None:
    """With fifty runs per side, P = 0.62 alone excludes ½ at 95 %, as one pair in twenty does by chance."""
    even = [Pair(f"task {i}", "1 step", np.arange(50.0), np.arange(50.0)) for i in range(7)]
    unlucky = Pair("task 7", "1 step", np.arange(50.0) + 7, np.arange(50.0))
    p = estimate([unlucky]).p
    assert p.low > 0.5
    assert not different([*even, unlucky])


@pytest.mark.parametrize("missing", ["an environment", "seeds"])
def test_nothing_is_judged_by_other_runs(missing: str) -> None:
    found = [compared(env, {}) for env in A2C.environments]
    found[1:2] = [] if missing == "an environment" else [compared("Acrobot-v1", {}, range(10))]
    assert equivalence.judge(A2C, found) is None


def test_ppo_is_judged_by_its_own_runs(tmp_path: Path) -> None:
    """Uses the comparison named `ppo`, with twenty seeds, normalized by rl-zoo's PPO."""
    labels = ("ours, PPO", "SB3, PPO")
    a2c = [compared(env, {}) for env in A2C.environments]
    ppo = [compared(env, {}, PPO.seeds, labels, "ppo") for env in PPO.environments]
    assert equivalence.judge(PPO, a2c) is None
    test = equivalence.judge(PPO, [*a2c, *ppo])
    assert test is not None
    assert [(pair.env, len(pair.ours), len(pair.theirs)) for pair in test.pairs] == [
        (env, 20, 20) for env in PPO.environments
    ]
    assert not test.torch
    best = {env: PUBLISHED_PPO[env].mean for env in PPO.environments}
    raw = {each.env: np.mean(each.scores()["ours, PPO"]) for each in ppo}
    expected = [(raw[env] - RANDOM[env]) / (best[env] - RANDOM[env]) for env in PPO.environments]
    assert [pair.ours.mean() for pair in test.pairs] == pytest.approx(expected)
    text = str(equivalence_page.page(test, "python -m rl.index"))
    assert "Over 3 pairs of 20 seeds a side, our PPO" in text
    assert "rl-baselines3-zoo publishes for its tuned PPO" in text
    equivalence_page.draw(test, tmp_path / PPO.file)
    assert (tmp_path / "equivalence-ppo.png").stat().st_size > 10_000
