"""The figure of a suite: a panel for each environment with every seed, the final score, and the goal."""

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from rl.experiments.pages import counted
from rl.experiments.statistics import iqm, mean_interval, on_grid
from rl.experiments.suites.suite import Entry, Report, Suite
from rl.run.figure import BLACK, BLUE, ORANGE, canvas, finish, legend, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

RANDOM = "0.45"
_RETURN = "rollout/ep_rew_mean"
_COLUMNS = 4
_CAPTION = "curves: training return, last 100 episodes; diamonds: final return, mean over seeds and 95 % interval"


def draw(suite: Suite, report: Report, path: Path) -> None:
    """Draws what is finished into `path`.png and `path`.pdf, and below it the suite's own panel, if it has one.

    Raises ValueError if nothing is finished.
    """
    if not report.finished:
        raise ValueError("no run is finished")
    heights = [1.45 * ceil(len(report.finished) / _COLUMNS) + 0.3]  # inches
    below = suite.below and suite.below(report)
    heights += [below.height] if below else []
    with canvas(7.2, sum(heights) + 0.9, font_size=7) as figure:
        parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        _draw_environments(parts[0], suite, report)
        if below:
            below.draw(parts[1].subplots())
        legend(figure)
        title = f"{suite.title}, {counted(len(report.seeds), 'seed')}"
        figure.suptitle(f"{title}\n{_CAPTION}", fontsize="medium")
        save(figure, path)


def _draw_environments(figure: "FigureBase", suite: Suite, report: Report) -> None:
    entries = report.finished
    columns = min(_COLUMNS, len(entries))
    panels = figure.subplots(ceil(len(entries) / columns), columns, squeeze=False)
    for axes, entry in zip(panels.flat, entries, strict=False):
        references = [
            (suite.goal(entry), suite.goal_label, ORANGE, "--"), (entry.random_mean, "random actions", RANDOM, ":")
        ]  # fmt: skip
        _draw_environment(axes, entry, entry.column(suite.judged(entry.env)))
        for value, label, color, style in references:
            if value is not None:
                axes.axhline(value, color=color, ls=style, lw=1.1, label=label)
        partly = f" ({len(entry.runs)} of {len(report.seeds)})" if len(entry.runs) < len(report.seeds) else ""
        finish(axes, title=entry.env.rpartition(":")[2] + partly)
    for axes in panels.flat[len(entries) :]:
        axes.set_axis_off()
    figure.supxlabel("environment steps", fontsize="medium")
    figure.supylabel("return", fontsize="medium")


def _draw_environment(axes: "Axes", entry: Entry, scores: Sequence[float]) -> None:
    """Every seed thin, their interquartile mean bold, and at the end the score that the table judges."""
    from matplotlib.ticker import MaxNLocator

    runs = [run.metrics() for run in entry.runs]
    for i, run in enumerate(runs):
        axes.plot(run["step"], run[_RETURN], color=BLUE, lw=0.6, alpha=0.45, label=None if i else "ours, each seed")
    try:
        grid, curves = on_grid(runs, "step", _RETURN)
        axes.plot(grid, iqm([curves.T]), color=BLUE, lw=1.6, label="ours, interquartile mean")
    except ValueError:  # no step at which every seed has finished an episode
        pass
    final, end = mean_interval(scores), max(run["step"][-1] for run in runs)
    axes.plot([end, end], [final.low, final.high], color=BLACK, lw=1, clip_on=False)
    axes.plot(end, final.value, "D", ms=3, color=BLACK, clip_on=False, zorder=3, label="ours, evaluation")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(lambda x, _: _short(x))


def _short(steps: float) -> str:
    """500,000 → "500k"; 2,500,000 → "2.5M"."""
    return f"{steps / 1e6:g}M" if steps >= 1e6 else f"{steps / 1e3:g}k" if steps else "0"
