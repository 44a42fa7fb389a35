"""The figure: what failing runs share with recovering ones, and which change keeps the baseline from failing."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rl.experiments.collapse.conditions import BASELINE, UNBOUND, Condition
from rl.experiments.collapse.outcomes import FAILED, GRID, SUCCEEDED, Outcome, aligned, groups, outcome
from rl.experiments.collapse.training import Run
from rl.run.figure import BLACK, BLUE, ORANGE, canvas, finish, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLES = ((ORANGE, "-"), (BLUE, "--"), (BLACK, ":"))
_PANELS = (
    ("return", "training return,\nlast 20 episodes"),
    ("bias", "V(start) − true\ndiscounted return"),
    ("saturated_critic", "saturated units of the\ncritic's last hidden layer"),
)


def draw(conditions: Sequence[Condition], runs: Mapping[str, Sequence[Run]], path: Path) -> None:
    """Runs aligned at their first fall, and shares of failed and successful runs by condition."""
    with canvas(7.2, 5.2) as figure:
        grid = figure.add_gridspec(len(_PANELS), 2, width_ratios=(1, 1.1))
        panels = [figure.add_subplot(grid[row, 0]) for row in range(len(_PANELS))]
        for axes, (name, label) in zip(panels, _PANELS, strict=True):
            _draw_aligned(axes, runs, name)
            finish(axes, y=label)
            axes.tick_params(labelbottom=axes is panels[-1])
        panels[-1].set_ylim(0, 1.05)
        panels[0].set_title("around the first fall: median and quartiles", fontsize="medium")
        panels[-1].set_xlabel("thousand steps from the first fall")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
        _draw_shares(figure.add_subplot(grid[:, 1]), {each.label: outcome(runs[each.label]) for each in conditions})
        save(figure, path)


def _draw_aligned(axes: "Axes", runs: Mapping[str, Sequence[Run]], name: str) -> None:
    for (label, chosen), (color, style) in zip(groups(runs[BASELINE], runs[UNBOUND]).items(), _STYLES, strict=False):
        x = aligned(chosen, name)
        known = np.isfinite(x).any(0)
        at, (low, middle, high) = GRID[known] / 1e3, np.nanquantile(x[:, known], (0.25, 0.5, 0.75), axis=0)
        axes.plot(at, middle, style, color=color, label=f"{label} ({len(chosen)} runs)")
        axes.fill_between(at, low, high, color=color, alpha=0.15, lw=0)
    axes.axvline(0, color="0.6", lw=0.8, zorder=0)


def _draw_shares(axes: "Axes", outcomes: Mapping[str, Outcome]) -> None:
    """One row per condition, sorted from most to fewest failed runs."""
    order = sorted(outcomes, key=lambda label: -outcomes[label].failed.value)
    for row, label in enumerate(order):
        x = outcomes[label]
        for share, color, marker, shift in ((x.failed, ORANGE, "o", 0.15), (x.succeeded, BLUE, "s", -0.15)):
            axes.plot([share.low, share.high], [row + shift] * 2, color=color, lw=1.5, solid_capstyle="butt")
            axes.plot(share.value, row + shift, marker, color=color, ms=4)
    for text, color, marker in ((f"below {FAILED}", ORANGE, "o"), (f"{SUCCEEDED} or more", BLUE, "s")):
        axes.plot([], [], marker, color=color, ms=4, label=text)
    axes.set_yticks(range(len(order)), order)
    axes.get_yticklabels()[order.index(BASELINE)].set_fontweight("bold")
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.set_xlim(-0.02, 1.02)
    finish(axes, "share of runs, with 95 % interval", title="final score, the baseline with one change")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2, frameon=False)
