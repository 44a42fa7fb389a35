"""The curves of a suite: a panel an environment, every seed in it, and what its final score is held to."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rl.experiments.statistics import iqm, mean_interval, on_grid
from rl.experiments.suites.report import Entry
from rl.run import figure as figure_files
from rl.run.results import read_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase


OURS, GOAL, RANDOM, FINAL = "#0072b2", "#d55e00", "0.45", "#000000"  # Okabe & Ito 2008

_WIDTH = 7.2  # inches

_RETURN = "rollout/ep_rew_mean"

_COLUMNS = 4

_CAPTION = "curves: training return, last 100 episodes; diamonds: final return, mean over seeds and 95 % interval"


class Reference(NamedTuple):
    """A line at one height across a panel."""

    value: float
    label: str
    color: str
    style: str


class Panel(NamedTuple):
    """An environment with a finished run."""

    entry: Entry
    scores: Sequence[float]  # final, one a run
    goal: Reference | None  # what they are held to

    @property
    def references(self) -> list[Reference]:
        mean = self.entry.random_mean
        random = None if mean is None else Reference(mean, "random actions", RANDOM, ":")
        return [each for each in (self.goal, random) if each is not None]


@contextmanager
def page(inches: float) -> "Iterator[Figure]":
    """A figure of this height, in which text is as large as in print."""
    import matplotlib as mpl
    from matplotlib.figure import Figure  # costs 0.7 s: only for those who draw

    with mpl.rc_context({"font.size": 7, "pdf.fonttype": 42}):
        yield Figure(figsize=(_WIDTH, inches + 0.9), layout="constrained")  # with title and legend


def height(panels: Sequence[Panel]) -> float:
    """Inches."""
    return 1.45 * ceil(len(panels) / _COLUMNS) + 0.3


def draw(figure: "FigureBase", panels: Sequence[Panel], seeds: int) -> None:
    """seeds: how many a panel has when it is complete."""
    columns = min(_COLUMNS, len(panels))
    every = figure.subplots(ceil(len(panels) / columns), columns, squeeze=False)
    for axes, panel in zip(every.flat, panels, strict=False):
        _draw_curves(axes, panel, seeds)
    for axes in every.flat[len(panels) :]:
        axes.set_axis_off()
    figure.supxlabel("environment steps", fontsize="medium")
    figure.supylabel("return", fontsize="medium")


def conclude(figure: "Figure", title: str, path: Path) -> None:
    """The legend of all panels, the title, and the files `path`.png and `path`.pdf."""
    labeled = {
        label: line for axes in figure.get_axes() for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(labeled.values(), labeled.keys(), loc="outside lower center", ncols=5, frameon=False)
    figure.suptitle(f"{title}\n{_CAPTION}", fontsize="medium")
    figure_files.save(figure, path)


def _draw_curves(axes: "Axes", panel: Panel, seeds: int) -> None:
    """Every seed thin, their interquartile mean bold, and at the end the score that the table judges."""
    from matplotlib.ticker import MaxNLocator

    runs = [read_columns(run.directory / "metrics.csv") for run in panel.entry.runs]
    for i, run in enumerate(runs):
        axes.plot(run["step"], run[_RETURN], color=OURS, lw=0.6, alpha=0.45, label=None if i else "ours, each seed")
    try:
        grid, curves = on_grid(runs, "step", _RETURN)
        axes.plot(grid, iqm([curves.T]), color=OURS, lw=1.6, label="ours, interquartile mean")
    except ValueError:  # no step at which every seed has finished an episode
        pass
    final, end = mean_interval(panel.scores), max(run["step"][-1] for run in runs)
    axes.plot([end, end], [final.low, final.high], color=FINAL, lw=1, clip_on=False)
    axes.plot(end, final.value, "D", ms=3, color=FINAL, clip_on=False, zorder=3, label="ours, evaluation")
    for line in panel.references:
        axes.axhline(line.value, color=line.color, ls=line.style, lw=1.1, label=line.label)
    partly = f" ({len(runs)} of {seeds})" if len(runs) < seeds else ""
    axes.set_title(panel.entry.env.rpartition(":")[2] + partly, fontsize="medium")
    figure_files.finish(axes)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(lambda x, _: _short(x))


def _short(steps: float) -> str:
    """500,000 → "500k"; 2,500,000 → "2.5M"."""
    return f"{steps / 1e6:g}M" if steps >= 1e6 else f"{steps / 1e3:g}k" if steps else "0"
