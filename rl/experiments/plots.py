"""Figures of several lines, each with the runs of all its seeds: a comparison, an aggregate over environments."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from agents.maths.schedules import Schedule, value_at
from agents.settings.files import read_yaml
from agents.settings.values import convert
from rl.experiments.drawing import Looks, draw_band, draw_curves, draw_scores
from rl.experiments.statistics import METHOD, performance_profile
from rl.run.figure import COLORS, SKY, WINE, canvas, count_steps, finish, legend, plain_text, save, styles
from rl.run.results import Columns, Result, begun, column

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Panel(NamedTuple):
    metric: str
    label: str
    scale: str = "linear"
    x: str = "step"


_RETURN = Panel("rollout/ep_rew_mean", "training return,\nlast 100 episodes")
_SHIFT = Panel("train/policy_shift_kl", "policy shift KL\n(nats an update)", "log")
_ENTROPY = Panel("train/entropy", "entropy (nats)")
_ADAPTED = (
    Panel("train/learning_rate", r"learning rate of $\pi_\theta$", "log"),
    Panel("train/ent_coef", "entropy coefficient\n(at least ent_coef / 100)", "log"),
)
_GRADIENT = Panel("train/grad_norm", "gradient norm\n(before it is clipped)", "log")
_AXES = {"step": "environment steps", "time/seconds": "seconds of training"}
_TARGETS = {
    _SHIFT: ("target_policy_shift", "target of policy shift"),
    _ENTROPY: ("target_entropy", "target of entropy"),
}

_PALETTE = (*COLORS, SKY, WINE)


def comparison(
    lines: Mapping[str, Sequence[Result]], path: Path, title: str, references: Mapping[str, float], timed: bool = False
) -> None:
    """Draws the lines into `path`.png and `path`.pdf. See `comparison_figure`."""
    with comparison_figure(lines, title, references, timed) as figure:
        save(figure, path)


@contextmanager
def comparison_figure(
    lines: Mapping[str, Sequence[Result]], title: str, references: Mapping[str, float], timed: bool = False
) -> "Iterator[Figure]":
    """A publication-style figure that compares lines.

    Learning curves, policy shift, entropy, and what adapts or the gradient norm: the mean over runs with its interval,
    each line to its own end; and final scores of every run, with the interquartile mean and its interval. An unfinished
    run has no final score, and one without rows no curve. More than eight lines are ordered and colored by final score
    and drawn without bands. references: scores to draw as gray lines, by name; timed: whether to draw the return
    against seconds too, in place of what adapts, and all curves on logarithmic axes. Raises ValueError without a row.
    """
    few = len(lines) <= len(_PALETTE)
    lines = {plain_text(name): results for name, results in (lines if few else _ranked(lines)).items()}
    runs = {name: begun(results) for name, results in lines.items()}
    if not any(runs.values()):
        raise ValueError("no run has rows in its metrics.csv")
    finished = {name: [run for run in results if run.summary] for name, results in lines.items()}
    fourth = _RETURN._replace(x="time/seconds") if timed else _fourth(runs)
    height = 0.6 + len(lines) * (0.3 if few else 0.13)  # height of the scores in inches
    with canvas(6.8, height + 5.2) as figure:
        top, middle, bottom = figure.subfigures(3, 1, height_ratios=[2.2, height, 2.2], squeeze=False)[:, 0]
        curves = [_RETURN, *([fourth] if fourth else [])]
        panels = top.subplots(1, len(curves), squeeze=False)[0]
        deterministic, stochastic = middle.subplots(1, 2, sharex=True, sharey=True)
        for axes, panel in zip((*panels, *bottom.subplots(1, 2)), (*curves, _SHIFT, _ENTROPY), strict=True):
            _draw_panel(axes, lines, runs, panel, "log" if timed else "linear")
        for axes, mode, key in (
            (stochastic, "stochastic", "eval_stochastic_mean"), (deterministic, "deterministic", "eval_mean"),
        ):  # fmt: skip
            _draw_final_scores(axes, {name: column(results, key) for name, results in finished.items()})
            axes.set_xlabel(f"final return,\n{mode}{_episodes(finished)}")
        for (name, score), dots in zip(references.items(), cycle((":", "--")), strict=False):
            across = [axes.axhline for axes in panels[: 2 if timed else 1]]
            for draw in (*across, deterministic.axvline, stochastic.axvline):
                draw(score, color="0.4", ls=dots, lw=1, label=f"{name}, {score:.4g}", zorder=0)
        legend(figure, columns=max(1, min(4, 90 // (max(map(len, lines)) + 8))))
        figure.suptitle(f"{plain_text(title)}{_caption(lines)}", fontsize="medium")
        yield figure


def _ranked(lines: Mapping[str, Sequence[Result]]) -> dict[str, Sequence[Result]]:
    """Sorts by mean score, highest first; lines without a finished run come last."""

    def score(runs: Sequence[Result]) -> float:
        scores = column(run for run in runs if run.summary)
        return float(np.mean(scores)) if scores else -np.inf

    return dict(sorted(lines.items(), key=lambda line: -score(line[1])))


def _looks(lines: int) -> Looks:
    """Up to eight lines get the palette's colors; more get those of a continuous map, so that no color repeats."""
    if lines <= len(_PALETTE):
        return list(zip(_PALETTE, cycle(("-", "--")), strict=False))
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [(to_hex(color), "-") for color in colormaps["turbo"](np.linspace(0.02, 0.98, lines))]


