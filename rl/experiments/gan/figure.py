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
from rl.experiments.statistics import mean_interval
from rl.run.figure import save

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_COLORS = ("#000000", "#d55e00", "#0072b2", "#009e73")  # Okabe & Ito 2008

_STYLES = ("-", "--", "-.", ":")

_GRAY = "0.75"

_MOMENTS = (4.0, 2.0, 1.0, 0.0)  # θ; the moments nearest to them are drawn

_LOSSES = {
    "saturating": (_COLORS[1], "s", "log(1 − D), saturating"),
    "non-saturating": (_COLORS[2], "o", "−log D, non-saturating"),
}


def balanced(found: Findings, path: Path) -> None:
    """Densities, discriminator and value over the first game, into `path`.png and .pdf."""
    import matplotlib as mpl  # costs 0.7 s: only for those who draw
    from matplotlib.figure import Figure

    line = found.balanced[0]
    with mpl.rc_context({"font.size": 8, "pdf.fonttype": 42}):
        figure = Figure(figsize=(6.8, 2.9), layout="constrained")
        densities, discriminators, values = figure.subplots(1, 3)
        _draw_moments(densities, discriminators, line)
        _draw_values(values, line)
        handles, labels = densities.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=len(labels), fontsize="small", frameon=False)
        figure.suptitle(
            f"Algorithm 1, {line.label}; left and middle: the first seed, right: {_seeds(found)}", fontsize="medium"
        )
        save(figure, path)


