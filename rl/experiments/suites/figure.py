"""The figure of a suite: one panel per environment with every seed, the final scores, and the goal."""

from collections.abc import Sequence
from math import ceil, floor, log10
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

from rl.experiments.curves import on_grid
from rl.experiments.pages import counted
from rl.experiments.statistics import METHOD, iqm, mean_interval
from rl.experiments.suites.kept import RETURN
from rl.experiments.suites.suite import Entry, Report, Suite
from rl.run.figure import BLACK, BLUE, GREEN, ORANGE, canvas, finish, legend, save
from rl.run.results import Columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

GRAY = "0.45"
_COLUMNS = 3
_CAPTION = "curves: training return (stochastic policy), last 100 episodes; diamonds: evaluation after training, mean"
_MANY_DECADES = 100.0  # beyond this ratio of magnitudes, returns get a logarithmic axis


def draw(suite: Suite, report: Report, path: Path) -> None:
    """Draws finished runs into `path`.png and `path`.pdf, and below them the suite's own panel, if any.

    Raises ValueError if no run is finished.
    """
    if not report.finished:
        raise ValueError("no run is finished")
    heights = [1.6 * ceil(len(report.finished) / _COLUMNS) + 0.3]  # inches
    below = suite.below and suite.below(report)
    heights += [below.height] if below else []
    with canvas(7.2, sum(heights) + 1.1) as figure:
        parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        _draw_environments(parts[0], suite, report)
        if below:
            below.draw(parts[1].subplots())
        legend(figure, columns=3)
        title = f"{suite.title}, {counted(len(report.seeds), 'seed')}"
        figure.suptitle(f"{title}\n{fill(f'{_CAPTION} and 95 % {METHOD} interval', 90)}", fontsize="medium")
        save(figure, path)


def _draw_environments(figure: "FigureBase", suite: Suite, report: Report) -> None:
    entries = report.finished
    columns = min(_COLUMNS, len(entries))
    panels = figure.subplots(ceil(len(entries) / columns), columns, squeeze=False)
    for axes, entry in zip(panels.flat, entries, strict=False):
        goal = suite.goal(entry)
        _draw_environment(axes, entry)
        if goal is not None:
            if goal.low < goal.high:
                axes.axhspan(goal.low, goal.high, color=ORANGE, alpha=0.2, lw=0, label="the bar's 95 % interval")
            axes.axhline(goal.value, color=ORANGE, ls="--", lw=1.1, label=suite.goal_label)
        for played, label, color, style in (
            (entry.random, "random actions", GRAY, ":"), (entry.still, "standing still", GREEN, "-.")
        ):  # fmt: skip
            if played is not None:
                axes.axhline(played.mean, color=color, ls=style, lw=1.1, label=label)
        partly = f" ({len(entry.runs)} of {len(report.seeds)})" if len(entry.runs) < len(report.seeds) else ""
        finish(axes, title=entry.env.rpartition(":")[2] + partly)
        _set_scale(axes)
    for axes in panels.flat[len(entries) :]:
        axes.set_axis_off()
    figure.supxlabel("environment steps", fontsize="medium")
    figure.supylabel("return", fontsize="medium")


def _draw_environment(axes: "Axes", entry: Entry) -> None:
    """Every seed as a thin line, the interquartile mean as a bold one, and at the end both evaluations."""
    from matplotlib.ticker import MaxNLocator

    curves = [curve for run in entry.runs if (curve := run.metrics())]
    if curves:
        _draw_curves(axes, curves)
    else:
        box = {"fc": "white", "ec": "none", "pad": 1}
        axes.annotate("curves not kept", (0.45, 0.3), xycoords="axes fraction", ha="center", color=GRAY, bbox=box)
    end = max(entry.column("total_timesteps"))
    for at, scores, face, label in (
        (end, entry.column("eval_stochastic_mean"), "white", "ours after training, stochastic"),
        (1.05 * end, entry.column("eval_mean"), BLACK, "ours after training, deterministic"),
    ):
        final = mean_interval(scores)
        axes.plot([at, at], [final.low, final.high], color=BLACK, lw=1)
        axes.plot(at, final.value, "D", ms=3.5, mfc=face, mec=BLACK, mew=0.8, zorder=3, label=label)
    axes.set_xlim(0, 1.1 * end)
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(lambda x, _: _short(x))


def _draw_curves(axes: "Axes", runs: Sequence[Columns]) -> None:
    for i, run in enumerate(runs):
        axes.plot(run["step"], run[RETURN], color=BLUE, lw=0.6, alpha=0.4, label=None if i else "ours, each seed")
    try:
        grid, curves = on_grid(runs, "step", RETURN)
    except ValueError:  # no step at which every seed has finished an episode
        return
    axes.plot(grid, iqm([curves.T]), color=BLUE, lw=1.6, label="ours, interquartile mean")


def _set_scale(axes: "Axes") -> None:
    """A logarithmic axis if all returns are negative and of very different size, as in CliffWalking."""
    low, high = axes.dataLim.intervaly
    if high < 0 and low / high > _MANY_DECADES:
        axes.set_yscale("symlog", linthresh=10.0 ** floor(log10(-high)))


def _short(steps: float) -> str:
    """500,000 → "500k"; 2,500,000 → "2.5M"."""
    return f"{steps / 1e6:g}M" if steps >= 1e6 else f"{steps / 1e3:g}k" if steps else "0"
