"""The panel of normalized scores, which shows all environments on one axis."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from rl.experiments.drawing import draw_interval
from rl.experiments.statistics import Interval, Scores, bootstrap, iqm
from rl.experiments.suites.bars import normalized_scores
from rl.experiments.suites.figure import GRAY
from rl.experiments.suites.suite import Below, Report
from rl.run.figure import BLACK, BLUE, ORANGE, finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LIMITS = (-1.0, 6.0)  # scores beyond these are drawn at the edge


def score_panel(report: Report) -> Below | None:
    """The panel; None if no environment has normalized scores."""
    scores = {entry.env: task for entry in report.finished if (task := normalized_scores(entry)) is not None}
    return Below(0.22 * (len(scores) + 1) + 0.8, partial(_draw, scores)) if scores else None


def _draw(scores: Mapping[str, Scores], axes: "Axes") -> None:
    """One row per environment: every seed as a circle, the interquartile mean and its 95 % interval; last row: all."""
    tasks = list(scores.values())
    everything = np.concatenate(tasks)
    low, high = max(_LIMITS[0], min(0.0, everything.min())), min(_LIMITS[1], max(1.0, everything.max()))
    for row, task in enumerate(tasks):
        inside = (task >= low) & (task <= high)
        axes.plot(task[inside], np.full(inside.sum(), row - 0.22), "o", ms=3, mfc="none", mec=BLUE, mew=0.7)
        for beyond, edge, marker in ((task > high, high, ">"), (task < low, low, "<")):
            axes.plot(np.full(beyond.sum(), edge), np.full(beyond.sum(), row - 0.22), marker, ms=4, color=BLUE)
        _draw_row(axes, row + 0.15, bootstrap([task], iqm), BLUE)
    _draw_row(axes, len(scores), bootstrap(tasks, iqm), BLACK)
    axes.axvline(0, color=GRAY, ls=":", lw=1)
    axes.axvline(1, color=ORANGE, ls="--", lw=1.1)
    margin = 0.03 * (high - low)
    axes.set_xlim(low - margin, high + margin)
    axes.set_yticks(range(len(scores) + 1), [*scores, "all environments"])
    axes.set_ylim(len(scores) + 0.6, -0.6)
    beyond_edge = ", triangles: beyond the axis" if _exceeds(everything, low, high) else ""
    title = f"""circles: final return of each seed{beyond_edge}; bars: interquartile mean, 95 % interval, at the right
(the verdicts in the table compare means)"""
    finish(axes, "normalized return (0: random actions, 1: the bar)", title=title)
    axes.grid(visible=False, axis="y")


def _exceeds(scores: Sequence[float] | Scores, low: float, high: float) -> bool:
    return bool(min(scores) < low or max(scores) > high)


def _draw_row(axes: "Axes", row: float, score: Interval, color: str) -> None:
    """The interval, and its numbers on the right."""
    draw_interval(axes, row, *score, color)
    axes.annotate(f"{score:.2f}", (1.01, row), xycoords=("axes fraction", "data"), va="center", color=color)
