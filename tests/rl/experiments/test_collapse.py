"""Parts of the experiment on single-step TD's failures: conditions, measurements, statistics, page."""

import json
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from agents import A2C
from agents.rollout import collect
from agents.settings.recipes import recipe_settings
from rl.experiments.collapse import training
from rl.experiments.collapse.conditions import ENV, UNCLIPPED, Condition, factorial, healthy, interventions
from rl.experiments.collapse.diagnostics import Diagnostics, Episodes, gradient_norms
from rl.experiments.collapse.figure import draw
from rl.experiments.collapse.outcomes import GRID, aligned, difference, fall, groups, outcome, share
from rl.experiments.collapse.page import bias_after_fall, page
from rl.experiments.collapse.training import HalfClipped, Run, Task, build, learning_curve, solved_at, train_all
from rl.experiments.statistics import as_plain


def run_of(score: float, curve: list[float | None], **measured: list[float]) -> Run:
    rows = [dict(zip(measured, values, strict=True)) for values in zip(*measured.values(), strict=True)]
    return Run(score, curve, None, {"saturated_critic": 1.0}, rows)


def test_a_share_has_wilsons_interval() -> None:
    assert share(np.zeros(50, np.bool_)) == pytest.approx((0, 0, 0.07135), abs=1e-5)
    assert share(np.arange(10) < 5) == pytest.approx((0.5, 0.23659, 0.76341), abs=1e-5)


def test_a_difference_of_shares_has_newcombes_interval() -> None:
    """56 of 70 against 48 of 80, in Newcombe 1998, table II (a)."""
    x = difference(share(np.arange(70) < 56), share(np.arange(80) < 48))
    assert x == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)


@pytest.mark.parametrize(
    ("curve", "step"),
    [([None, 10, 80, 60, 39, 90], 5_000), ([60, 20, 10], None), ([None, 76, 38], None), ([None, 76, 37.9], 3_000)],
)
def test_a_fall_is_to_less_than_half_of_a_peak(curve: list[float | None], step: int | None) -> None:
    assert fall(curve) == step


def test_runs_are_aligned_at_their_first_fall() -> None:
    curve = [None] * 18 + [100.0, 10.0]  # falls at 20,000
    measured = run_of(9, curve, step=[10_000, 20_000, 30_000], bias=[0, 10, 30])
    bias = aligned([measured], "bias")[0]
    assert bias[[2, 6, 8, 10]].tolist() == [0, 10, 20, 30]  # 10,000 before, at it, 5,000 and 10,000 after
    assert np.isnan(bias[[0, 12]]).all()
    assert np.isnan(aligned([measured], "delta_end")).all()
    assert groups([measured, run_of(9, [1.0])], []) == {"baseline, failed in the end": [measured]}
    assert outcome([measured, run_of(500, curve), run_of(500, [1.0])])[4:] == (2, 1)


def test_curves_are_means_over_the_last_episodes() -> None:
    step, ret = list(range(100, 4_100, 100)), [float(k) for k in range(40)]
    assert learning_curve(step, ret, 4_000) == [None, 9.5, 19.5, 29.5]
    assert solved_at(list(range(150)), [0.0] * 40 + [500.0] * 110) == 134
    assert solved_at(list(range(99)), [500.0] * 99) is None


def test_every_mix_of_the_recipes_parts() -> None:
    mixes = factorial()
    assert len({Task(mix.condition, 0).key for mix in mixes}) == 32
    assert mixes[0].condition.settings == {}
    assert {**mixes[-1].condition.settings, "n_steps": 1} == recipe_settings(ENV)
    conditions = [*interventions(), *healthy(), *(mix.condition for mix in mixes)]
    assert len({each.label for each in conditions}) == len(conditions)


