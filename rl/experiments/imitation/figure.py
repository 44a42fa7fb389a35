"""The figure of an experiment: a column an environment, curves above and every final return below."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rl.experiments import plots as figures
from rl.experiments.imitation.outcomes import Case, Report, bounds, from_recorded
from rl.experiments.statistics import mean
from rl.run import figure as figure_files
from rl.run.results import Columns, Result, read_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_RANDOM, _EXPERT = "0.45", "0.1"


class Curves(NamedTuple):
    """A row of panels: a metric against steps, of the lines that have it."""

    column: str
    label: str
    scale: str
    recorded: bool  # of lines that learn from recorded transitions, or of those that play


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
    "curves: mean and 95 % interval over seeds, until the first run ends; "
    "circles: final return of each seed; bars: their mean and 95 % interval"
)


def draw(of: Report, path: Path) -> None:
    """Into `path`.png and `path`.pdf."""
    import matplotlib as mpl
    from matplotlib.figure import Figure  # costs 0.7 s: only for those who draw

    rows, grouped = _ROWS[of.experiment.name], [_grouped(case) for case in of.cases]
    heights = [1.7] * len(rows) + [0.2 * max(map(len, grouped)) + 0.7]  # inches
    with mpl.rc_context({"font.size": 7, "pdf.fonttype": 42}):
        figure = Figure(figsize=(7.2, sum(heights) + 0.9), layout="constrained")
        panels = figure.subplots(len(heights), len(of.cases), squeeze=False, height_ratios=heights)
        for column, case, lines in zip(panels.T, of.cases, grouped, strict=True):
            column[0].set_title(case.env, fontsize="medium")
            runs = {
                label: [read_columns(run.directory / "metrics.csv") for run in each] for label, each in lines.items()
            }
            for axes, shown in zip(column, rows, strict=False):
                _draw_curves(axes, shown, runs, case)
            _draw_scores(column[-1], lines, case)
        for axes, shown in zip(panels[:, 0], rows, strict=False):
            axes.set_ylabel(shown.label)
        for axes in panels[-1, 1:]:
            axes.set_yticklabels([])
        _legend(figure)
        figure.suptitle(f"{of.experiment.title}, {len(of.seeds)} seeds\n{_CAPTION}", fontsize="medium")
        figure_files.save(figure, path)


def _grouped(case: Case) -> dict[str, Sequence[Result]]:
    """The runs of each line: of those that play, a gap, and of those that learn from recorded transitions."""
    lines = {line.label: runs for line, runs in zip(case.lines, case.results, strict=True)}
    recorded = {
        label for label, runs in lines.items() if from_recorded(read_columns(runs[0].directory / "metrics.csv"))
    }
    playing = {label: runs for label, runs in lines.items() if label not in recorded}
    gap: dict[str, Sequence[Result]] = {"": []} if recorded and playing else {}
    return playing | gap | {label: lines[label] for label in lines if label in recorded}


def _draw_curves(axes: "Axes", shown: Curves, runs: dict[str, list[Columns]], case: Case) -> None:
    """Lines that do not learn as this row shows are left out; the others keep their colors."""
    of_line = {label: [run for run in each if from_recorded(run) == shown.recorded] for label, each in runs.items()}
    figures.draw_curves(axes, of_line, "step", shown.column)
    if shown is _RETURN:
        for value, label, color, style in _references(case):
            axes.axhline(value, color=color, ls=style, lw=1, label=label, zorder=0)
    axes.set_yscale(shown.scale)
    axes.set_xlabel("transitions learned from" if shown.recorded else "environment steps")
    figure_files.finish(axes, ticks=3)


def _draw_scores(axes: "Axes", lines: dict[str, Sequence[Result]], case: Case) -> None:
    """References are drawn where they lie among the scores."""
    scores = {label: [run.summary["eval_mean"] for run in runs] for label, runs in lines.items()}
    figures.draw_scores(axes, scores, mean)
    if case.expert is not None:
        bound = max(bounds(case.expert.score, case.random))
        axes.axvspan(bound, case.expert.score, color="0.88", lw=0, zorder=0, label="95 % to 100 % of the expert's")
    low, high = axes.get_xlim()
    for value, label, color, style in _references(case):
        if low <= value <= high:
            axes.axvline(value, color=color, ls=style, lw=1, label=label, zorder=0)
    axes.set_xlim(low, high)
    axes.set_xlabel(f"final return, deterministic,\n{case.results[0][0].summary['eval_episodes']} episodes")
    axes.tick_params("y", length=0)


def _references(case: Case) -> Sequence[tuple[float, str, str, str]]:
    random = [(case.random, "random actions", _RANDOM, ":")]
    return random if case.expert is None else [(case.expert.score, "expert", _EXPERT, "--"), *random]


def _legend(figure: "Figure") -> None:
    """Of all panels, each label once; what stands before a colon, the row of panels says."""
    labeled = {
        label.rpartition(": ")[2]: handle
        for axes in figure.get_axes()
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(labeled.values(), labeled.keys(), loc="outside lower center", ncols=5, frameon=False)
