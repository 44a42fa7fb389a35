from pathlib import Path
from typing import TYPE_CHECKING

from rl.run.results import read_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_COLORS = {"episode": "#9ecae1", "mean": "#08519c", "threshold": "#d95f02", "entropy": "#1b7837", "shift": "#762a83"}

_LOSSES = {"train/loss": ("on minibatches", "episode"), "validation/loss": ("on held-out episodes", "mean")}


def learning_curve(directory: Path, env_id: str, agent: str, seed: int, threshold: float | None) -> Path:
    """Draws returns, entropy and policy shift against environment steps into `learning_curve.png`; returns its path."""
    from matplotlib.figure import Figure  # costs 0.7 s: only for those who draw

    episodes, metrics = read_columns(directory / "episodes.csv"), read_columns(directory / "metrics.csv")
    figure = Figure(figsize=(7, 6), layout="constrained")
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=[2.2, 1, 1])
    steps, shift = metrics["step"], _COLORS["shift"]
    recorded = "validation/loss" in metrics  # learned from recorded transitions: no episode was played
    if recorded:
        for name, (label, color) in _LOSSES.items():
            top.plot(steps, metrics[name], color=_COLORS[color], label=label)
    else:
        top.plot(episodes["step"], episodes["return"], ".", ms=2, color=_COLORS["episode"], label="one episode")
        top.plot(steps, metrics["rollout/ep_rew_mean"], color=_COLORS["mean"], label="mean of the last 100 episodes")
    if threshold is not None and not recorded:
        top.axhline(threshold, color=_COLORS["threshold"], ls="--", lw=1, label=f"reward threshold, {threshold:g}")
    top.set_ylabel("loss (nats)" if recorded else "return")
    figure.suptitle(f"{env_id}: {agent}, seed {seed} (1 run)", fontsize="medium")
    middle.plot(steps, metrics["train/entropy"], color=_COLORS["entropy"])
    middle.set_ylabel("entropy\n(nats)")
    bottom.plot(steps, metrics["train/policy_shift_kl"], color=shift, label="mean of the updates measured")
    bottom.plot(steps, metrics["train/policy_shift_kl_max"], color=shift, lw=0.6, alpha=0.5, label="largest")
    if (metrics["train/policy_shift_kl"] > 0).any():  # not of a policy that stays, with a learning rate of 0
        bottom.set_yscale("log", nonpositive="mask")
    bottom.set_ylabel("policy shift KL\n(nats an update)")
    bottom.set_xlabel("transitions learned from" if recorded else "environment steps")
    for axes, markerscale in ((top, 4.0), (bottom, 1.0)):  # above the axes, where no data can lie under it
        axes.legend(
            loc="lower right", bbox_to_anchor=(1, 1), ncols=3, fontsize="small", frameon=False, markerscale=markerscale,
            borderaxespad=0.1,
        )  # fmt: skip
    for axes in (top, middle, bottom):
        finish(axes)
    path = directory / "learning_curve.png"
    figure.savefig(path, dpi=150)
    return path


def save(figure: "Figure", path: Path) -> None:
    """As PNG, and as PDF without a date, so that the same runs give the same file."""
    figure.savefig(path.with_suffix(".png"), dpi=200)
    figure.savefig(path.with_suffix(".pdf"), metadata={"CreationDate": None})


def finish(axes: "Axes", ticks: int = 6) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(ticks))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
