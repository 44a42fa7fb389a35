"""The page of mutual learning, whose lines are held to peers that learn independently."""

from collections.abc import Sequence

import numpy as np

from rl.experiments.imitation import report
from rl.experiments.imitation.experiments import INDEPENDENT
from rl.experiments.imitation.outcomes import Case, Report, at_the_end
from rl.experiments.statistics import Interval, probability_of_improvement
from rl.experiments.tables import as_plain, height_along, line_statistics, paragraph, row, rule
from rl.run.results import Result

_HEADS = (
    "environment", "line", "mean return", "worst seed", "stochastic", "all along",
    "better than independent", "higher all along",
)  # fmt: skip


def page(of: Report) -> str:
    heads = [*_HEADS, of.experiment.measured.label, "seconds a seed"]
    lines = [row(heads), rule(2, len(heads) - 2)]
    lines += [_row(of, case, k) for case in of.cases for k in range(len(case.lines))]
    text = [*report.heading(of), paragraph(_explained(of)), "", *lines, "", *_verdicts(of)]
    return "\n".join([*text, "", *report.ending(of)]) + "\n"


def _explained(of: Report) -> str:
    seeds, summary = len(of.seeds), of.cases[0].results[0][0].summary
    steps = f"{summary['total_timesteps']:,}"
    return f"""
        Two peers, {steps} environment steps over both of them and {seeds} seed{"s" if seeds > 1 else ""} a line; the
        same command, in which independent peers have mutual_coef 0. The first peer is evaluated,
        {summary["eval_episodes"]} episodes, deterministic (the most likely action) where nothing else is said. Brackets
        are 95 % bootstrap intervals over seeds. All along is the mean height of the learning curve, which is of all
        peers. Diversity is the generalized Jensen-Shannon divergence of the peers, the mean of the last tenth of
        training. Better than independent: the probability that a run scores higher than one of the independent line in
        its deterministic evaluation, ties counted half; higher all along: the same of the learning curves. Seconds are
        of training, the median, one thread, other work beside it."""


def finals(runs: Sequence[Result]) -> list[float]:
    """The deterministic evaluation of each."""
    return [run.summary["eval_mean"] for run in runs]


def heights(runs: Sequence[Result]) -> list[float]:
    return [height_along(run) for run in runs]


def _row(of: Report, case: Case, k: int) -> str:
    runs, x = case.results[k], line_statistics(case.results[k], None)
    cells = [str(x.mean), f"{x.worst:.1f}", str(x.stochastic_mean), str(x.all_along)]
    against = independent(case)
    cells += ["", ""] if runs is against else [
        _short(probability_of_improvement([each(runs)], [each(against)])) for each in (finals, heights)
    ]  # fmt: skip
    cells.append(report.small(at_the_end(runs, of.experiment.measured)))
    seconds = float(np.median([run.summary["train_seconds"] for run in runs]))
    return row([case.env, case.lines[k].label, *cells, f"{seconds:.1f}"])


def independent(case: Case) -> Sequence[Result]:
    return next(runs for line, runs in zip(case.lines, case.results, strict=True) if line.label == INDEPENDENT)


def over_all(of: Report) -> dict[str, dict[str, Interval]]:
    """Of each line but the independent: its probabilities of being better, mean over environments."""
    found: dict[str, dict[str, Interval]] = {}
    for k, line in enumerate(of.cases[0].lines):
        if line.label == INDEPENDENT:
            continue
        found[line.label] = {
            name: probability_of_improvement(
                [measured(case.results[k]) for case in of.cases], [measured(independent(case)) for case in of.cases]
            )
            for name, measured in (("better", finals), ("higher all along", heights))
        }
    return found


def _verdicts(of: Report) -> list[str]:
    heads = ["line", "better than independent", "verdict", "higher all along", "verdict"]
    rows = [row(heads), rule(1, len(heads) - 1)]
    for label, chances in over_all(of).items():
        rows.append(row([label, *(cell for x in chances.values() for cell in (_short(x), _verdict(x)))]))
    return ["Mean over environments of the probabilities:", "", *rows]


def _verdict(x: Interval) -> str:
    if x.low > 0.5:
        return "better"
    return "**worse**" if x.high < 0.5 else "no difference shown"


def _short(x: Interval) -> str:
    return f"{x.value:.2f} [{x.low:.2f}, {x.high:.2f}]"


def as_json(of: Report) -> dict[str, object]:
    """As of the other pages, and the probabilities."""
    overall = {label: {name: as_plain(x) for name, x in chances.items()} for label, chances in over_all(of).items()}
    return {**report.as_json(of), "against_independent": overall}
