"""A page that is made again keeps the rows of environments that it does not train."""

import json
from pathlib import Path

import numpy as np
import pytest

from agents.settings.a2c import A2CSettings
from agents.settings.run import RunSettings
from agents.settings.values import ConfigError
from rl.experiments.foreign.page import read_rows
from rl.experiments.parallel import Line, prepare
from rl.experiments.suites.candidates import Candidate, Runs
from rl.experiments.suites.kept import CURVES, RETURN, Kept, earlier_means, kept_runs, write_curves
from rl.experiments.suites.looks import LOOKS, read_looks
from rl.experiments.suites.training import _keep
from rl.run.results import write_json


def line(*assignments: str) -> Line:
    return prepare("recipe", "a2c", "CartPole-v1", (A2CSettings, RunSettings), None, assignments, None)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """Of two seeds, one of them with a long curve; and of Stable-Baselines3."""
    steps = np.arange(1.0, 1001.0)
    runs = [Kept({"seed": 0, "eval_mean": 7.0}, {"step": steps, RETURN: steps / 3}), Kept({"seed": 1}, {})]
    row = {
        "env": "CartPole-v1",
        "settings": {**line().settings, "checkpoint_interval": 123},
        "runs": [run.summary for run in runs],
        "baseline_settings": line("gamma=0.5").settings,
        "baseline_runs": [{"seed": 0, "eval_mean": 5.0}],
    }
    write_json(tmp_path / "zoo.json", {"environments": [row]})
    write_curves(tmp_path / CURVES, {"CartPole-v1": runs})
    return tmp_path / "zoo.json"


def test_runs_come_back_with_forty_points_of_their_curves(page: Path) -> None:
    found = kept_runs(page, "CartPole-v1", line())
    assert {seed: run.summary for seed, run in found.items()} == {0: {"seed": 0, "eval_mean": 7.0}, 1: {"seed": 1}}
    curve = found[0].metrics()
    assert (len(curve["step"]), curve["step"][0], curve["step"][-1]) == (40, 1, 1000)
    np.testing.assert_allclose(curve[RETURN], curve["step"] / 3, rtol=1e-5)
    assert not found[1].metrics()
    theirs = kept_runs(page, "CartPole-v1", line("gamma=0.5"), "baseline_")
    assert theirs[0].summary["eval_mean"] == 5


def test_another_recipe_environment_or_page_keeps_nothing(page: Path) -> None:
    assert not kept_runs(page, "CartPole-v1", line("gamma=0.9"))
    assert not kept_runs(page, "Acrobot-v1", line())
    assert not kept_runs(page.with_name("other.json"), "CartPole-v1", line())


@pytest.mark.parametrize("text", ["<<<<<<< HEAD\n", "[]", '{"environments": 3}', '{"environments": [3]}'])
def test_a_damaged_page_is_refused(text: str, page: Path) -> None:
    (page.parent / LOOKS).write_text(text.replace("[]", "[3]"), encoding="utf-8")
    page.write_text(text, encoding="utf-8")
    for read in (
        lambda: kept_runs(page, "CartPole-v1", line()), lambda: read_looks(page.parent / LOOKS),
        lambda: read_rows(page.with_suffix("")),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=r"\.json is damaged .*; restore it, or delete it to begin anew"):
            read()


def test_damaged_curves_are_refused(page: Path) -> None:
    file = page.with_name(CURVES)
    file.write_text(file.read_text().replace("CartPole-v1,0,1,", "CartPole-v1,zero,1,"), encoding="utf-8")
    with pytest.raises(ConfigError, match=f"{file} is damaged"):
        kept_runs(page, "CartPole-v1", line())


def test_means_of_earlier_trainings_stay_on_the_page(page: Path) -> None:
    content = json.loads(page.read_text())
    content["environments"][0] |= {"earlier_means": [1.5], "runs": [{"seed": 0, "eval_mean": 7.0}]}
    write_json(page, content)
    assert earlier_means(page, "CartPole-v1", line(), [0]) == [1.5, 7]
    assert earlier_means(page, "CartPole-v1", line(), [0, 1]) == []
    for mean, others in ((7.0, [1.5]), (8.0, [1.5, 7])):
        runs = Runs(line(), [0], {0: Kept({"seed": 0, "eval_mean": mean}, {})})
        assert Candidate("CartPole-v1", runs, earlier=[1.5, 7]).entry().earlier == others


def test_a_run_on_disk_is_not_replaced(page: Path) -> None:
    own = Kept({"seed": 0, "eval_mean": 9.0}, {})
    candidate = Candidate("CartPole-v1", Runs(line(), [0, 1, 2], {0: own}), Runs(line("gamma=0.5"), [0], {}))
    _keep(candidate, page)
    assert candidate.ours
    assert candidate.baseline
    assert [run.summary.get("eval_mean") for run in candidate.ours.finished] == [9, None]
    assert candidate.ours.absent == [2]
    assert [run.summary["eval_mean"] for run in candidate.baseline.finished] == [5]
    assert candidate.entry().kept
