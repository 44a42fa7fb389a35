"""Figures of a run directory."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rl.statistics import mean_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLORS = {"episode": "#9ecae1", "mean": "#08519c", "threshold": "#d95f02", "entropy": "#1b7837", "shift": "#762a83"}


def learning_curve(directory: Path, env_id: str, agent: str, seed: int, threshold: float | None) -> Path:
    """Draws returns, entropy and policy shift against environment steps into `learning_curve.png`; returns its path."""
    from matplotlib.figure import Figure  # costs 0.7 s: only for those who draw

    episodes, metrics = _read(directory / "episodes.csv"), _read(directory / "metrics.csv")
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

    runs = [_read(directory / "metrics.csv") for directory in directories]
    grid = np.linspace(max(run["step"][0] for run in runs), min(run["step"][-1] for run in runs), 200)
    curves = np.array([np.interp(grid, run["step"], run["rollout/ep_rew_mean"]) for run in runs])
    mean, low, high = np.array([mean_interval(column, resamples=1_000) for column in curves.T]).T
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for i, curve in enumerate(curves):
        axes.plot(grid, curve, color=_COLORS["episode"], lw=0.7, label="one seed" if i == 0 else None)
    axes.fill_between(grid, low, high, color=_COLORS["mean"], alpha=0.25, lw=0, label="95 % interval of the mean")
    axes.plot(grid, mean, color=_COLORS["mean"], label=f"mean of {len(runs)} seeds")
    if threshold is not None:
        axes.axhline(threshold, color=_COLORS["threshold"], ls="--", lw=1, label=f"threshold, {threshold:g}")
    figure.suptitle(title, fontsize="medium")
    axes.set_xlabel("environment steps")
    axes.set_ylabel("training return\n(mean of the last 100 episodes)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, fontsize="x-small", frameon=False)
    _finish(axes)
    figure.savefig(path, dpi=150)


def _finish(axes: "Axes") -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _read(path: Path) -> dict[str, NDArray[np.float64]]:
    """A CSV file of numbers as columns; an empty cell is NaN."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    if not lines:
        raise ValueError(f"{path} holds no rows to draw")
    names = lines[0].split(",")
    rows = [[float(cell) if cell else np.nan for cell in line.split(",")] for line in lines[1:]]
    return dict(zip(names, np.array(rows, dtype=np.float64).reshape(len(rows), len(names)).T, strict=True))
