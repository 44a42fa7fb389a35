"""The suite's figure: a panel of training curves an environment, and the normalized scores of all."""

from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rl import figures
from rl.record import read_columns
from rl.statistics import bootstrap, iqm, mean_interval, on_grid
from rl.zoo.report import Entry, Report, aggregate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OURS, _ZOO, _RANDOM, _FINAL = "#0072b2", "#d55e00", "0.45", "#000000"  # Okabe & Ito 2008
_RETURN = "rollout/ep_rew_mean"
_COLUMNS = 4
_TICKS = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)
_CAPTION = "curves: training return, last 100 episodes; diamonds: final return, mean over seeds and 95 % interval"


def draw(of: Report, path: Path) -> None:
    """Draws what is finished into `path`.png and `path`.pdf. Raises ValueError if nothing is."""
    import matplotlib as mpl
    from matplotlib.figure import Figure  # costs 0.7 s: only for those who draw

    entries = [entry for entry in of.entries if entry.runs]
    if not entries:
        raise ValueError("no run is finished")
    scored = [entry for entry in entries if entry.normalized is not None]
    columns = min(_COLUMNS, len(entries))
    rows = ceil(len(entries) / columns)
    heights = [1.45 * rows + 0.3, *([0.17 * (len(scored) + 1) + 0.6] if scored else [])]  # inches
    with mpl.rc_context({"font.size": 7, "pdf.fonttype": 42}):
        figure = Figure(figsize=(7.2, sum(heights) + 0.9), layout="constrained")
        curves, *below = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        panels = curves.subplots(rows, columns, squeeze=False)
        for axes, entry in zip(panels.flat, entries, strict=False):
            _draw_curves(axes, entry, len(of.seeds))
        for axes in panels.flat[len(entries) :]:
            axes.set_axis_off()
        curves.supxlabel("environment steps", fontsize="medium")
        curves.supylabel("return", fontsize="medium")
        for part in below:
            _draw_scores(part.subplots(), scored)
        labeled = {
            label: line for axes in panels.flat for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(labeled.values(), labeled.keys(), loc="outside lower center", ncols=5, frameon=False)
        title = f"Every recipe beside rl-baselines3-zoo, {len(of.seeds)} seeds"
        figure.suptitle(f"{title}\n{_CAPTION}", fontsize="medium")
        figures.save(figure, path)


def _draw_curves(axes: "Axes", entry: Entry, seeds: int) -> None:
    """Every seed thin, their interquartile mean bold, and at the end the score that the table holds to rl-zoo's."""
    from matplotlib.ticker import MaxNLocator

    runs = [read_columns(run.directory / "metrics.csv") for run in entry.runs]
    for i, run in enumerate(runs):
        axes.plot(run["step"], run[_RETURN], color=_OURS, lw=0.6, alpha=0.45, label=None if i else "ours, each seed")
    try:
        grid, curves = on_grid(runs, "step", _RETURN)
        axes.plot(grid, iqm([curves.T]), color=_OURS, lw=1.6, label="ours, interquartile mean")
    except ValueError:  # no step at which every seed has finished an episode
        pass
    final, end = mean_interval(entry.scores), max(run["step"][-1] for run in runs)
    axes.plot([end, end], [final.low, final.high], color=_FINAL, lw=1, clip_on=False)
    axes.plot(end, final.value, "D", ms=3, color=_FINAL, clip_on=False, zorder=3, label="ours, evaluation")
    axes.axhline(entry.published.mean, color=_ZOO, ls="--", lw=1.1, label="rl-baselines3-zoo, evaluation")
    if entry.random is not None:
        axes.axhline(entry.random, color=_RANDOM, ls=":", lw=1, label="random actions")
    partly = f" ({len(runs)} of {seeds})" if len(runs) < seeds else ""
    axes.set_title(entry.env + partly, fontsize="medium")
    figures.finish(axes)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(lambda x, _: _short(x))


def _short(steps: float) -> str:
    """500,000 → "500k"; 2,500,000 → "2.5M"."""
    return f"{steps / 1e6:g}M" if steps >= 1e6 else f"{steps / 1e3:g}k" if steps else "0"


def _draw_scores(axes: "Axes", entries: list[Entry]) -> None:
    """A row an environment: every seed as a circle, their interquartile mean and its 95 % interval; all at the end."""
    rows = [(entry.env, entry.normalized) for entry in entries]
    for y, (_, scores) in enumerate(rows):
        assert scores is not None
        axes.plot(scores, np.full(len(scores), y - 0.22), "o", ms=3, mfc="none", mec=_OURS, mew=0.7, clip_on=False)
        _draw_interval(axes, y + 0.15, *bootstrap([scores], iqm), _OURS)
    overall = aggregate(entries)
    assert overall is not None
    _draw_interval(axes, len(rows), *overall, _FINAL)
    axes.axvline(0, color=_RANDOM, ls=":", lw=1)
    axes.axvline(1, color=_ZOO, ls="--", lw=1.1)
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
