"""Figures of runs whose names matplotlib would not draw as they are."""

from pathlib import Path

from rl.experiments.plots import comparison_figure
from rl.run.figure import learning_curve, plain_text
from rl.run.results import Result
from tests.runs import unfinished_run


def test_a_learning_curve_has_any_environment_in_its_title(tmp_path: Path) -> None:
    """matplotlib raises on the formula "$x_$" and on a lone surrogate."""
    run = unfinished_run(tmp_path / "run")
    run.joinpath("metrics.csv").write_text("step,rollout/ep_rew_mean\n100,1\n", encoding="utf-8")
    run.joinpath("episodes.csv").write_text("step,return\n100,1\n", encoding="utf-8")
    assert learning_curve(run, "a$x_$ \udcff.py:Env", "a2c", 0, None).stat().st_size > 10_000


def test_labels_are_drawn_as_they_are(tmp_path: Path) -> None:
    lines = {label: [Result(unfinished_run(tmp_path / str(i)), {})] for i, label in enumerate(("_mine", "a$x_$"))}
    with comparison_figure(lines, "title $y^$", {}) as figure:
        figure.draw_without_rendering()
        (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [" _mine", r"a\$x_\$"]
    assert plain_text("CartPole-v1: a2c, seed 0") == "CartPole-v1: a2c, seed 0"