@pytest.mark.parametrize("scaled", ["policy", "critic"])
def test_the_clip_may_scale_one_networks_gradient(scaled: Literal["policy", "critic"]) -> None:
    """The clipped network equals that of A2C with the clip, the other one that of A2C without, after every update."""
    half = build(Condition("", {"max_grad_norm": 0.01}, scaled), 0)
    references = [A2C(ENV, seed=0, max_grad_norm=bound) for bound in (0.01, UNCLIPPED)]
    batch, obs, _ = collect(half.worlds, half, half.worlds.reset()[0], 1, 0)
    for agent in (half, *references):
        agent.update(batch)
    clipped, unclipped = references
    expected = (clipped.policy, unclipped.value) if scaled == "policy" else (unclipped.policy, clipped.value)
    for network, reference in zip((half.policy, half.value), expected, strict=True):
        for p, q in zip(network.parameters(), reference.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=0, atol=0)
    batch, *_ = collect(half.worlds, half, obs, 1, 0)
    half.update(batch)
    assert isinstance(half, HalfClipped)
    for ours, theirs in zip(half.networks, half.twin.networks, strict=True):
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=0, atol=0)
            states = [agent.learner.optimizer.inner.state for agent in (half, half.twin)]
            torch.testing.assert_close(states[0][p]["square_avg"], states[1][q]["square_avg"], rtol=0, atol=0)


def test_gradient_norms_are_those_of_the_loss() -> None:
    agent = A2C(ENV, seed=0)
    batch, *_ = collect(agent.worlds, agent, agent.worlds.reset()[0], 1, 0)
    norm = float(agent.update(batch)["train/grad_norm"])
    fresh = A2C(ENV, seed=0)
    assert np.hypot(*gradient_norms(fresh, batch)) == pytest.approx(norm, rel=1e-5)


def test_diagnostics_leave_training_as_it_is() -> None:
    plain, measured = A2C(ENV, seed=3), A2C(ENV, seed=3)
    diagnostics = Diagnostics(measured, episodes := Episodes())
    plain.learn(2_400)
    measured.learn(2_400, [episodes, diagnostics])
    for ours, theirs in zip(plain.policy.parameters(), measured.policy.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    row = diagnostics.record[0]
    assert row["step"] == 2_000
    assert row["delta_end"] == pytest.approx(1 - row["v_end"], rel=1e-4)


def test_finished_runs_are_reused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, condition = tmp_path / "runs.jsonl", Condition("short", {}, steps=800)
    first = train_all([condition], [0, 1], file, 1)
    with file.open("a") as kept:
        kept.write('["cut o')
    monkeypatch.setattr(training, "train", None)
    assert train_all([condition], [1, 0], file, 1) == {"short": first["short"][::-1]}
    assert len(json.loads(file.read_text().splitlines()[0])) == 2


def test_a_page_and_a_figure_of_every_condition(tmp_path: Path) -> None:
    names = ("return", "bias", "saturated_critic", "delta_end")
    measured = {"step": [0.0, 50_000.0], **{name: [1.0, 3.0] for name in names}}
    failed, succeeded = (run_of(score, [100.0, 10.0], **measured) for score in (9, 500))
    changed, recipes, mixes = interventions(), healthy(), factorial()
    conditions = [*changed, *recipes, *(mix.condition for mix in mixes)]
    runs = {each.label: [failed, succeeded, succeeded] for each in conditions}
    content = page(changed, recipes, mixes, runs, "command", "machine")
    content.write(tmp_path / "collapse")
    draw(changed, runs, tmp_path / "collapse")
    assert "| 1: saturation is necessary | ReLU − baseline | 0.00 [" in str(content)
    assert {file.suffix for file in tmp_path.iterdir()} == {".md", ".json", ".png", ".pdf"}


def test_without_a_run_that_fell_the_bias_is_unknown() -> None:
    """As in a quick look at one seed."""
    bias = bias_after_fall([run_of(500, [500.0])])
    assert f"{bias:.1f}" == "–"
    assert as_plain(bias) == dict.fromkeys(("value", "low", "high"))
    assert aligned([], "bias").shape == (0, len(GRID))
