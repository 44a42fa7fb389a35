"""Shared parts of figures: palette, canvas, axes, legend and files; and the learning curve of one run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from agents.writing import replacing
from rl.run.results import Columns, read_columns, with_ending
from rl.run.signals import deferred

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLACK, ORANGE, BLUE, GREEN, PINK, YELLOW, SKY = (
    "#000000", "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
)  # Okabe & Ito 2008  # fmt: skip
WINE = "#882255"

COLORS = (BLACK, ORANGE, BLUE, GREEN, PINK, YELLOW)


def styles() -> Iterator[tuple[str, str]]:
    """Endless pairs of color and line style, one for each line."""
    return zip(cycle(COLORS), cycle(("-", "--")), strict=False)


def plain_text(text: str) -> str:
    """A text of the user's, such as a label, for matplotlib, which draws it as it is.

    Dollar signs then begin no formula, lone surrogates of file names are escaped, and a label that begins with an
    underscore is not left out of the legend.
    """
    text = text.encode("utf-8", "backslashreplace").decode("utf-8").replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


@contextmanager
def canvas(width: float, height: float, font_size: int = 8) -> "Iterator[Figure]":
    """A figure of this size in inches, at its size in print, so that font sizes are true."""
    with deferred():  # takes 0.7 s; matplotlib turns an exception in part of this import into a warning
        import matplotlib as mpl
        from matplotlib.figure import Figure

    with mpl.rc_context({"font.size": font_size, "pdf.fonttype": 42}):
        yield Figure(figsize=(width, height), layout="constrained")


def finish(axes: "Axes", x: str = "", y: str = "", title: str = "") -> None:
    """Sets the labels and a light grid, and hides the top and right spines."""
    axes.set(**{name: text for name, text in (("xlabel", x), ("ylabel", y)) if text})
    if title:
        axes.set_title(title, fontsize="medium")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def count_steps(axes: "Axes", ticks: int = 6) -> None:
    """Formats the x axis as steps, with at most `ticks` ticks: 0, 50k, 2.5M."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(ticks))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x / 1e6:g}M" if x >= 1e6 else f"{x / 1e3:g}k" if x else "0")


def legend(figure: "Figure", columns: int = 5, text: Callable[[str], str] = str) -> None:
    """One legend for all panels, without repeated labels. text: maps a label to the text shown."""
    labeled = {
        text(label): handle
        for axes in figure.get_axes()
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(labeled.values(), labeled.keys(), loc="outside lower center", ncols=columns, frameon=False)


def save(figure: "Figure", path: Path) -> None:
    """Writes `path`.png, and `path`.pdf without a date, so that equal runs give equal files."""
    with replacing(with_ending(path, ".png")) as file:
        figure.savefig(file, format="png", dpi=200)
    with replacing(with_ending(path, ".pdf")) as file:
        figure.savefig(file, format="pdf", metadata={"CreationDate": None})


_LOSSES = {"train/loss": ("on minibatches", SKY), "validation/loss": ("on held-out episodes", BLUE)}


def _entropy(axes: "Axes", metrics: Columns) -> None:
    axes.plot(metrics["step"], metrics["train/entropy"], color=GREEN)
    finish(axes, y="entropy\n(nats)")


def _policy_shift(axes: "Axes", metrics: Columns) -> None:
    steps, shift = metrics["step"], metrics["train/policy_shift_kl"]
    axes.plot(steps, shift, color=PINK, label="mean of the measured updates")
    axes.plot(steps, metrics["train/policy_shift_kl_max"], color=PINK, lw=0.6, alpha=0.5, label="largest")
    if (shift > 0).any():  # all zero if the learning rate is 0
        axes.set_yscale("log", nonpositive="mask")
    _label(axes, 1.0)
    finish(axes, y="policy shift KL\n(nats per update)")


_PANELS = {"train/entropy": _entropy, "train/policy_shift_kl": _policy_shift}


def _label(axes: "Axes", marker_scale: float) -> None:
    """Puts a legend above the axes, where it hides no data."""
    axes.legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=3, fontsize="small", frameon=False,
        markerscale=marker_scale, borderaxespad=0.1,
    )  # fmt: skip


def learning_curve(directory: Path, env_id: str, agent: str, seed: int, threshold: float | None) -> Path:
    """Draws returns, evaluations, entropy and policy shift against environment steps into `learning_curve.png`.

    Returns its path. Entropy and policy shift are drawn if the agent measures them.
    """
    episodes, metrics = read_columns(directory / "episodes.csv"), read_columns(directory / "metrics.csv")
    steps, recorded = metrics["step"], "validation/loss" in metrics  # imitation from data has no episodes
    drawn = [draw for name, draw in _PANELS.items() if name in metrics]
    with canvas(7, 3.4 + 1.3 * len(drawn), font_size=10) as figure:
        heights = [2.2, *(1.0 for _ in drawn)]
        top, *others = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        if recorded:
            for name, (label, color) in _LOSSES.items():
                top.plot(steps, metrics[name], color=color, label=label)
        else:
            top.plot(episodes["step"], episodes["return"], ".", ms=2, color=SKY, label="one episode")
            top.plot(steps, metrics["rollout/ep_rew_mean"], color=BLUE, label="mean of the last 100 episodes")
            if (evaluations := directory / "evaluations.csv").exists() and evaluations.stat().st_size:
                found = read_columns(evaluations)
                top.plot(found["step"], found["eval_mean"], "o-", ms=2, lw=1, color=BLACK, label="evaluation")
            if threshold is not None:
                top.axhline(threshold, color=ORANGE, ls="--", lw=1, label=f"reward threshold, {threshold:g}")
        _label(top, 4.0)
        finish(top, y="loss (nats)" if recorded else "return")
        for axes, draw in zip(others, drawn, strict=True):
            draw(axes, metrics)
        for axes in (top, *others):
            count_steps(axes)
        finish(axes, x="transitions learned from" if recorded else "environment steps")
        figure.suptitle(plain_text(f"{env_id}: {agent}, seed {seed} (1 run)"), fontsize="medium")
        path = directory / "learning_curve.png"
        with replacing(path) as file:
            figure.savefig(file, format="png", dpi=150)
    return path
