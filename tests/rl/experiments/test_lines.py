"""Run directories as lines, and the function `rl.plot`."""

from pathlib import Path

import pytest

import rl.plot
from agents.settings.values import ConfigError
from rl.experiments.lines import lines_of
from tests.runs import unfinished_run


def test_a_line_of_older_runs_is_named_by_what_they_hold(tmp_path: Path) -> None:
    unfinished_run(tmp_path / "0")
    unfinished_run(tmp_path / "1", n_steps=5)
    env_id, lines = lines_of([tmp_path])
    assert (env_id, list(lines)) == ("A-v0", ["defaults", "n_steps 5"])


def test_a_line_of_another_agent_does_not_put_every_setting_of_the_recipe_into_the_labels(tmp_path: Path) -> None:
    recipe = {"num_envs": 16, "normalize_rewards": True}
    unfinished_run(tmp_path / "0", **recipe)
    unfinished_run(tmp_path / "1", **recipe, n_steps=5)
    unfinished_run(tmp_path / "2", agent="ppo", num_envs=8)
    assert list(lines_of([tmp_path])[1]) == ["a2c", "a2c, n_steps 5", "ppo"]


def test_plot_returns_a_figure(tmp_path: Path) -> None:
    runs = [unfinished_run(tmp_path / "0"), unfinished_run(tmp_path / "1", seed=1)]
    figure = rl.plot(runs[0], str(runs[1]))
    curve = figure.axes[0].get_lines()[0]
    assert curve.get_xydata()[[0, -1]].tolist() == [[100, 100 / 3], [300, 100]]
    assert "1 line" not in figure.get_suptitle()
    assert figure.get_suptitle().startswith("A-v0: 2 runs")
    sizes = {label.get_size() for axes in figure.axes for label in axes.get_xticklabels()}
    assert sizes == {8.0}  # as in print, although drawn later


def test_plot_needs_runs() -> None:
    with pytest.raises(ConfigError, match="plot takes run directories"):
        rl.plot()
