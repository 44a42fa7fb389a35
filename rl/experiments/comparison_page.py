"""The page of a comparison or a sweep: tables and their statistics."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rl.experiments.compared import steps_of
from rl.experiments.curves import first_reached, height_along
from rl.experiments.pages import Page, changed, counted, image, in_common, paragraph, table
from rl.experiments.parallel import BASELINE, Line
from rl.experiments.questions import question
from rl.experiments.statistics import (
    METHOD,
    Interval,
    Reached,
    Single,
    as_plain,
    bootstrap,
    caveat,
    iqm,
    mean_interval,
    overlapping,
    probability_of_improvement,
    reached,
    shown,
)
from rl.run.results import Result, column


class Comparison(NamedTuple):
    """Input of a page."""

    title: str
    name: str  # of the page's files
    command: str
    machine: str
    lines: Sequence[Line]
    results: Sequence[Sequence[Result]]  # results[line][seed]
    threshold: float | None  # training return: the environment's or the user's
    random: float | None  # mean return of uniformly random actions
    timed: bool = False  # whether the figure shows the return against seconds


class LineStatistics(NamedTuple):
    """A line of a comparison, over its seeds."""

    iqm: Interval  # of the deterministic evaluations
    mean: Interval
    worst: float
    stochastic_iqm: Interval
    stochastic_mean: Interval
    all_along: Interval  # mean height of the learning curve
    steps: Reached  # to the threshold


def line_statistics(runs: Sequence[Result], threshold: float | None) -> LineStatistics:
    """threshold: compared with the mean return of the last 100 training episodes."""
    deterministic, stochastic = column(runs), column(runs, "eval_stochastic_mean")
    return LineStatistics(
        iqm=bootstrap([deterministic], iqm),
        mean=mean_interval(deterministic),
        worst=min(deterministic),
        stochastic_iqm=bootstrap([stochastic], iqm),
        stochastic_mean=mean_interval(stochastic),
        all_along=mean_interval([height_along(run) for run in runs]),
        steps=reached([None if threshold is None else first_reached(run, threshold) for run in runs]),
    )


def comparison_page(comparison: Comparison) -> Page:
    """One row per line; then one per pair of a line and an SB3 line or, without SB3, of a line and the first one."""
    statistics = [line_statistics(runs, comparison.threshold) for runs in comparison.results]
    settings = [[line.label, line.agent, changed(line.settings, line.defaults)] for line in comparison.lines]
    parts = [
        _introduction(comparison),
        paragraph(_ranked(comparison, statistics)),
        _scores(comparison, statistics),
        image(comparison.title, f"{comparison.name}.png"),
        *_pairs(comparison, statistics),
        "Settings of each line that differ from this package's defaults:",
        table(["line", "agent", "settings"], settings, words=3),
    ]
    return _page(comparison, statistics, parts)


def ranked(iqms: Mapping[str, Interval], means: Mapping[str, Interval]) -> str:
    """Says which lines have the highest interquartile mean, whose intervals overlap, and where the mean disagrees."""
    best, near = highest(iqms)
    others = [label for label in iqms if label not in best]
    if len(iqms) == 1:
        return ""
    if not others:
        text = "All lines have the same interquartile mean."
    elif any(isinstance(x, Single) for x in iqms.values()):
        text = f"Highest interquartile mean: {'; '.join(best)}."
    elif not near:
        text = f"Highest interquartile mean: {'; '.join(best)}. No other line's interval overlaps."
    elif near == others:
        text = f"Highest interquartile mean: {'; '.join(best)}. Every other line's interval overlaps."
    else:
        text = f"Highest interquartile mean: {'; '.join(best)}. Overlapping intervals: {'; '.join(near)}."
    best_means, _ = highest(means)
    return text if best_means == best else f"{text} Highest mean: {'; '.join(best_means)}."


def highest(statistics: Mapping[str, Interval]) -> tuple[list[str], list[str]]:
    """The lines with the highest value, and the others whose intervals overlap theirs."""
    most = max(x.value for x in statistics.values())
    best = [label for label, x in statistics.items() if x.value == most]
    near = [label for label, x in statistics.items() if any(x.overlaps(statistics[one]) for one in best)]
    return best, [label for label in near if label not in best]


def _ranked(comparison: Comparison, statistics: Sequence[LineStatistics]) -> str:
    labels = [line.label for line in comparison.lines]
    iqms = {label: x.iqm for label, x in zip(labels, statistics, strict=True)}
    return ranked(iqms, {label: x.mean for label, x in zip(labels, statistics, strict=True)})


def _page(comparison: Comparison, statistics: Sequence[LineStatistics], parts: Sequence[str]) -> Page:
    lines = [
        {
            "label": line.label,
            "agent": line.agent,
            "settings": line.settings,
            "statistics": as_plain(numbers),
            "runs": [run.summary for run in runs],
        }
        for line, runs, numbers in zip(comparison.lines, comparison.results, statistics, strict=True)
    ]
    numbers = {"threshold": comparison.threshold, "random": comparison.random, "lines": lines}
    return Page(comparison.title, comparison.command, comparison.machine, parts, numbers)


def _introduction(comparison: Comparison) -> str:
    runs, budgets = comparison.results[0], _budgets(comparison)
    seeds = counted(len(runs), "seed")
    of_lines = zip(budgets, comparison.results, strict=True)
    episodes = steps_of({label: int(of[0].summary["eval_episodes"]) for label, of in of_lines})
    episodes += " episode" if episodes == "1" else " episodes"
    brackets = f"Brackets are 95 % {METHOD} intervals over {seeds}.{caveat(len(runs))}"
    brackets = brackets if len(runs) > 1 else "One seed has no interval."
    return paragraph(f"""
        {question(comparison.name, list(budgets))} Each line trains {seeds} for {steps_of(budgets)}
        steps.{_longer(budgets)} After training, each agent plays {episodes} with its most likely actions
        (deterministic) and as many with sampled actions (stochastic). IQM is the interquartile mean over seeds.
        {brackets} "All along" is the training return averaged over the whole training, which is the
        mean height of the learning curve.
        {_threshold(comparison)} {_speed(comparison)}""")


def _speed(comparison: Comparison) -> str:
    if comparison.timed:
        return """Seconds are those of training, of one process; if other runs trained beside it, they slowed it down.
            `python -m rl.bench` compares speeds."""
    return "Speed is not compared, because runs trained side by side: `python -m rl.bench` measures it."


def _threshold(comparison: Comparison) -> str:
    if comparison.threshold is None:
        return ""
    return f""""{comparison.threshold:g} reached by" counts the seeds whose last 100 training episodes had at least that
        mean return at some point; "at step" is the median step, over all seeds, at which this first happened (– if it
        happened to no more than half)."""


def _budgets(comparison: Comparison) -> dict[str, int]:
    return {line.label: int(str(line.settings["total_timesteps"])) for line in comparison.lines}


def _longer(budgets: Mapping[str, int]) -> str:
    """A warning if the lines' training steps differ."""
    return " A line that trains for longer has that advantage in every score." if len({*budgets.values()}) > 1 else ""


