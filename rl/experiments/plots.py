"""Figures: one run; lines of a sweep; a comparison as a paper would print it."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rl.experiments.statistics import Statistic, bootstrap, iqm, mean_interval, on_grid, performance_profile
from rl.run.results import Columns, Result, read_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
from rl.run.figure import finish, save

_LINE_COLORS = ("#000000", "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00")  # Okabe & Ito 2008

_LINE_STYLES = ("-", "--")

_DOTS = (":", "--")

_PANELS = (
    ("rollout/ep_rew_mean", "training return,\nlast 100 episodes", "linear"),
    ("train/policy_shift_kl", "policy shift KL\n(nats an update)", "log"),
    ("train/entropy", "entropy (nats)", "linear"),
)

_CAPTION = "curves: mean and 95 % interval over runs; dots: final return of each run, its IQM and 95 % interval"

_STEERED = (
    ("train/learning_rate", r"learning rate of $\pi_\theta$", "log"),
    ("train/ent_coef", "entropy coefficient", "log"),
)

_ELSE = ("train/grad_norm", "gradient norm\n(before it is clipped)", "log")


def sweep(lines: Mapping[str, Sequence[Result]], path: Path, title: str, threshold: float | None) -> None:
    """Draws the lines of a sweep, each the runs of its seeds, into `path`: mean and 95 % bootstrap interval over seeds
    of training return, policy shift and entropy, and of learning rate, entropy coefficient (where they differ) or
    gradient norm, which SB3 does not report."""
    from matplotlib.figure import Figure

    runs = {name: _metrics(results) for name, results in lines.items()}
    figure = Figure(figsize=(7.2, 5.4), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True)
    shown = (*_PANELS, next((panel for panel in _STEERED if _differs(runs, panel[0])), _ELSE))
    for axes, (column, label, scale) in zip(panels.flat, shown, strict=True):
        draw_curves(axes, runs, "step", column)
        axes.set_ylabel(label)
        axes.set_yscale(scale)
        finish(axes, ticks=4)
    _draw_threshold(panels[0, 0], threshold)
    for axes in panels[1]:
        axes.set_xlabel("environment steps")
    _legend(figure, panels[0, 0])
    several = any(len(results) > 1 for results in lines.values())
    figure.suptitle(f"{title}; mean and 95 % interval over seeds" if several else title, fontsize="medium")
    figure.savefig(path, dpi=150)


def comparison(lines: Mapping[str, Sequence[Result]], path: Path, title: str, references: Mapping[str, float]) -> None:
    """Draws lines, each the runs of its seeds, into `path`.png and `path`.pdf.

    Learning curves against steps and against seconds of training, policy shift and entropy, mean and 95 % bootstrap
    interval over seeds; and the final scores of every seed, deterministic and stochastic, with the interquartile mean
    and its 95 % interval. An unfinished run has no final score. references: scores to draw as dotted lines, by name.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    runs = {name: _metrics(results) for name, results in lines.items()}
    with mpl.rc_context({"font.size": 8, "pdf.fonttype": 42}):
        figure = Figure(figsize=(6.8, 6.9), layout="constrained")
        (steps, seconds), (deterministic, stochastic), (shift, entropy) = figure.subplots(3, 2)
        returns, shifts, entropies = _PANELS
        for axes, x, (column, label, scale) in (
            (steps, "step", returns), (seconds, "time/seconds", returns), (shift, "step", shifts),
            (entropy, "step", entropies),
        ):  # fmt: skip
            draw_curves(axes, runs, x, column)
            axes.set_ylabel(label)
            axes.set_yscale(scale)
            axes.set_xlabel("environment steps" if x == "step" else "seconds of training, one thread")
            finish(axes, ticks=4)
        for axes, key, mode in (
            (deterministic, "eval_mean", "deterministic"), (stochastic, "eval_stochastic_mean", "stochastic"),
        ):  # fmt: skip
            finished = {name: [run.summary[key] for run in runs if run.summary] for name, runs in lines.items()}
            draw_scores(axes, finished)
            axes.set_xlabel(f"final return, {mode}{_episodes(lines)}")
        for (name, score), dots in zip(references.items(), cycle(_DOTS), strict=False):
            for draw in (steps.axhline, seconds.axhline, deterministic.axvline, stochastic.axvline):
                draw(score, color="0.4", ls=dots, lw=1, label=f"{name}, {score:.4g}", zorder=0)
        _legend(figure, steps)
        figure.suptitle(f"{title}\n{_CAPTION}", fontsize="medium")
        save(figure, path)


