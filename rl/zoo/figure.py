"""The suite's figure: a panel of training curves an environment, and the normalized scores of all."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rl.statistics import Scores, bootstrap, iqm
from rl.suites import panels
from rl.suites.panels import FINAL, GOAL, OURS, RANDOM, Panel, Reference
from rl.suites.report import Report
from rl.zoo import PUBLISHED
from rl.zoo.report import aggregate, normalized, scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TICKS = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)


def draw(of: Report, path: Path) -> None:
    """Draws what is finished into `path`.png and `path`.pdf. Raises ValueError if nothing is."""
    if not of.finished:
        raise ValueError("no run is finished")
    shown = [
        Panel(entry, scores(entry), Reference(PUBLISHED[entry.env].mean, "rl-baselines3-zoo, evaluation", GOAL, "--"))
        for entry in of.finished
    ]
    found = [(entry.env, normalized(entry)) for entry in of.finished]
    scored = [(env, task) for env, task in found if task is not None]
    heights = [panels.height(shown), *([0.17 * (len(scored) + 1) + 0.6] if scored else [])]  # inches
    with panels.page(sum(heights)) as figure:
        curves, *below = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        panels.draw(curves, shown, len(of.seeds))
        for part in below:
            _draw_scores(part.subplots(), scored, of)
        panels.conclude(figure, f"Every recipe beside rl-baselines3-zoo, {len(of.seeds)} seeds", path)


def _draw_scores(axes: "Axes", rows: list[tuple[str, Scores]], of: Report) -> None:
    """A row an environment: every seed as a circle, their interquartile mean and its 95 % interval; all at the end."""
    for y, (_, task) in enumerate(rows):
        axes.plot(task, np.full(len(task), y - 0.22), "o", ms=3, mfc="none", mec=OURS, mew=0.7, clip_on=False)
        _draw_interval(axes, y + 0.15, *bootstrap([task], iqm), OURS)
    overall = aggregate(of.entries)
    assert overall is not None
    _draw_interval(axes, len(rows), *overall, FINAL)
    axes.axvline(0, color=RANDOM, ls=":", lw=1)
    axes.axvline(1, color=GOAL, ls="--", lw=1.1)
    axes.set_xscale("symlog", linthresh=1.0)
    low, high = axes.get_xlim()
    shown = [tick for tick in _TICKS if low <= tick <= high]
    axes.set_xticks(shown, [f"{tick:g}" for tick in shown])
    axes.set_xticks([], minor=True)
    axes.set_yticks(range(len(rows) + 1), [*(env for env, _ in rows), "all of them"])
    axes.set_ylim(len(rows) + 0.6, -0.6)
    axes.set_xlabel("normalized score (0: random actions, 1: rl-baselines3-zoo; logarithmic beyond ±1)")
    axes.grid(alpha=0.25, axis="x")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_interval(axes: "Axes", y: float, center: float, low: float, high: float, color: str) -> None:
    axes.plot([low, high], [y, y], color=color, lw=2, solid_capstyle="butt")
    axes.plot(center, y, "|", ms=7, mew=2, color=color)
