"""The page of a comparison, or of a sweep of settings: tables, and the statistics in them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from agents.logger import LATEST
from rl.experiments.pages import Page, changed, counted, paragraph, table
from rl.experiments.parallel import BASELINE, Line
from rl.experiments.statistics import (
    METHOD,
    Interval,
    Reached,
    area_under_curve,
    as_plain,
    bootstrap,
    iqm,
    mean_interval,
    probability_of_improvement,
    reached,
    shown,
)
from rl.run.results import Result, column


class Comparison(NamedTuple):
    """What a page is made of."""

    title: str
    command: str
    machine: str
    lines: Sequence[Line]
    results: Sequence[Sequence[Result]]  # for each line, a result for each seed
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


def line_statistics(runs: Sequence[Result], threshold: float | None) -> LineStatistics:
    """threshold: of the mean return of the last 100 training episodes."""
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


def first_reached(run: Result, threshold: float) -> float | None:
    """The step of training at which the mean of the last 100 episodes first reached the threshold."""
    episodes = run.episodes()
    returns = episodes["return"]
    if len(returns) < LATEST:
        return None
    good = np.flatnonzero(np.lib.stride_tricks.sliding_window_view(returns, LATEST).mean(1) >= threshold)
    return float(episodes["step"][good[0] + LATEST - 1]) if len(good) else None


def height_along(run: Result) -> float:
    """The mean height of the learning curve."""
    metrics = run.metrics()
    return area_under_curve(metrics["step"], metrics["rollout/ep_rew_mean"], float(metrics["step"][-1]))


def comparison_page(comparison: Comparison) -> Page:
    """A row for each line; then one for every pair of ours and SB3's, or of every line and the first."""
    statistics = [line_statistics(runs, comparison.threshold) for runs in comparison.results]
    parts = [_introduction(comparison), _scores(comparison, statistics), *_pairs(comparison, statistics)]
    return _page(comparison, statistics, parts)


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
    runs, threshold = comparison.results[0], comparison.threshold
    text = f"""
        {counted(len(runs), "seed")} a line; {_steps(comparison)} steps of training; evaluations of
        {runs[0].summary["eval_episodes"]} episodes each, deterministic (the most likely action) and stochastic. IQM is
        the interquartile mean over seeds; {_method(comparison)}. All along is the mean height of the learning curve.
        Speed is not compared here, because runs train beside each other: `python -m rl.bench` measures it."""
    if threshold is not None:
        text += f""" {threshold:g} reached: by the mean of the last 100 training episodes, at the median step over all
        seeds, where one that never reached it counts as ∞ (–)."""
    return paragraph(text)


def _method(comparison: Comparison) -> str:
    return f"brackets are 95 % {METHOD} intervals over {counted(len(comparison.results[0]), 'seed')}"


def _steps(comparison: Comparison) -> str:
    """Of training; where lines differ, most lines' number and then the others with their labels."""
    groups: dict[int, list[str]] = {}
    for line in comparison.lines:
        groups.setdefault(int(str(line.settings["total_timesteps"])), []).append(line.label)
    (most, _), *others = sorted(groups.items(), key=lambda group: -len(group[1]))
    return f"{most:,}" + "".join(f" ({'; '.join(labels)}: {steps:,})" for steps, labels in others)


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
        overlap = "overlap" if statistics[i].iqm.overlaps(statistics[j].iqm) else "do not overlap"
        rows.append([comparison.lines[i].label, comparison.lines[j].label, overlap, f"{chance:.2f}"])
    return [
        paragraph("""Probability that a run of the first line scores higher than one of the second in its deterministic
            evaluation, ties counted half, with its 95 % interval (Wilson's, with an effective number of runs):"""),
        table(["first", "second", "intervals of the IQM", "probability"], rows, words=3),
    ]


def sweep_page(comparison: Comparison) -> Page:
    """A row for each line: the settings in which lines differ, and scores over seeds."""
    lines, threshold = comparison.lines, comparison.threshold
    statistics = [line_statistics(runs, threshold) for runs in comparison.results]
    settled = [{"agent": line.agent, **line.settings} for line in lines]
    defaults = [{"agent": None, **line.defaults} for line in lines]  # agents may default a setting differently
    apart = {key for one in settled for key in one if any(other.get(key) != one.get(key) for other in settled)}
    common = changed(settled[0], defaults[0], settled[0].keys() - apart - {"agent"})
    heads = ["line", "settings", "deterministic", "worst seed", "stochastic", "all along"]
    heads += [] if threshold is None else [f"{threshold:g} reached by", "at step"]
    explained = f"""
        Scores are means over {counted(len(comparison.results[0]), "seed")} of the evaluations after
        {_steps(comparison)} steps of training; {_method(comparison)}. All along is the training return averaged over
        all steps, the mean height of the learning curve."""
    if threshold is not None:
        explained += """ The last columns: how many seeds reached the threshold with their last 100 training episodes,
        and the median step over all seeds, – where fewer than half did."""
    rows = []
    for line, x, settings, own in zip(lines, statistics, settled, defaults, strict=True):
        cells = [line.label, changed(settings, own, apart), str(x.mean), shown(x.worst)]
        cells += [str(x.stochastic_mean), str(x.all_along)]
        rows.append(cells if threshold is None else [*cells, f"{x.steps.hits} of {x.steps.runs}", x.steps.moment])
    settings_of_all = f"Settings of all lines that differ from the defaults: {common}."
    return _page(comparison, statistics, [settings_of_all, paragraph(explained), table(heads, rows, words=2)])