def _scores(comparison: Comparison, statistics: Sequence[LineStatistics]) -> str:
    threshold = comparison.threshold
    heads = ["line", "IQM, deterministic", "mean, deterministic", "worst seed", "IQM, stochastic", "all along"]
    heads += [] if threshold is None else [f"{threshold:g} reached by", "at step"]
    rows = []
    for line, x in zip(comparison.lines, statistics, strict=True):
        cells = [line.label, str(x.iqm), str(x.mean), shown(x.worst), str(x.stochastic_iqm), str(x.all_along)]
        rows.append(cells if threshold is None else [*cells, f"{x.steps.hits} of {x.steps.runs}", x.steps.moment])
    if comparison.random is not None:
        rows.append(["uniformly random actions", "", shown(comparison.random), *[""] * (len(heads) - 3)])
    return table(heads, rows)


def _pairs(comparison: Comparison, statistics: Sequence[LineStatistics]) -> list[str]:
    theirs = [i for i, line in enumerate(comparison.lines) if line.agent == BASELINE]
    ours = [i for i in range(len(comparison.lines)) if i not in theirs]
    pairs = [(i, j) for j in theirs for i in ours] or [(i, 0) for i in range(1, len(comparison.lines))]
    if not pairs:
        return []
    rows = []
    for i, j in pairs:
        chance = probability_of_improvement([column(comparison.results[i])], [column(comparison.results[j])])
        overlap = overlapping(statistics[i].iqm, statistics[j].iqm) or "–"
        rows.append([comparison.lines[i].label, comparison.lines[j].label, overlap, f"{chance:.2f}"])
    return [
        paragraph("""The probability that a run of the first line scores higher than a run of the second in the
            deterministic evaluation, ties counted half, with its 95 % interval (Wilson's, with an effective number of
            runs):"""),
        table(["first", "second", "intervals of the IQM", "probability"], rows, words=3),
    ]


def sweep_page(comparison: Comparison) -> Page:
    """One row per line: the settings that differ between lines, and scores over seeds."""
    lines, threshold = comparison.lines, comparison.threshold
    statistics = [line_statistics(runs, threshold) for runs in comparison.results]
    settled = [{"agent": line.agent, **line.settings} for line in lines]
    defaults = [{"agent": None, **line.defaults} for line in lines]  # agents may default a setting differently
    apart = {key for one in settled for key in one if any(other.get(key) != one.get(key) for other in settled)}
    heads = ["line", "settings", "mean, deterministic", "IQM, deterministic", "worst seed", "mean, stochastic"]
    heads += ["all along"] if threshold is None else ["all along", f"{threshold:g} reached by", "at step"]
    rows = []
    for line, x, settings, own in zip(lines, statistics, settled, defaults, strict=True):
        cells = [line.label, changed(settings, own, apart), str(x.mean), str(x.iqm), shown(x.worst)]
        cells += [str(x.stochastic_mean), str(x.all_along)]
        rows.append(cells if threshold is None else [*cells, f"{x.steps.hits} of {x.steps.runs}", x.steps.moment])
    parts = [
        _introduction(comparison),
        paragraph(_ranked(comparison, statistics)),
        in_common("lines", settled[0], defaults[0], settled[0].keys() - apart - {"agent"}),
        table(heads, rows, words=2),
        image(comparison.title, f"{comparison.name}.png"),
    ]
    return _page(comparison, statistics, parts)