def _episodes(lines: Mapping[str, Sequence[Result]]) -> str:
    """How many episodes a final score is the mean of, if it is known and the same for all."""
    counts = {run.summary.get("eval_episodes") for results in lines.values() for run in results if run.summary}
    return f", {counts.pop()} episodes" if len(counts) == 1 else ""


def draw_curves(axes: "Axes", lines: Mapping[str, Sequence[Columns]], x: str, column: str) -> None:
    """Mean and 95 % bootstrap interval over the runs of each line; or every run, where they have no x in common."""
    for (name, seeds), (color, style) in zip(lines.items(), _styles(), strict=False):
        if any(column not in run for run in seeds):
            continue
        try:
            grid, curves = on_grid(seeds, x, column)
        except ValueError:
            for i, run in enumerate(seeds):
                axes.plot(run[x], run[column], ".-", color=color, lw=0.7, label=None if i else name)
            continue
        mean, low, high = np.array([mean_interval(values, resamples=1_000) for values in curves.T]).T
        axes.fill_between(grid, low, high, color=color, alpha=0.2, lw=0)
        axes.plot(grid, mean, color=color, ls=style, lw=1.3, label=name)


def draw_scores(axes: "Axes", scores: Mapping[str, Sequence[float]], statistic: Statistic = iqm) -> None:
    """A row a line: every run as a dot, above it the statistic of all and its 95 % bootstrap interval."""
    for row, (values, (color, _)) in enumerate(zip(scores.values(), _styles(), strict=False)):
        if not values:
            continue
        spread = np.linspace(0.08, 0.32, len(values)) if len(values) > 1 else np.array([0.2])
        axes.plot(values, row + spread, "o", ms=3, mfc="none", mec=color, mew=0.7, clip_on=False)
        center, low, high = bootstrap([values], statistic)
        axes.plot([low, high], [row - 0.15] * 2, color=color, lw=2, solid_capstyle="butt")
        axes.plot(center, row - 0.15, "|", ms=9, mew=2, color=color)
    axes.set_yticks(range(len(scores)), list(scores))
    axes.set_ylim(len(scores) - 0.4, -0.5)
    axes.grid(alpha=0.25, axis="x")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_threshold(axes: "Axes", threshold: float | None) -> None:
    if threshold is not None:
        axes.axhline(threshold, color="0.4", ls=":", lw=1, label=f"threshold {threshold:g}")


def _styles() -> Iterator[tuple[str, str]]:
    return zip(cycle(_LINE_COLORS), cycle(_LINE_STYLES), strict=False)


def _legend(figure: "Figure", axes: "Axes") -> None:
    handles, labels = axes.get_legend_handles_labels()
    columns = len(labels) if len(labels) <= 4 else 3
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize="small", frameon=False)


def _metrics(results: Sequence[Result]) -> list[Columns]:
    return [read_columns(result.directory / "metrics.csv") for result in results]


def _differs(lines: Mapping[str, Sequence[Columns]], column: str) -> bool:
    """Whether a metric is not the same in all runs of all lines at all times."""
    return len({value for seeds in lines.values() for run in seeds for value in run[column]}) > 1


def aggregate(tasks: Mapping[str, Sequence[NDArray[np.float64]]], path: Path, title: str) -> None:
    """Draws performance profiles of normalized scores, a curve a line, with 95 % intervals, into .png and .pdf."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    everything = np.concatenate([task for line in tasks.values() for task in line])
    thresholds = np.linspace(min(0.0, everything.min()), max(1.0, everything.max()), 101)
    with mpl.rc_context({"font.size": 8, "pdf.fonttype": 42}):
        figure = Figure(figsize=(4.6, 3.2), layout="constrained")
        axes = figure.subplots()
        for (name, scores), (color, style) in zip(tasks.items(), _styles(), strict=False):
            value, low, high = performance_profile(scores, thresholds)
            axes.fill_between(thresholds, low, high, color=color, alpha=0.15, lw=0)
            axes.plot(thresholds, value, color=color, ls=style, lw=1.3, label=name)
        axes.set_xlabel("normalized score τ (0: random actions, 1: tuned SB3 of rl-baselines3-zoo)")
        axes.set_ylabel("share of runs above τ")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        _legend(figure, axes)
        figure.suptitle(f"{title}; bands: 95 % interval", fontsize="medium")
        save(figure, path)