def questions(found: Findings, path: Path) -> None:
    """Why a discriminator, too strong, too weak, and the balance, into `path`.png and .pdf."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"font.size": 8, "pdf.fonttype": 42}):
        figure = Figure(figsize=(6.8, 8.8), layout="constrained")
        panels = figure.subplots(4, 2)
        _draw_theta(panels[0, 0], found.alone, "(a) G alone, and beside D")
        label = _once("maximum likelihood, G alone", len(found.seeds))
        panels[0, 0].plot(found.likelihood, color=_COLORS[3], ls=_STYLES[3], lw=0.8, label=label)
        _draw_modes(panels[0, 1], found)
        _draw_slopes(panels[1, 0], found)
        _draw_theta(panels[1, 1], found.strong, "(b) far apart, k steps of D a step of G")
        _draw_theta(panels[2, 0], found.slow, "(c) D learns too slowly")
        _draw_gap(panels[2, 1], found.slow)
        _draw_capacity(panels[3, 0], found.capacity)
        _draw_balance(panels[3, 1], found.balance)
        for axes in panels.flat:
            if axes.get_legend_handles_labels()[0]:
                axes.legend(fontsize="x-small", frameon=False)
        figure.suptitle(
            f"Data N(0, 1), model N(θ, σ²), but for (a) at the right; {_seeds(found)}, a line each", fontsize="medium"
        )
        save(figure, path)


def _seeds(found: Findings) -> str:
    return f"{len(found.seeds)} seed{'s' if len(found.seeds) > 1 else ''}"


def _draw_moments(densities: "Axes", discriminators: "Axes", line: Line) -> None:
    """The first run at some moments, the optimal discriminator in gray behind the learned one."""
    trace, x = line.trace, toys.GRID.numpy()
    shown = (x >= -4) & (x <= 8)
    x = x[shown]
    densities.plot(x, _normal(x), color=_GRAY, lw=3, label="data")
    for theta, color, style in zip(_MOMENTS, _COLORS, _STYLES, strict=True):
        moment = int(np.abs(trace.mean[:, 0] - theta).argmin()) or 1  # at 0, D is ½ still
        theta = float(trace.mean[moment, 0])
        densities.plot(x, _normal(x - theta), color=color, ls=style, label=f"θ = {theta:.1f}")
        discriminators.plot(x, _sigmoid(theta * (theta / 2 - x)), color=_GRAY, lw=3)
        discriminators.plot(x, _sigmoid(trace.logit[moment][shown]), color=color, ls=style)
    _finish(densities, "x", "density of data and model")
    _finish(discriminators, "x", "D(x), and D*(x) in gray")


def _draw_values(axes: "Axes", line: Line) -> None:
    trace, runs = line.trace, line.trace.mean.shape[1]
    axes.plot(trace.iteration, trace.optimum, color=_GRAY, lw=3, label=_once("C(G)", runs))
    axes.plot(trace.iteration, trace.value, color=_COLORS[2], lw=0.8, label=_once("V(D, G)", runs))
    axes.axhline(-LOG_4, color=_COLORS[0], ls=":", lw=1, label="−log 4")
    axes.legend(fontsize="small", frameon=False)
    _finish(axes, "iteration", "value (nats)")


def _draw_theta(axes: "Axes", lines: Sequence[Line], title: str) -> None:
    """θ over training, a thin line a run."""
    axes.axhline(0, color=_GRAY, lw=3)
    for line, color, style in zip(lines, _COLORS, _STYLES, strict=False):
        trace = line.trace
        label = _once(line.label, trace.mean.shape[1])
        axes.plot(trace.iteration, trace.mean, color=color, ls=style, lw=0.8, label=label)
    axes.set_title(title, fontsize="medium")
    _finish(axes, "generator steps", "θ")


def _draw_gap(axes: "Axes", lines: Sequence[Line]) -> None:
    for line, color, style in zip(lines, _COLORS, _STYLES, strict=False):
        trace = line.trace
        label = _once(line.label, trace.mean.shape[1])
        axes.plot(trace.iteration, trace.optimum - trace.value, color=color, ls=style, lw=0.8, label=label)
    axes.set_title("(c) how far D is from D*", fontsize="medium")
    _finish(axes, "generator steps", "C(G) − V(D, G) (nats)")


def _draw_modes(axes: "Axes", found: Findings) -> None:
    modes, width = found.modes, float(BINS[1] - BINS[0])
    axes.stairs(modes.data.mean(0) / width, BINS, fill=True, color=_GRAY, label="data")
    models = ((modes.model_before, _COLORS[1], "model, untrained"), (modes.model, _COLORS[2], "model, trained"))
    for shares, color, label in models:
        for run, name in zip(shares, _once(label, len(shares)), strict=True):
            axes.stairs(run / width, BINS, color=color, lw=0.6, label=name)
    axes.set_title("(a) only samples are known", fontsize="medium")
    _finish(axes, "x", "density")


def _draw_slopes(axes: "Axes", found: Findings) -> None:
    slopes = found.slopes
    for form, values in (("saturating", slopes.saturating), ("non-saturating", slopes.non_saturating)):
        color, marker, label = _LOSSES[form]
        axes.plot(slopes.theta, values, color=color, marker=marker, ms=3, lw=1, label=label)
    axes.set_yscale("log")
    axes.set_title("(b) what G is told by D*", fontsize="medium")
    _finish(axes, "θ", "|d loss / dθ| (nats)")


def _draw_capacity(axes: "Axes", lines: Sequence[Line]) -> None:
    axes.axhline(1, color=_GRAY, lw=3)
    for line, color, style in zip(lines, _COLORS[1:], _STYLES, strict=False):
        trace = line.trace
        label = _once(line.label, trace.std.shape[1])
        axes.plot(trace.iteration, trace.std, color=color, ls=style, lw=0.8, label=label)
    axes.set_ylim(0, 1.3)
    axes.set_title("(c) D too small to see σ", fontsize="medium")
    _finish(axes, "generator steps", "σ, which should be 1")


def _draw_balance(axes: "Axes", lines: Sequence[Line]) -> None:
    """Every run as a dot, the mean and its 95 % interval beside them."""
    for form, (color, marker, label) in _LOSSES.items():
        of_form = [line for line in lines if line.setting.form == form]
        k = np.array([line.setting.k for line in of_form]) * (1.0 if form == "saturating" else 1.15)  # side by side
        mean, low, high = np.array([mean_interval(line.trace.rms_theta) for line in of_form]).T
        axes.errorbar(k, mean, (mean - low, high - mean), color=color, marker=marker, ms=4, lw=1, label=label)
        for at, line in zip(k, of_form, strict=True):
            axes.plot(np.full_like(line.trace.rms_theta, at), line.trace.rms_theta, ".", ms=2, color=color)
    axes.set_xscale("log", base=2)
    axes.set_xticks(k / 1.15, [f"{x:.0f}" for x in k / 1.15])
    axes.set_yscale("log")
    axes.set_yticks([0.1, 0.2, 0.5, 1, 2, 5], ["0.1", "0.2", "0.5", "1", "2", "5"])
    axes.minorticks_off()
    axes.set_title("the balance of D and G", fontsize="medium")
    _finish(axes, "k, steps of D a step of G", "RMS θ, last quarter")


def _normal(x: Array) -> Array:
    return np.asarray(np.exp(-0.5 * x**2) / math.sqrt(2 * math.pi))


def _sigmoid(logit: Array) -> Array:
    return torch.from_numpy(logit).sigmoid().numpy()


def _once(label: str, runs: int) -> list[str]:
    """One entry of the legend for the lines of all runs."""
    return [label, *["_"] * (runs - 1)]


def _finish(axes: "Axes", x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
