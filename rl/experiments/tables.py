"""Tables of a comparison, in Markdown, and the statistics in them."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from agents.settings.values import plain
from rl.experiments.parallel import Line
from rl.experiments.statistics import (
    Interval,
    Reached,
    area_under_curve,
    bootstrap,
    iqm,
    mean_interval,
    probability_of_improvement,
    reached,
)
from rl.run.recorder import LATEST
from rl.run.results import Result, read_columns


class Comparison(NamedTuple):
    """What a table is made of."""

    title: str
    made: str  # by which command
    machine: str  # on which
    lines: Sequence[Line]
    results: Sequence[Sequence[Result]]  # of each line, those of its seeds
    threshold: float | None  # a training return; the environment's own, or the user's
    random: float | None  # mean return of uniformly random actions


class LineStatistics(NamedTuple):
    """A line of a comparison, over its seeds."""

    iqm: Interval  # of the deterministic evaluations
    mean: Interval
    worst: float
    stochastic_iqm: Interval
    stochastic_mean: Interval
    all_along: Interval  # mean height of the learning curve
    steps: Reached  # to the threshold
    seconds: Reached
    steps_per_second: float  # median


def line_statistics(runs: Sequence[Result], threshold: float | None) -> LineStatistics:
    """threshold: of the mean return of the last 100 training episodes."""
    deterministic, stochastic = ([run.summary[key] for run in runs] for key in ("eval_mean", "eval_stochastic_mean"))
    moments = [None if threshold is None else first_reached(run, threshold) for run in runs]
    return LineStatistics(
        iqm=bootstrap([deterministic], iqm),
        mean=mean_interval(deterministic),
        worst=min(deterministic),
        stochastic_iqm=bootstrap([stochastic], iqm),
        stochastic_mean=mean_interval(stochastic),
        all_along=mean_interval([height_along(run) for run in runs]),
        steps=reached([moment and moment[0] for moment in moments]),
        seconds=reached([moment and moment[1] for moment in moments]),
        steps_per_second=float(np.median([run.summary["steps_per_second"] for run in runs])),
    )


def as_plain(value: LineStatistics | Interval | Reached | float | None) -> object:
    """As JSON holds it, which has no infinity: null where a threshold was never reached, or a score is unknown."""
    if isinstance(value, LineStatistics | Interval | Reached):
        return {name: as_plain(part) for name, part in value._asdict().items()}
    return value if value is not None and np.isfinite(value) else None


def first_reached(run: Result, threshold: float) -> tuple[float, float] | None:
    """The step and the second of training at which the mean of the last 100 episodes first reached the threshold."""
    episodes = read_columns(run.directory / "episodes.csv")
    returns = episodes["return"]
    if len(returns) < LATEST:
        return None
    good = np.flatnonzero(np.lib.stride_tricks.sliding_window_view(returns, LATEST).mean(1) >= threshold)
    if not len(good):
        return None
    last = good[0] + LATEST - 1
    return float(episodes["step"][last]), float(episodes["time/seconds"][last])


def comparison_table(of: Comparison) -> str:
    """A row a line, then a row for every pair of ours and Stable-Baselines3's (or of any line and the first)."""
    statistics = [line_statistics(runs, of.threshold) for runs in of.results]
    return "\n".join([*_introduction(of), "", *_scores_table(of, statistics), "", *_pairs_table(of, statistics)]) + "\n"


def _introduction(of: Comparison) -> list[str]:
    steps, episodes = _steps(of), of.results[0][0].summary["eval_episodes"]
    text = f"""
        {len(of.results[0])} seeds and {steps} steps of training a line; evaluations of {episodes} episodes each,
        deterministic (the most likely action) and stochastic. IQM is the interquartile mean over seeds; brackets are
        95 % stratified bootstrap intervals. All along is the mean height of the learning curve. Speed is that of
        training alone, the median, one thread, other runs beside it."""
    if of.threshold is not None:
        text += f""" {of.threshold:g} reached: by the mean of the last 100 training episodes, at the median step and
        second over all seeds, where one that never reached it counts as ∞ (–)."""
    return [f"# {of.title}", "", f"Made by `{of.made}`", "", f"on {of.machine}.", "", paragraph(text)]


def _steps(of: Comparison) -> str:
    """Of training, where lines differ from the fewest to the most; a clone may have ended earlier."""
    asked = {int(str(line.settings["total_timesteps"])) for line in of.lines}
    taken = int(max(run.summary["total_timesteps"] for runs in of.results for run in runs))
    return f"{taken:,}" if len(asked) == 1 else f"{min(asked):,} to {taken:,}"


