"""Figures of a run directory."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rl.record import Columns, read_columns
from rl.statistics import mean_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLORS = {"episode": "#9ecae1", "mean": "#08519c", "threshold": "#d95f02", "entropy": "#1b7837", "shift": "#762a83"}
_LINE_COLORS = ("#000000", "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00")  # Okabe & Ito 2008
_LINE_STYLES = ("-", "--")
_PANELS = (
    ("rollout/ep_rew_mean", "training return\n(mean of the last 100 episodes)", "linear"),
    ("train/policy_shift_kl", "policy shift KL\n(nats an update)", "log"),
    ("train/entropy", "entropy (nats)", "linear"),
)
_STEERED = (
    ("train/learning_rate", r"learning rate of $\pi_\theta$", "log"),
    ("train/ent_coef", "entropy coefficient", "log"),
)


def learning_curve(directory: Path, env_id: str, agent: str, seed: int, threshold: float | None) -> Path:
    """Draws returns, entropy and policy shift against environment steps into `learning_curve.png`; returns its path."""
    from matplotlib.figure import Figure  # costs 0.7 s: only for those who draw

    episodes, metrics = read_columns(directory / "episodes.csv"), read_columns(directory / "metrics.csv")
    figure = Figure(figsize=(7, 6), layout="constrained")
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=[2.2, 1, 1])
    top.plot(episodes["step"], episodes["return"], ".", ms=2, color=_COLORS["episode"], label="one episode")
    steps, shift = metrics["step"], _COLORS["shift"]
    top.plot(steps, metrics["rollout/ep_rew_mean"], color=_COLORS["mean"], label="mean of the last 100 episodes")
    if threshold is not None:
        top.axhline(threshold, color=_COLORS["threshold"], ls="--", lw=1, label=f"reward threshold, {threshold:g}")
    top.set_ylabel("return")
    figure.suptitle(f"{env_id}: {agent}, seed {seed} (1 run)", fontsize="medium")
    middle.plot(steps, metrics["train/entropy"], color=_COLORS["entropy"])
    middle.set_ylabel("entropy\n(nats)")
    bottom.plot(steps, metrics["train/policy_shift_kl"], color=shift, label="mean of the updates")
    bottom.plot(steps, metrics["train/policy_shift_kl_max"], color=shift, lw=0.6, alpha=0.5, label="largest")
    bottom.set_yscale("log", nonpositive="mask")
    bottom.set_ylabel("policy shift KL\n(nats an update)")
    bottom.set_xlabel("environment steps")
    for axes, markerscale in ((top, 4.0), (bottom, 1.0)):  # above the axes, where no data can lie under it
        axes.legend(
            loc="lower right", bbox_to_anchor=(1, 1), ncols=3, fontsize="small", frameon=False, markerscale=markerscale,
            borderaxespad=0.1,
        )  # fmt: skip
    for axes in (top, middle, bottom):
        _finish(axes)
    path = directory / "learning_curve.png"
    figure.savefig(path, dpi=150)
    return path


def seed_curves(directories: Sequence[Path], path: Path, title: str, threshold: float | None) -> None:
    """Draws the training return of every seed, and their mean with its 95 % bootstrap interval, into `path`."""
    from matplotlib.figure import Figure

    grid, curves = _on_one_grid(_metrics(directories), "rollout/ep_rew_mean")
    mean, low, high = np.array([mean_interval(column, resamples=1_000) for column in curves.T]).T
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for i, curve in enumerate(curves):
        axes.plot(grid, curve, color=_COLORS["episode"], lw=0.7, label="one seed" if i == 0 else None)
    axes.fill_between(grid, low, high, color=_COLORS["mean"], alpha=0.25, lw=0, label="95 % interval of the mean")
    axes.plot(grid, mean, color=_COLORS["mean"], label=f"mean of {len(curves)} seeds")
    if threshold is not None:
        axes.axhline(threshold, color=_COLORS["threshold"], ls="--", lw=1, label=f"threshold, {threshold:g}")
    figure.suptitle(title, fontsize="medium")
    axes.set_xlabel("environment steps")
    axes.set_ylabel("training return\n(mean of the last 100 episodes)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, fontsize="x-small", frameon=False)
    _finish(axes)
    figure.savefig(path, dpi=150)


def line_curves(lines: Mapping[str, Sequence[Path]], path: Path, title: str, threshold: float | None) -> None:
    """Draws lines, each the run directories of its seeds, side by side into `path`: mean and 95 % bootstrap interval
    over seeds of training return, policy shift, entropy, and learning rate or, if only that differs, entropy
    coefficient."""
    from matplotlib.figure import Figure

    runs = {name: _metrics(directories) for name, directories in lines.items()}
    figure = Figure(figsize=(7.2, 5.4), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True)
    shown = (*_PANELS, next((panel for panel in _STEERED if _differs(runs, panel[0])), _STEERED[0]))
    for axes, (column, label, scale) in zip(panels.flat, shown, strict=True):
        styles = zip(cycle(_LINE_COLORS), cycle(_LINE_STYLES), strict=False)
        for (name, seeds), (color, style) in zip(runs.items(), styles, strict=False):
            grid, curves = _on_one_grid(seeds, column)
            mean, low, high = np.array([mean_interval(values, resamples=1_000) for values in curves.T]).T
            axes.fill_between(grid, low, high, color=color, alpha=0.2, lw=0)
            axes.plot(grid, mean, color=color, ls=style, lw=1.3, label=name)
        axes.set_ylabel(label)
        axes.set_yscale(scale)
        _finish(axes, ticks=4)
    if threshold is not None:
        panels[0, 0].axhline(threshold, color="0.4", ls=":", lw=1, label=f"threshold {threshold:g}")
    for axes in panels[1]:
        axes.set_xlabel("environment steps")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    columns = len(labels) if len(labels) <= 4 else 3
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize="small", frameon=False)
    figure.suptitle(f"{title}; mean and 95 % interval over seeds", fontsize="medium")
    figure.savefig(path, dpi=150)


def _metrics(directories: Sequence[Path]) -> list[Columns]:
    return [read_columns(directory / "metrics.csv") for directory in directories]


def _differs(lines: Mapping[str, Sequence[Columns]], column: str) -> bool:
    """Whether a metric is not the same in all runs of all lines at all times."""
    return len({value for seeds in lines.values() for run in seeds for value in run[column]}) > 1


def _on_one_grid(runs: Sequence[Columns], column: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Common steps, and the column of each run at them, [seeds, steps]."""
    grid = np.linspace(max(run["step"][0] for run in runs), min(run["step"][-1] for run in runs), 200)
    return grid, np.array([np.interp(grid, run["step"], run[column]) for run in runs])


def _finish(axes: "Axes", ticks: int = 6) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(ticks))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