def _caption(lines: Mapping[str, Sequence[Result]]) -> str:
    if all(len(runs) == 1 for runs in lines.values()):
        return ""
    return (
        "\ncurves: mean over runs; circles: final return of each run, tick: their interquartile mean"
        f"\nbars{' and bands' if len(lines) <= len(_PALETTE) else ''}: 95 % {METHOD} intervals"
    )


def _fourth(runs: Mapping[str, Sequence[Columns]]) -> Panel | None:
    """A quantity that adapts in training and differs between lines, or else the gradient norm, which SB3 lacks.

    None beside streams, which have neither learning rate nor gradient norm.
    """
    every = [run for seeds in runs.values() for run in seeds]
    if not all(_ADAPTED[0].metric in run for run in every):
        return None
    adapted = (
        panel
        for panel in _ADAPTED
        if any(np.ptp(run.get(panel.metric, np.zeros(1))) > 0 for run in every) and not _alike(runs, panel.metric)
    )
    return next(adapted, _GRADIENT if all(_GRADIENT.metric in run for run in every) else None)


def _alike(runs: Mapping[str, Sequence[Columns]], metric: str) -> bool:
    """Whether several lines would hide each other, as lines with the same schedule do."""
    ranges = {tuple(np.quantile(seeds[0].get(metric, np.full(1, -1.0)), (0, 1))) for seeds in runs.values() if seeds}
    return len(runs) > 1 and len(ranges) == 1


def aggregate(tasks: Mapping[str, Sequence[NDArray[np.float64]]], path: Path, title: str) -> None:
    """Draws performance profiles of normalized scores with intervals, one curve per line, into .png and .pdf."""
    everything = np.concatenate([task for line in tasks.values() for task in line])
    thresholds = np.linspace(min(0.0, everything.min()), max(1.0, everything.max()), 101)
    with canvas(4.6, 3.2) as figure:
        axes = figure.subplots()
        for (name, scores), (color, style) in zip(tasks.items(), styles(), strict=False):
            draw_band(axes, thresholds, performance_profile(scores, thresholds), color, style, plain_text(name))
        finish(
            axes, "normalized score τ (0: random actions, 1: tuned SB3 of rl-baselines3-zoo)", "share of runs above τ"
        )
        legend(figure, columns=3)
        figure.suptitle(f"{title} a line in each; bands: pointwise 95 % Wilson intervals", fontsize="medium")
        save(figure, path)


def _draw_panel(
    axes: "Axes",
    lines: Mapping[str, Sequence[Result]],
    runs: Mapping[str, Sequence[Columns]],
    panel: Panel,
    x_scale: str = "linear",
) -> None:
    """A metric against steps or seconds; hidden if no line has the metric."""
    axes.set_xscale(x_scale)
    draw_curves(axes, runs, panel.x, panel.metric, _looks(len(lines)), bands=len(lines) <= len(_PALETTE))
    if panel in _TARGETS:
        _draw_targets(axes, lines, *_TARGETS[panel])
    heights = np.concatenate([np.asarray(line.get_ydata(), np.float64) for line in axes.get_lines()] or [np.empty(0)])
    axes.set_visible(len(heights) > 0)
    positive = heights[heights > 0]
    if panel.scale == "log" and len(positive):
        axes.set_yscale(panel.scale)
        axes.set_ylim(positive.min() / 1.5, positive.max() * 1.5)  # of the curves only, since a band can reach far down
    finish(axes, _AXES[panel.x], panel.label)
    if x_scale == "linear":
        count_steps(axes, ticks=4)


def _draw_final_scores(axes: "Axes", scores: Mapping[str, Sequence[float]]) -> None:
    """With up to eight lines, labels may wrap to two lines of text."""
    few = len(scores) <= len(_PALETTE)
    draw_scores(axes, {fill(name, 36) if few else name: x for name, x in scores.items()}, looks=_looks(len(scores)))
    axes.locator_params("x", nbins=5)
    axes.tick_params("y", labelsize="medium" if few else 7)


def _draw_targets(axes: "Axes", lines: Mapping[str, Sequence[Result]], setting: str, name: str) -> None:
    """Targets against steps as gray lines, for the lines that have one."""
    settings = [read_yaml(results[0].directory / "config.yaml") for results in lines.values()]
    targets = {str(each[setting]): each for each in settings if each.get(setting) is not None}
    for text, each in targets.items():
        progress, steps = np.linspace(0, 1, 101), cast(int, each["total_timesteps"])
        target = cast(Schedule, convert(each[setting], Schedule))
        heights = [value_at(target, p) for p in progress]
        axes.plot(progress * steps, heights, "-.", color="0.4", lw=1, label=f"{name}, {text}")


def _episodes(lines: Mapping[str, Sequence[Result]]) -> str:
    """The number of episodes behind each final score, as text, if it is known and equal for all."""
    counts = {run.summary.get("eval_episodes") for results in lines.values() for run in results}
    return f", {counts.pop()} episodes" if len(counts) == 1 else ""
