"""Figures of several lines, each the runs of its seeds: a sweep, a comparison, an aggregate over environments."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rl.experiments.statistics import Statistic, bootstrap, iqm, mean_interval, on_grid, performance_profile
from rl.run.figure import canvas, count_steps, finish, legend, save, styles
from rl.run.results import Columns, Result, column

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_RETURN = ("rollout/ep_rew_mean", "training return,\nlast 100 episodes", "linear")
_SHIFT = ("train/policy_shift_kl", "policy shift KL\n(nats an update)", "log")
_ENTROPY = ("train/entropy", "entropy (nats)", "linear")

_ADAPTED = (
    ("train/learning_rate", r"learning rate of $\pi_\theta$", "log"),
    ("train/ent_coef", "entropy coefficient", "log"),
)

_GRADIENT = ("train/grad_norm", "gradient norm\n(before it is clipped)", "log")
_CAPTION = "curves: mean and 95 % interval over runs; dots: final return of each run, its IQM and 95 % interval"


def sweep(lines: Mapping[str, Sequence[Result]], path: Path, title: str, threshold: float | None) -> None:
    """Draws four panels, each the mean and 95 % bootstrap interval over seeds, into `path`.png and `path`.pdf.

    Training return, policy shift and entropy; and learning rate or entropy coefficient where lines differ in it, else
    the gradient norm, which SB3 does not report.
    """
    runs = {name: [result.metrics() for result in results] for name, results in lines.items()}
    fourth = next((panel for panel in _ADAPTED if _differs(runs, panel[0])), _GRADIENT)
    with canvas(7.2, 5.4) as figure:
        panels = figure.subplots(2, 2, sharex=True)
        for axes, panel in zip(panels.flat, (_RETURN, _SHIFT, _ENTROPY, fourth), strict=True):
            _draw_panel(axes, runs, "step", *panel)
        if threshold is not None:
            panels[0, 0].axhline(threshold, color="0.4", ls=":", lw=1, label=f"threshold {threshold:g}")
        for axes in panels[0]:
            axes.set_xlabel("")
        legend(figure)
        several = any(len(results) > 1 for results in lines.values())
        figure.suptitle(f"{title}; mean and 95 % interval over seeds" if several else title, fontsize="medium")
        save(figure, path)


def comparison(lines: Mapping[str, Sequence[Result]], path: Path, title: str, references: Mapping[str, float]) -> None:
    """Draws lines into `path`.png and `path`.pdf, as a paper would print them.

    Learning curves against steps and against seconds of training, policy shift and entropy, mean and 95 % bootstrap
    interval over seeds; and the final scores of every seed, deterministic and stochastic, with the interquartile mean
    and its 95 % interval. An unfinished run has no final score. references: scores to draw as dotted lines, by name.
    """
    runs = {name: [result.metrics() for result in results] for name, results in lines.items()}
    finished = {name: [run for run in results if run.summary] for name, results in lines.items()}
    with canvas(6.8, 6.9) as figure:
        (steps, seconds), (deterministic, stochastic), (shift, entropy) = figure.subplots(3, 2)
        for axes, x, panel in (
            (steps, "step", _RETURN), (seconds, "time/seconds", _RETURN), (shift, "step", _SHIFT),
            (entropy, "step", _ENTROPY),
        ):  # fmt: skip
            _draw_panel(axes, runs, x, *panel)
        for axes, key, mode in (
            (deterministic, "eval_mean", "deterministic"), (stochastic, "eval_stochastic_mean", "stochastic"),
        ):  # fmt: skip
            draw_scores(axes, {name: column(results, key) for name, results in finished.items()})
            axes.set_xlabel(f"final return, {mode}{_episodes(finished)}")
        for (name, score), dots in zip(references.items(), cycle((":", "--")), strict=False):
            for draw in (steps.axhline, seconds.axhline, deterministic.axvline, stochastic.axvline):
                draw(score, color="0.4", ls=dots, lw=1, label=f"{name}, {score:.4g}", zorder=0)
        legend(figure, columns=3)
        figure.suptitle(f"{title}\n{_CAPTION}", fontsize="medium")
        save(figure, path)


def aggregate(tasks: Mapping[str, Sequence[NDArray[np.float64]]], path: Path, title: str) -> None:
    """Draws performance profiles of normalized scores, a curve a line, with 95 % intervals, into .png and .pdf."""
    everything = np.concatenate([task for line in tasks.values() for task in line])
    thresholds = np.linspace(min(0.0, everything.min()), max(1.0, everything.max()), 101)
    with canvas(4.6, 3.2) as figure:
        axes = figure.subplots()
        for (name, scores), (color, style) in zip(tasks.items(), styles(), strict=False):
            _draw_band(axes, thresholds, performance_profile(scores, thresholds), color, style, name)
        finish(
            axes, "normalized score τ (0: random actions, 1: tuned SB3 of rl-baselines3-zoo)", "share of runs above τ"
        )
        legend(figure, columns=3)
        figure.suptitle(f"{title}; bands: 95 % interval", fontsize="medium")
        save(figure, path)


def draw_curves(axes: "Axes", lines: Mapping[str, Sequence[Columns]], x: str, y: str) -> None:
    """Mean and 95 % bootstrap interval over the runs of each line; or every run, where they have no x in common."""
    for (name, seeds), (color, style) in zip(lines.items(), styles(), strict=False):
        if any(y not in run for run in seeds):
            continue
        try:
            grid, curves = on_grid(seeds, x, y)
        except ValueError:
            for i, run in enumerate(seeds):
                axes.plot(run[x], run[y], ".-", color=color, lw=0.7, label=None if i else name)
            continue
        middle, low, high = np.array([mean_interval(values, resamples=1_000) for values in curves.T]).T
        _draw_band(axes, grid, (middle, low, high), color, style, name)


def draw_scores(axes: "Axes", scores: Mapping[str, Sequence[float]], statistic: Statistic = iqm) -> None:
    """A row for each line: every run as a dot, above it the statistic of all and its 95 % bootstrap interval."""
    for row, (values, (color, _)) in enumerate(zip(scores.values(), styles(), strict=False)):
        if not values:
            continue
        spread = np.linspace(0.08, 0.32, len(values)) if len(values) > 1 else np.array([0.2])
        axes.plot(values, row + spread, "o", ms=3, mfc="none", mec=color, mew=0.7, clip_on=False)
        draw_interval(axes, row - 0.15, *bootstrap([values], statistic), color)
    axes.set_yticks(range(len(scores)), list(scores))
    axes.set_ylim(len(scores) - 0.4, -0.5)
    finish(axes)
    axes.grid(visible=False, axis="y")


def draw_interval(axes: "Axes", row: float, center: float, low: float, high: float, color: str) -> None:
    axes.plot([low, high], [row, row], color=color, lw=2, solid_capstyle="butt")
    axes.plot(center, row, "|", ms=8, mew=2, color=color)


def _draw_panel(axes: "Axes", runs: Mapping[str, Sequence[Columns]], x: str, y: str, label: str, scale: str) -> None:
    draw_curves(axes, runs, x, y)
    axes.set_yscale(scale)
    finish(axes, "environment steps" if x == "step" else "seconds of training, one thread", label)
    count_steps(axes, ticks=4)


def _draw_band(axes: "Axes", x: NDArray[np.float64], band: Sequence[NDArray[np.float64]], *style: str) -> None:
    """band: the middle, the lower and the upper end. style: color, line style and label."""
    color, line, label = style
    axes.fill_between(x, band[1], band[2], color=color, alpha=0.2, lw=0)
    axes.plot(x, band[0], color=color, ls=line, lw=1.3, label=label)


def _episodes(lines: Mapping[str, Sequence[Result]]) -> str:
    """How many episodes a final score is the mean of, if it is known and the same for all."""
    counts = {run.summary.get("eval_episodes") for results in lines.values() for run in results}
    return f", {counts.pop()} episodes" if len(counts) == 1 else ""


def _differs(lines: Mapping[str, Sequence[Columns]], name: str) -> bool:
    """Whether a metric varies over time, runs or lines. Agents need not have it."""
    return len({value for seeds in lines.values() for run in seeds for value in run.get(name, ())}) > 1
