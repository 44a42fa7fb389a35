"""Figures of many lines: one color each, nothing truncated, correct targets and budgets."""

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import imread

from agents.settings.files import write_yaml
from rl.experiments import plots
from rl.run.results import Result

Lines = dict[str, list[Result]]


def lines_of(folder: Path, number: int, runs: int, **settings: object) -> Lines:
    """Line i has a long label and runs of 1,000 (1 + i) steps."""
    return {
        f"a line whose settings are long {i}": [
            run_of(folder / f"{i}-{k}", 1_000 * (1 + i), settings) for k in range(runs)
        ]
        for i in range(number)
    }


def run_of(folder: Path, steps: int, settings: dict[str, object]) -> Result:
    folder.mkdir()
    rng = np.random.default_rng(steps)
    names = ("step", "time/seconds", "rollout/ep_rew_mean", "train/policy_shift_kl", "train/entropy", "train/grad_norm")
    step = np.linspace(steps / 50, steps, 50)
    columns = np.stack([step, step / 1e5, *rng.uniform(1e-3, 2e-3, (4, 50))], 1)
    np.savetxt(folder / "metrics.csv", columns, delimiter=",", header=",".join(names), comments="")
    write_yaml(folder / "config.yaml", {"total_timesteps": steps, **settings})
    summary = {"eval_mean": float(steps), "eval_stochastic_mean": float(steps), "eval_episodes": 100}
    (folder / "summary.json").write_text(json.dumps(summary))
    return Result(folder, summary)


@pytest.mark.parametrize(("number", "runs"), [(1, 1), (4, 3), (9, 2), (30, 1)])
def test_nothing_is_cut_and_no_color_stands_twice(tmp_path: Path, number: int, runs: int) -> None:
    lines = lines_of(tmp_path, number, runs)
    plots.comparison(lines, tmp_path / "figure", "CartPole-v1: a title", {"random actions": 1.0, "threshold": 475.0})
    picture = imread(tmp_path / "figure.png")[..., :3]
    edges = np.concatenate([picture[:2].ravel(), picture[-2:].ravel(), picture[:, :2].ravel(), picture[:, -2:].ravel()])
    assert (edges == 1).all()
    assert (tmp_path / "figure.pdf").read_bytes().startswith(b"%PDF")
    assert len({to_hex(color) for color, _ in plots._looks(number)}) == max(number, len(plots._PALETTE))


def test_curves_against_seconds(tmp_path: Path) -> None:
    lines = lines_of(tmp_path, 2, runs=2)
    axes = Figure().subplots()
    curves = {name: [run.metrics() for run in runs] for name, runs in lines.items()}
    panel = plots._RETURN._replace(x="time/seconds")
    plots._draw_panel(axes, lines, curves, panel, "log")
    assert (axes.get_xscale(), axes.get_xlabel()) == ("log", "seconds of training")
    assert [line.get_xdata()[-1] for line in axes.get_lines()] == pytest.approx([0.01, 0.02])
    plots.comparison(lines, tmp_path / "figure", "CartPole-v1: a title", {"threshold": 475.0}, timed=True)
    assert (tmp_path / "figure.pdf").exists()


def test_each_line_ends_at_its_own_end(tmp_path: Path) -> None:
    axes = Figure().subplots()
    lines = lines_of(tmp_path, 3, runs=2)
    curves = {name: [run.metrics() for run in runs] for name, runs in lines.items()}
    plots._draw_panel(axes, lines, curves, plots._RETURN, "linear")
    assert [line.get_xdata()[-1] for line in axes.get_lines()] == [1_000, 2_000, 3_000]


@pytest.mark.parametrize(
    ("panel", "setting", "target", "ends"),
    [
        (plots._SHIFT, "target_policy_shift", 5e-4, [5e-4, 5e-4]),
        (plots._ENTROPY, "target_entropy", "linear(0.6, 0.05)", [0.6, 0.05]),
    ],
)
def test_targets_are_drawn(tmp_path: Path, panel: plots.Panel, setting: str, target: object, ends: list[float]) -> None:
    axes = Figure().subplots()
    lines = lines_of(tmp_path, 1, runs=2, **{setting: target})
    plots._draw_panel(axes, lines, {name: [run.metrics() for run in runs] for name, runs in lines.items()}, panel)
    (drawn,) = [line for line in axes.get_lines() if str(line.get_label()).endswith(str(target))]
    assert [drawn.get_ydata()[0], drawn.get_ydata()[-1]] == pytest.approx(ends)
    assert drawn.get_xdata()[-1] == 1_000


def test_log_axes_end_near_the_curves(tmp_path: Path) -> None:
    """If one run of three has no shift, the band reaches 0, but the axis does not."""
    axes, lines = Figure().subplots(), lines_of(tmp_path, 1, runs=3)
    (runs,) = ([run.metrics() for run in each] for each in lines.values())
    runs[0][plots._SHIFT.metric][:] = 1e-12
    plots._draw_panel(axes, lines, dict.fromkeys(lines, runs), plots._SHIFT)
    low, high = axes.get_ylim()
    assert axes.get_yscale() == "log"
    assert 2e-4 < low < 1e-3
    assert 1e-3 < high < 3e-3


def test_panels_without_a_line_are_hidden(tmp_path: Path) -> None:
    axes, lines = Figure().subplots(), lines_of(tmp_path, 1, runs=1)
    plots._draw_panel(
        axes, lines, {name: [run.metrics() for run in runs] for name, runs in lines.items()}, plots._ADAPTED[0]
    )
    assert not axes.get_visible()


def test_a_schedule_that_all_lines_share_is_no_panel() -> None:
    falling, step = np.linspace(1e-3, 0, 5), np.arange(5.0)
    shared = {"step": step, "train/learning_rate": falling, "train/grad_norm": step}
    assert plots._fourth({"a": [shared], "b": [shared]}) == plots._GRADIENT
    assert plots._fourth({"a": [shared], "b": [{**shared, "train/learning_rate": 2 * falling}]}) == plots._ADAPTED[0]
    assert plots._fourth({"a": [shared]}) == plots._ADAPTED[0]
    stream = {name: values for name, values in shared.items() if name == "step"}
    assert plots._fourth({"a": [shared], "stream": [stream]}) is None, "it says nothing about one of them"
