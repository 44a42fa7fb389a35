"""The figure of a search: the scores of its trials, and the importance of the settings."""

from pathlib import Path

from rl.experiments.pages import counted, spelled
from rl.experiments.search.findings import Findings
from rl.run.figure import BLUE, ORANGE, canvas, finish, legend, plain_text, save

_BARS = 10  # settings


def draw(found: Findings, path: Path) -> None:
    """Writes `path`.png and .pdf. Left: every trial's score and the best so far. Right: importances by PED-ANOVA."""
    from matplotlib.ticker import MaxNLocator

    shares = list(found.importances.items())[:_BARS]
    with canvas(7.0, 2.8) as figure:
        left, *right = figure.subplots(1, 2 if shares else 1, squeeze=False)[0]
        for end, marker, face in (("finished", "o", BLUE), ("stopped", "o", "none")):
            some = [trial for trial in found.trials if trial.end == end and trial.scores]
            if not some:
                continue
            numbers, scores = [trial.number for trial in some], [trial.score for trial in some]
            label = {"finished": "finished", "stopped": "stopped early, score so far"}[end]
            left.scatter(numbers, scores, s=14, marker=marker, facecolors=face, edgecolors=BLUE, lw=0.8, label=label)
        best, at = list[float](), list[int]()
        for trial in found.trials:
            if trial.end == "finished" and trial.score is not None:
                best.append(max([trial.score, *best[-1:]]))
                at.append(trial.number)
        left.step(
            [*at, found.trials[-1].number],
            [*best, best[-1]],
            where="post",
            color=ORANGE,
            lw=1.2,
            label="best finished so far",
        )
        left.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        legend(figure)
        figure.suptitle(plain_text(f"{found.env}: {counted(len(found.trials), 'trial')}"), fontsize="medium")
        finish(left, "trial", f"mean return on tuning seeds\n{spelled(found.stopping.seeds)}")
        for axes in right:
            axes.barh([plain_text(name) for name, _ in shares], [share for _, share in shares], color=BLUE)
            axes.invert_yaxis()
            axes.set_axisbelow(True)
            which = "of scores after a ninth of the steps" if found.stopping.pruner == "halving" else "of final scores"
            finish(axes, f"importance by PED-ANOVA\n{which}")
            axes.grid(visible=False, axis="y")
        save(figure, path)
