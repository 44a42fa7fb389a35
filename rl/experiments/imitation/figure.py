"""The figure of an experiment: one column per environment, curves above, all final returns below."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rl.experiments.drawing import draw_curves, draw_scores
from rl.experiments.imitation.outcomes import Outcome, Report, bounds, from_recorded
from rl.experiments.pages import counted
from rl.experiments.statistics import METHOD, mean
from rl.run.figure import canvas, count_steps, finish, legend, save
from rl.run.results import Columns, Result, column

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Curves(NamedTuple):
    """A row of panels: a metric against steps, for the lines that have the metric."""

    metric: str
    label: str
    scale: str
    recorded: bool  # draws lines that learn from recorded transitions, else lines that play


_RETURN = Curves("rollout/ep_rew_mean", "training return,\nlast 100 episodes", "linear", recorded=False)

_ROWS = {
    "cloning": (Curves("validation/loss", "−ln π(a|s) of held-out\nepisodes (nats)", "log", recorded=True),),
    "gail": (_RETURN,),
    "distillation": (
        Curves("train/teacher_kl", "KL(teacher ‖ student)\nown states (nats)", "log", recorded=False),
        Curves("validation/loss", "KL(teacher ‖ student)\nheld-out episodes (nats)", "log", recorded=True),
    ),
    "mutual": (_RETURN, Curves("train/peer_diversity", "diversity of the peers\n(nats)", "log", recorded=False)),
}

_CAPTION = (
    "curves: mean over seeds, until the first run ends; circles: final return of each seed, tick: their mean\n"
    f"bars and bands: 95 % {METHOD} intervals"
)


def draw(report: Report, path: Path) -> None:
    """Draws into `path`.png and `path`.pdf."""
    rows, grouped = _ROWS[report.experiment.name], [_grouped(outcome) for outcome in report.outcomes]
    heights = [1.7] * len(rows) + [0.2 * max(map(len, grouped)) + 0.7]  # inches
    with canvas(7.2, sum(heights) + 0.9, font_size=7) as figure:
        panels = figure.subplots(len(heights), len(grouped), squeeze=False, height_ratios=heights)
        for below, outcome, lines in zip(panels.T, report.outcomes, grouped, strict=True):
            below[0].set_title(outcome.env, fontsize="medium")
            runs = {label: [run.metrics() for run in each] for label, each in lines.items()}
            for axes, shown in zip(below, rows, strict=False):
                _draw_curves(axes, shown, runs, outcome)
            _draw_scores(below[-1], lines, outcome)
        for axes, shown in zip(panels[:, 0], rows, strict=False):
            axes.set_ylabel(shown.label)
        for axes in panels[-1, 1:]:
            axes.set_yticklabels([])
        legend(figure, text=lambda label: label.rpartition(": ")[2])  # drops the part that the panels' labels show
        title = f"{report.experiment.title}, {counted(len(report.seeds), 'seed')}"
        figure.suptitle(f"{title}\n{_CAPTION}", fontsize="medium")
        save(figure, path)


def _grouped(outcome: Outcome) -> dict[str, Sequence[Result]]:
    """Line → runs: first the lines that play, then a gap, then those that learn from recorded transitions."""
    lines = {line.label: runs for line, runs in zip(outcome.lines, outcome.results, strict=True)}
    recorded = {label: runs for label, runs in lines.items() if from_recorded(runs[0].metrics())}
    playing = {label: runs for label, runs in lines.items() if label not in recorded}
    gap: dict[str, Sequence[Result]] = {"": []} if recorded and playing else {}
    return playing | gap | recorded


def _draw_curves(axes: "Axes", shown: Curves, runs: Mapping[str, list[Columns]], outcome: Outcome) -> None:
    """Leaves out lines that learn in another way than this row shows; the others keep their colors."""
    lines = {label: [run for run in each if from_recorded(run) == shown.recorded] for label, each in runs.items()}
    draw_curves(axes, lines, "step", shown.metric)
    if shown is _RETURN:
        for value, label, color, style in _references(outcome):
            axes.axhline(value, color=color, ls=style, lw=1, label=label, zorder=0)
    axes.set_yscale(shown.scale)
    finish(axes, "transitions learned from" if shown.recorded else "environment steps")
    count_steps(axes, ticks=3)


def _draw_scores(axes: "Axes", lines: Mapping[str, Sequence[Result]], outcome: Outcome) -> None:
    """Draws references only if they lie within the range of the scores.

    Without an expert's band to compare with, the axis covers at least a tenth of the distance from random actions.
    """
    draw_scores(axes, {label: column(runs) for label, runs in lines.items()}, mean)
    if outcome.expert is not None:
        bound, score = max(bounds(outcome.expert.score, outcome.random)), outcome.expert.score
        axes.axvspan(bound, score, color="0.88", lw=0, zorder=0, label="95 % to 100 % of the expert's")
    low, high = axes.get_xlim()
    if outcome.expert is None:
        low = min(low, high - 0.1 * abs(high - outcome.random))
    for value, label, color, style in _references(outcome):
        if low <= value <= high:
            axes.axvline(value, color=color, ls=style, lw=1, label=label, zorder=0)
    axes.set_xlim(low, high)
    axes.set_xlabel(f"final return, deterministic,\n{outcome.results[0][0].summary['eval_episodes']} episodes")
    axes.tick_params("y", length=0)


def _references(outcome: Outcome) -> Sequence[tuple[float, str, str, str]]:
    expert = [] if outcome.expert is None else [(outcome.expert.score, "expert", "0.1", "--")]
    return [*expert, (outcome.random, "random actions", "0.45", ":")]
