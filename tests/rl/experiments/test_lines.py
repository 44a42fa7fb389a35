"""Run directories as lines; `rl.plot`, the function of that name."""

from pathlib import Path

import pytest

import rl.plot
from agents.settings.files import write_yaml
from agents.settings.values import ConfigError
from rl.experiments.lines import lines_of


def run(directory: Path, **settings: object) -> Path:
    """An unfinished run that trained for 300 steps."""
    directory.mkdir()
    write_yaml(directory / "config.yaml", {"env": "A-v0", "agent": "a2c", "seed": 0, **settings})
    names = ["step", "rollout/ep_rew_mean", "train/policy_shift_kl", "train/entropy"]
    rows = [[step, step / 3, 0.01, 0.5] for step in (100, 200, 300)]
    text = "\n".join(",".join(map(str, row)) for row in [names, *rows])
    (directory / "metrics.csv").write_text(f"{text}\n", encoding="utf-8")
    return directory


def test_a_line_of_older_runs_is_named_by_what_they_hold(tmp_path: Path) -> None:
    run(tmp_path / "0")
    run(tmp_path / "1", n_steps=5)
    env_id, lines = lines_of([tmp_path])
    assert (env_id, list(lines)) == ("A-v0", ["defaults", "n_steps 5"])


def test_plot_returns_a_figure(tmp_path: Path) -> None:
    runs = [run(tmp_path / "0"), run(tmp_path / "1", seed=1)]
    figure = rl.plot(runs[0], str(runs[1]))
    curve = figure.axes[0].get_lines()[0]
    assert curve.get_xydata()[[0, -1]].tolist() == [[100, 100 / 3], [300, 100]]
    assert "1 line" not in figure.get_suptitle()
    assert figure.get_suptitle().startswith("A-v0: 2 runs")
    sizes = {label.get_size() for axes in figure.axes for label in axes.get_xticklabels()}
    assert sizes == {8.0}  # as in print, though they are drawn later


def test_plot_needs_runs() -> None:
    with pytest.raises(ConfigError, match="plot takes run directories"):
        rl.plot()
