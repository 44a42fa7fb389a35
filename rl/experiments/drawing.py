"""What figures are made of: mean curves with bands, scores with intervals. Each function draws into given axes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rl.experiments.curves import mean_curve, on_grid
from rl.experiments.statistics import Statistic, bootstrap, iqm
from rl.run.figure import finish, styles
from rl.run.results import Columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Looks = Iterable[tuple[str, str]]  # color and line style, one pair per line


def draw_curves(
    axes: "Axes", lines: Mapping[str, Sequence[Columns]], x: str, y: str, looks: Looks | None = None, bands: bool = True
) -> None:
    """The mean over each line's runs with its interval; or every run, if the runs have no x in common."""
    logarithmic = axes.get_xscale() == "log"
    for (name, seeds), (color, style) in zip(lines.items(), looks or styles(), strict=False):
        if any(y not in run for run in seeds):
            continue
        try:
            grid, curves = on_grid(seeds, x, y, logarithmic=logarithmic)
        except ValueError:
            for i, run in enumerate(seeds):
                axes.plot(run[x], run[y], ".-", color=color, lw=0.7, label=None if i else name)
            continue
        if bands:
            draw_band(axes, grid, mean_curve(curves, resamples=1_000), color, style, name)
        else:
            axes.plot(grid, curves.mean(0), color=color, lw=0.7)


def draw_scores(
    axes: "Axes", scores: Mapping[str, Sequence[float]], statistic: Statistic = iqm, looks: Looks | None = None
) -> None:
    """One row per line: every run as a dot, and above the dots their statistic with its interval."""
    for row, (values, (color, _)) in enumerate(zip(scores.values(), looks or styles(), strict=False)):
        if not values:
            continue
        spread = np.linspace(0.08, 0.32, len(values)) if len(values) > 1 else np.array([0.0])
        axes.plot(values, row + spread, "o", ms=3, mfc="none", mec=color, mew=0.7, clip_on=False)
        if len(values) > 1:
            draw_interval(axes, row - 0.15, *bootstrap([values], statistic), color)
    axes.set_yticks(range(len(scores)), list(scores))
    axes.set_ylim(len(scores) - 0.4, -0.5)
    finish(axes)
    axes.grid(visible=False, axis="y")


def draw_interval(axes: "Axes", row: float, center: float, low: float, high: float, color: str) -> None:
    axes.plot([low, high], [row, row], color=color, lw=2, solid_capstyle="butt")
    axes.plot(center, row, "|", ms=8, mew=2, color=color)


def draw_band(axes: "Axes", x: NDArray[np.float64], band: Sequence[NDArray[np.float64]], *style: str) -> None:
    """band: middle, lower and upper end. style: color, line style and label."""
    color, line, label = style
    axes.fill_between(x, band[1], band[2], color=color, alpha=0.15, lw=0)
    axes.plot(x, band[0], color=color, ls=line, lw=1.6 if line == "-" else 1.0, label=label)  # thin dashes on a line
