"""Run directories as lines, and the function `rl.plot`."""

from pathlib import Path

import pytest

import rl.plot
import rl.report
from agents.settings.values import ConfigError
from rl.experiments.lines import lines_of
from rl.experiments.report.content import content
from tests.conftest import Command
from tests.runs import finished_run, unfinished_run


def test_a_line_of_older_runs_is_named_by_what_they_hold(tmp_path: Path) -> None:
    unfinished_run(tmp_path / "0")
    unfinished_run(tmp_path / "1", n_steps=5)
    env_id, lines, _ = lines_of([tmp_path])
    assert (env_id, list(lines)) == ("A-v0", ["defaults", "n_steps 5"])


def test_a_line_of_another_agent_does_not_put_every_setting_of_the_recipe_into_the_labels(tmp_path: Path) -> None:
    recipe = {"num_envs": 16, "normalize_rewards": True}
    unfinished_run(tmp_path / "0", **recipe)
    unfinished_run(tmp_path / "1", **recipe, n_steps=5)
    unfinished_run(tmp_path / "2", agent="ppo", num_envs=8)
    assert list(lines_of([tmp_path])[1]) == ["a2c", "a2c, n_steps 5", "ppo"]


def test_a_run_is_one_run_however_it_is_named_and_whatever_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """wandb leaves a config.yaml of its own inside the run."""
    run = unfinished_run(tmp_path / "0")
    (run / "wandb" / "run-1" / "files").mkdir(parents=True)
    (run / "wandb" / "run-1" / "files" / "config.yaml").write_text("gamma: {value: 0.9}\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    env_id, lines, _ = lines_of([tmp_path, Path("0"), Path("..") / tmp_path.name])
    assert (env_id, [[result.directory for result in runs] for runs in lines.values()]) == ("A-v0", [[run]])


def test_a_seed_that_was_trained_twice_counts_once(tmp_path: Path, command: Command) -> None:
    """The newest finished run counts, or else the newest one; the output and the report name the others."""
    begin = "0-20260101-00000"
    old, new = (finished_run(tmp_path / f"{begin}{second}") for second in (1, 2))
    later, other = unfinished_run(tmp_path / f"{begin}3"), finished_run(tmp_path / "1-20260101-000000", seed=1)
    early, late = (unfinished_run(tmp_path / f"5 steps, {i}", n_steps=5) for i in range(2))
    found = lines_of([tmp_path])
    assert [[run.directory for run in runs] for runs in found.lines.values()] == [[new, other], [late]]
    assert found.repeated == [old, later, early]
    note = f"left out, since another run has the same seed and settings: {old}, {later}, {early}"
    status, out, _ = command(rl.plot, tmp_path, "--out", tmp_path / "figure")
    assert (status, out.splitlines()[:3]) == (0, ["defaults: 2 runs", "n_steps 5: 1 run", note])
    status, out, _ = command(rl.report, tmp_path, "--out", tmp_path / "report.html")
    assert (status, out.splitlines()[0]) == (0, note)
    assert content(found)["note"] == note


def test_plot_returns_a_figure(tmp_path: Path) -> None:
    runs = [unfinished_run(tmp_path / "0"), unfinished_run(tmp_path / "1", seed=1)]
    figure = rl.plot(runs[0], str(runs[1]))
    curve = figure.axes[0].get_lines()[0]
    assert curve.get_xydata()[[0, -1]].ravel().tolist() == pytest.approx([100, 100 / 3, 300, 100], rel=5e-3)
    assert "1 line" not in figure.get_suptitle()
    assert figure.get_suptitle().startswith("A-v0: 2 runs")
    sizes = {label.get_size() for axes in figure.axes for label in axes.get_xticklabels()}
    assert sizes == {8.0}  # as in print, although drawn later


@pytest.mark.parametrize("begun", ["", "step,roll", "step,rollout/ep_rew_mean\n", None])
def test_a_run_without_rows_hides_no_other(begun: str | None, tmp_path: Path) -> None:
    """It has just started: the mean of the others is still drawn."""
    for seed in range(3):
        unfinished_run(tmp_path / str(seed), seed=seed)
    table = tmp_path / "2" / "metrics.csv"
    table.unlink()
    if begun is not None:
        table.write_text(begun, encoding="utf-8")
    axes = rl.plot(tmp_path).axes[0]
    (curve,), (band,) = axes.get_lines(), axes.collections
    assert curve.get_xydata()[[0, -1]].ravel().tolist() == pytest.approx([100, 100 / 3, 300, 100], rel=5e-3)
    assert band.get_paths()
    panels = content(lines_of([tmp_path]))["panels"]
    assert [panel["metric"] for panel in panels] == ["rollout/ep_rew_mean"]  # type: ignore[attr-defined]


def test_plot_needs_rows(tmp_path: Path) -> None:
    unfinished_run(tmp_path / "0").joinpath("metrics.csv").unlink()
    with pytest.raises(ConfigError, match=r"nothing to draw yet: no run has rows in its metrics\.csv"):
        rl.plot(tmp_path)


def test_plot_needs_runs() -> None:
    with pytest.raises(ConfigError, match="plot takes run directories"):
        rl.plot()