def _scores_table(of: Comparison, statistics: Sequence[LineStatistics]) -> list[str]:
    heads = ["line", "IQM, deterministic", "mean, deterministic", "worst seed", "IQM, stochastic", "all along"]
    heads += [] if of.threshold is None else [f"{of.threshold:g} reached by", "at step", "after seconds"]
    heads.append("steps per second")
    rows = [row(heads), rule(1, len(heads) - 1)]
    for line, x in zip(of.lines, statistics, strict=True):
        cells = [line.label, str(x.iqm), str(x.mean), f"{x.worst:.1f}", str(x.stochastic_iqm), str(x.all_along)]
        if of.threshold is not None:
            cells += [f"{x.steps.hits} of {x.steps.runs}", _moment(x.steps), _moment(x.seconds)]
        rows.append(row([*cells, f"{x.steps_per_second:,.0f}"]))
    if of.random is not None:
        rows.append(row(["uniformly random actions", "", f"{of.random:.1f}", *[""] * (len(heads) - 3)]))
    return rows


def _moment(of: Reached) -> str:
    return f"{of.median:,.0f}" if np.isfinite(of.median) else "–"


def _pairs_table(of: Comparison, statistics: Sequence[LineStatistics]) -> list[str]:
    theirs = [i for i, line in enumerate(of.lines) if line.agent == "sb3"]
    ours = [i for i in range(len(of.lines)) if i not in theirs]
    pairs = [(i, j) for j in theirs for i in ours] or [(i, 0) for i in range(1, len(of.lines))]
    if not pairs:
        return []
    rows = [
        "Probability that a run of the first line scores higher than one of the second, deterministic evaluation:",
        "",
        row(["first", "second", "intervals of the IQM", "probability"]),
        rule(3, 1),
    ]
    scores = [[run.summary["eval_mean"] for run in runs] for runs in of.results]
    for i, j in pairs:
        chance = probability_of_improvement([scores[i]], [scores[j]])
        a, b = statistics[i].iqm, statistics[j].iqm
        overlap = "overlap" if a.low <= b.high and b.low <= a.high else "do not overlap"
        interval = f"{chance.value:.2f} [{chance.low:.2f}, {chance.high:.2f}]"
        rows.append(row([of.lines[i].label, of.lines[j].label, overlap, interval]))
    return rows


def sweep_table(of: Comparison) -> str:
    """A row a line: the settings in which lines differ, and scores over seeds."""
    lines, results, threshold = of.lines, of.results, of.threshold
    shown = [{"agent": line.agent, **line.settings} for line in lines]
    usual = [{"agent": None, **line.usual} for line in lines]  # of a setting of this name, agents differ in the default
    apart = {key for one in shown for key in one if any(other.get(key) != one.get(key) for other in shown)}
    common = changed(shown[0], usual[0], shown[0].keys() - apart - {"agent"})
    heads = ["line", "settings", "deterministic", "worst seed", "stochastic", "all along"]
    heads += [] if threshold is None else [f"{threshold:g} reached by", "at step"]
    explained = f"""
        Scores are mean [95 % bootstrap interval] over seeds, of the evaluations after {_steps(of)} steps of training.
        All along is the training return averaged over all steps, the mean height of the learning curve."""
    if threshold is not None:
        explained += """ The last columns: how many seeds reached the threshold with their last 100 training episodes,
        and the median step over all seeds, – where fewer than half did."""
    text = [
        f"# {of.title}",
        "",
        f"Made by `{of.made}`. Settings of all lines that differ from the defaults: {common}.",
        paragraph(explained),
        "",
        row(heads),
        rule(2, len(heads) - 2),
    ]
    for line, runs, settings, defaults in zip(lines, results, shown, usual, strict=True):
        x = line_statistics(runs, threshold)
        cells = [line.label, changed(settings, defaults, apart), str(x.mean), f"{x.worst:.1f}"]
        cells += [str(x.stochastic_mean), str(x.all_along)]
        if threshold is not None:
            cells += [f"{x.steps.hits} of {x.steps.runs}", _moment(x.steps)]
        text.append(row(cells))
    return "\n".join(text) + "\n"


def changed(settings: Mapping[str, object], usual: Mapping[str, object], keys: Iterable[str] | None = None) -> str:
    """The settings that are not the defaults, among these keys."""
    return ", ".join(changes(settings, usual, keys)) or "none"


def changes(
    settings: Mapping[str, object], usual: Mapping[str, object], keys: Iterable[str] | None = None
) -> list[str]:
    """Each of the settings that are not the defaults, among these keys."""
    among = set(usual if keys is None else keys)
    return [f"`{key}: {value}`" for key, value in settings.items() if key in among and value != plain(usual[key])]


def height_along(run: Result) -> float:
    """The mean height of the learning curve."""
    metrics = read_columns(run.directory / "metrics.csv")
    return area_under_curve(metrics["step"], metrics["rollout/ep_rew_mean"], float(metrics["step"][-1]))


def paragraph(text: str) -> str:
    """Broken into lines of at most 116 characters."""
    return textwrap.fill(" ".join(text.split()), 116, break_long_words=False, break_on_hyphens=False)


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def rule(words: int, numbers: int) -> str:
    """Below the head of a table: columns of words to the left, columns of numbers to the right."""
    return f"|{'---|' * words}{'---:|' * numbers}"
