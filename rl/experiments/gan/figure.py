"""The figures of `python -m rl.gan`."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from agents.maths.gan import LOG_4
from rl.experiments.gan import toys
from rl.experiments.gan.experiments import BINS, Findings, Line
from rl.experiments.gan.games import Array
from rl.experiments.pages import counted
from rl.experiments.statistics import mean_interval
from rl.run.figure import BLACK, BLUE, GREEN, ORANGE, canvas, finish, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_COLORS = (BLACK, ORANGE, BLUE, GREEN)
_STYLES = ("-", "--", "-.", ":")
_GRAY = "0.75"
_MOMENTS = (4.0, 2.0, 1.0, 0.0)  # θ; the nearest recorded moments are drawn

_LOSSES = {
    "saturating": (ORANGE, "s", "log(1 − D), saturating"),
    "non-saturating": (BLUE, "o", "−log D, non-saturating"),
}


def draw_balanced(found: Findings, path: Path) -> None:
    """Densities, discriminator and value over the first game, into `path`.png and .pdf."""
    line = found.balanced[0]
    with canvas(6.8, 2.9) as figure:
        densities, discriminators, values = figure.subplots(1, 3)
        _draw_moments(densities, discriminators, line)
        _draw_values(values, line)
        handles, labels = densities.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=len(labels), fontsize=7, frameon=False)
        seeds = f"left and middle: the first seed, right: {counted(len(found.seeds), 'seed')}"
        figure.suptitle(f"Algorithm 1, {line.label}; {seeds}", fontsize="medium")
        save(figure, path)


def draw_questions(found: Findings, path: Path) -> None:
    """Why a discriminator, too strong, too weak, and the balance, into `path`.png and .pdf."""
    with canvas(6.8, 8.8) as figure:
        panels = figure.subplots(4, 2)
        _draw_theta(panels[0, 0], found.alone, "(a) G alone, and beside D")
        _draw_runs(
            panels[0, 0],
            np.arange(len(found.likelihood), dtype=float),
            found.likelihood,
            "maximum likelihood, G alone",
            3,
        )
        _draw_modes(panels[0, 1], found)
        _draw_slopes(panels[1, 0], found)
        _draw_theta(panels[1, 1], found.strong, "(b) far apart, k steps of D a step of G")
        _draw_theta(panels[2, 0], found.slow, "(c) D learns too slowly")
        _draw_gap(panels[2, 1], found.slow)
        _draw_capacity(panels[3, 0], found.capacity)
        _draw_balance(panels[3, 1], found.balance)
        for axes in panels.flat:
            if axes.get_legend_handles_labels()[0]:
                axes.legend(fontsize=7, frameon=False)
        title = "Data N(0, 1), model N(θ, σ²), but for (a) at the right"
        figure.suptitle(f"{title}; {counted(len(found.seeds), 'seed')}, a line each", fontsize="medium")
        save(figure, path)


def _draw_runs(axes: "Axes", x: Array, runs: Array, label: str, style: int) -> None:
    """A thin line for each run. runs: [T, R]."""
    labels = _once(label, runs.shape[1])
    axes.plot(x, runs, color=_COLORS[style], ls=_STYLES[style], lw=0.8, label=labels)


def _draw_moments(densities: "Axes", discriminators: "Axes", line: Line) -> None:
    """The first run at some moments; the optimal discriminator in gray, behind the learned one."""
    trace, x = line.trace, toys.GRID.numpy()
    shown = (x >= -4) & (x <= 8)
    x = x[shown]
    densities.plot(x, _normal(x), color=_GRAY, lw=3, label="data")
    for theta, color, style in zip(_MOMENTS, _COLORS, _STYLES, strict=True):
        moment = int(np.abs(trace.mean[:, 0] - theta).argmin()) or 1  # at 0, D is still ½
        theta = float(trace.mean[moment, 0])
        densities.plot(x, _normal(x - theta), color=color, ls=style, label=f"θ = {theta:.1f}")
        discriminators.plot(x, _sigmoid(theta * (theta / 2 - x)), color=_GRAY, lw=3)
        discriminators.plot(x, _sigmoid(trace.logit[moment][shown]), color=color, ls=style)
    finish(densities, "x", "density of data and model")
    finish(discriminators, "x", "D(x), and D*(x) in gray")


def _draw_values(axes: "Axes", line: Line) -> None:
    trace, runs = line.trace, line.trace.mean.shape[1]
    axes.plot(trace.iteration, trace.optimum, color=_GRAY, lw=3, label=_once("C(G)", runs))
    axes.plot(trace.iteration, trace.value, color=BLUE, lw=0.8, label=_once("V(D, G)", runs))
    axes.axhline(-LOG_4, color=BLACK, ls=":", lw=1, label="−log 4")
    axes.legend(fontsize=7, frameon=False)
    finish(axes, "iteration", "value (nats)")


def _draw_theta(axes: "Axes", lines: Sequence[Line], title: str) -> None:
    axes.axhline(0, color=_GRAY, lw=3)
    for style, line in enumerate(lines):
        _draw_runs(axes, line.trace.iteration, line.trace.mean, line.label, style)
    finish(axes, "generator steps", "θ", title)


def _draw_gap(axes: "Axes", lines: Sequence[Line]) -> None:
    for style, line in enumerate(lines):
        _draw_runs(axes, line.trace.iteration, line.trace.optimum - line.trace.value, line.label, style)
    finish(axes, "generator steps", "C(G) − V(D, G) (nats)", "(c) how far D is from D*")


def _draw_modes(axes: "Axes", found: Findings) -> None:
    modes, width = found.modes, float(BINS[1] - BINS[0])
    axes.stairs(modes.data.mean(0) / width, BINS, fill=True, color=_GRAY, label="data")
    models = ((modes.model_before, ORANGE, "model, untrained"), (modes.model, BLUE, "model, trained"))
    for shares, color, label in models:
        for run, name in zip(shares, _once(label, len(shares)), strict=True):
            axes.stairs(run / width, BINS, color=color, lw=0.6, label=name)
    finish(axes, "x", "density", "(a) only samples are known")


def _draw_slopes(axes: "Axes", found: Findings) -> None:
    slopes = found.slopes
    for form, values in (("saturating", slopes.saturating), ("non-saturating", slopes.non_saturating)):
        color, marker, label = _LOSSES[form]
        axes.plot(slopes.theta, values, color=color, marker=marker, ms=3, lw=1, label=label)
    axes.set_yscale("log")
    finish(axes, "θ", "|d loss / dθ| (nats)", "(b) what G is told by D*")


def _draw_capacity(axes: "Axes", lines: Sequence[Line]) -> None:
    axes.axhline(1, color=_GRAY, lw=3)
    for i, line in enumerate(lines):
        trace, label = line.trace, _once(line.label, line.trace.std.shape[1])
        axes.plot(trace.iteration, trace.std, color=_COLORS[1 + i], ls=_STYLES[i], lw=0.8, label=label)
    axes.set_ylim(0, 1.3)
    finish(axes, "generator steps", "σ, which should be 1", "(c) D too small to see σ")


def _draw_balance(axes: "Axes", lines: Sequence[Line]) -> None:
    """Every run as a dot, beside the mean and its 95 % interval."""
    for form, (color, marker, label) in _LOSSES.items():
        of_form = [line for line in lines if line.setting.form == form]
        k = np.array([line.setting.k for line in of_form]) * (
            1.0 if form == "saturating" else 1.15
        )  # dots side by side
        mean, low, high = np.array([mean_interval(line.trace.rms_theta) for line in of_form]).T
        axes.errorbar(k, mean, (mean - low, high - mean), color=color, marker=marker, ms=4, lw=1, label=label)
        for at, line in zip(k, of_form, strict=True):
            axes.plot(np.full_like(line.trace.rms_theta, at), line.trace.rms_theta, ".", ms=2, color=color)
    axes.set_xscale("log", base=2)
    axes.set_xticks(k / 1.15, [f"{x:.0f}" for x in k / 1.15])
    axes.set_yscale("log")
    axes.set_yticks([0.1, 0.2, 0.5, 1, 2, 5], ["0.1", "0.2", "0.5", "1", "2", "5"])
    axes.minorticks_off()
    finish(axes, "k, steps of D a step of G", "RMS θ, last quarter", "the balance of D and G")


def _normal(x: Array) -> Array:
    return np.asarray(np.exp(-0.5 * x**2) / math.sqrt(2 * math.pi))


def _sigmoid(logit: Array) -> Array:
    return torch.from_numpy(logit).sigmoid().numpy()


def _once(label: str, runs: int) -> list[str]:
    """A single legend entry for the lines of all runs."""
    return [label, *["_"] * (runs - 1)]
