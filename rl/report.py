"""Tables of a comparison, in Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rl.launch import Line, Result
from rl.record import Columns, read_columns
from rl.statistics import mean_interval
from rl.typed import plain

_SCORES = {"Deterministic": "eval_mean", "Stochastic": "eval_stochastic_mean"}


class Comparison(NamedTuple):
    """What a table is made of."""

    title: str
    made: str  # by which command
    lines: Sequence[Line]
    results: Sequence[Sequence[Result]]  # of each line, those of its seeds
    usual: Mapping[str, object]  # the default of every setting
    threshold: float | None  # the environment's


def seed_table(of: Comparison) -> str:
    """A single line: a row a seed, and the summary over seeds."""
    (line,), (results,), threshold = of.lines, of.results, of.threshold
    text = [
        f"# {of.title}",
        "",
        f"Made by `{of.made}`. Settings that differ from the defaults: {_changed(line.settings, of.usual)}.",
        "Returns are mean ± standard deviation over the episodes of the final evaluation; intervals are 95 % bootstrap",
        "intervals of the mean over seeds; seconds are those of training, one thread, other runs beside it.",
        "",
        "| seed | deterministic | stochastic | solved at step | steps | seconds |",
        "|---:|---:|---:|---:|---:|---:|",
        *(_seed_row(result.summary) for result in results),
        "",
        *(_score(name, [result.summary[key] for result in results], threshold) for name, key in _SCORES.items()),
    ]
    seconds = np.median([result.summary["train_seconds"] for result in results])
    text.append(f"- Training: {results[0].summary['total_timesteps']:,} steps in {seconds:.0f} seconds (median).")
    if threshold is not None:
        count, step = _solved(results)
        when = "" if step is None else f", at step {step:,.0f} (median)"
        text.append(f"- Training return, last 100 episodes: {threshold:g} in {count} of {len(results)}{when}.")
    return "\n".join(text) + "\n"


def line_table(of: Comparison) -> str:
    """A row a line: the settings in which lines differ, and scores over seeds."""
    lines, results, usual, threshold = of.lines, of.results, of.usual, of.threshold
    apart = {key for key in usual if any(line.settings[key] != lines[0].settings[key] for line in lines)}
    common = _changed(lines[0].settings, usual, set(usual) - apart)
    steps = f"{results[0][0].summary['total_timesteps']:,}"
    heads = ["line", "settings", "deterministic", "worst seed", "stochastic", "all along"]
    heads += [] if threshold is None else [f"{threshold:g} reached by", "at step"]
    text = [
        f"# {of.title}",
        "",
        f"Made by `{of.made}`. Settings of all lines that differ from the defaults: {common}.",
        f"Scores are mean [95 % bootstrap interval] over seeds, of the evaluations after {steps} steps of training.",
        "All along is the training return averaged over all steps, the mean height of the learning curve. The last",
        "columns: how many seeds reached the threshold with their last 100 training episodes, and their median step.",
        "",
        f"| {' | '.join(heads)} |",
        f"|---|---|{'---:|' * (len(heads) - 2)}",
    ]
    for line, runs in zip(lines, results, strict=True):
        cells = [line.label, _changed(line.settings, usual, apart), *_line_scores(runs)]
        if threshold is not None:
            count, step = _solved(runs)
            cells += [f"{count} of {len(runs)}", "–" if step is None else f"{step:,.0f}"]
        text.append(f"| {' | '.join(cells)} |")
    return "\n".join(text) + "\n"


def _changed(settings: Mapping[str, object], usual: Mapping[str, object], keys: Iterable[str] | None = None) -> str:
    """The settings that are not the defaults, among these keys."""
    among = set(usual if keys is None else keys)
    changed = [f"`{key}: {value}`" for key, value in settings.items() if key in among and value != plain(usual[key])]
    return ", ".join(changed) or "none"


def _seed_row(summary: Mapping[str, float]) -> str:
    solved = f"{summary['solved_at']:,}" if summary["solved_at"] else "–"
    return (
        f"| {summary['seed']} | {summary['eval_mean']:.1f} ± {summary['eval_std']:.1f} "
        f"| {summary['eval_stochastic_mean']:.1f} ± {summary['eval_stochastic_std']:.1f} "
        f"| {solved} | {summary['total_timesteps']:,} | {summary['train_seconds']:.0f} |"
    )


def _score(name: str, scores: list[float], threshold: float | None) -> str:
    mean, low, high = mean_interval(scores)
    line = f"- {name}: mean {mean:.1f} [{low:.1f}, {high:.1f}], worst seed {min(scores):.1f}"
    if threshold is not None:
        line += f", at least {threshold:g} in {sum(score >= threshold for score in scores)} of {len(scores)}"
    return line + "."


def _line_scores(runs: Sequence[Result]) -> list[str]:
    """Deterministic, its worst seed, stochastic, all along."""
    deterministic, stochastic = ([run.summary[key] for run in runs] for key in _SCORES.values())
    heights = [_height(read_columns(run.directory / "metrics.csv")) for run in runs]
    return [_interval(deterministic), f"{min(deterministic):.1f}", _interval(stochastic), _interval(heights)]


def _height(metrics: Columns) -> float:
    """The mean of the learning curve over the steps at which there is one."""
    steps, returns = metrics["step"], metrics["rollout/ep_rew_mean"]
    known = np.isfinite(returns)
    if known.sum() < 2:
        return float(returns[known].mean()) if known.any() else float("nan")
    return float(np.trapezoid(returns[known], steps[known]) / np.ptp(steps[known]))


def _interval(scores: Sequence[float]) -> str:
    mean, low, high = mean_interval(scores)
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]"


def _solved(runs: Sequence[Result]) -> tuple[int, float | None]:
    """How many runs reached the threshold, and their median step."""
    steps = [step for run in runs if (step := run.summary["solved_at"])]
    return len(steps), float(np.median(steps)) if steps else None
