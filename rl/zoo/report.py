"""The suite's table, in Markdown, and the numbers in it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rl.markdown import paragraph, row, rule
from rl.record import Result
from rl.report import as_plain
from rl.statistics import Interval, Scores, bootstrap, iqm, mean_interval
from rl.zoo import PUBLISHED, Published

_SOURCE = "https://github.com/DLR-RM/rl-baselines3-zoo/blob/master/benchmark.md"
_HEADS = (
    "environment", "verdict", "ours, mean", "ours, IQM", "worst seed", "ours, stochastic", "rl-zoo", "our steps",
    "rl-zoo's steps", "share", "seconds a seed", "steps/s",
)  # fmt: skip


class Entry(NamedTuple):
    """An environment of the suite, and what there is of it."""

    env: str
    settings: Mapping[str, object] | None  # its recipe; None if none ships
    runs: Sequence[Result]  # those that are finished
    random: float | None  # mean return of uniformly random actions
    missing: str  # why a seed, or every seed, is not among the runs; nothing if all are

    @property
    def published(self) -> Published:
        return PUBLISHED[self.env]

    @property
    def scores(self) -> list[float]:
        """One a seed, evaluated as rl-zoo evaluates."""
        key = "eval_mean" if self.published.deterministic else "eval_stochastic_mean"
        return [run.summary[key] for run in self.runs]

    @property
    def normalized(self) -> Scores | None:
        """The scores, if there are any, so that 0 is random actions and 1 rl-zoo."""
        return self.published.normalize(self.scores, self.random) if self.runs else None


class Report(NamedTuple):
    """What the table, the numbers and the figure are made of."""

    made: str  # by which command
    machine: str  # on which
    seeds: Sequence[int]
    entries: Sequence[Entry]


class Standing(NamedTuple):
    """Ours over the seeds of one environment, and where it stands."""

    mean: Interval  # of the deterministic evaluations
    iqm: Interval
    worst: float
    stochastic: Interval  # mean of the stochastic evaluations
    timesteps: int  # of training
    share: float  # of rl-zoo's steps of training
    seconds: float  # of training a seed, median
    steps_per_second: float  # median
    reaches: bool  # whether our mean is at least rl-zoo's, evaluated as rl-zoo evaluates


def standing(entry: Entry) -> Standing:
    """Raises ValueError if no run of it is finished."""
    deterministic, stochastic, timesteps, seconds, speed = (
        [run.summary[key] for run in entry.runs]
        for key in ("eval_mean", "eval_stochastic_mean", "total_timesteps", "train_seconds", "steps_per_second")
    )
    return Standing(
        mean=mean_interval(deterministic),
        iqm=bootstrap([deterministic], iqm),
        worst=min(deterministic),
        stochastic=mean_interval(stochastic),
        timesteps=int(max(timesteps)),
        share=max(timesteps) / entry.published.timesteps,
        seconds=float(np.median(seconds)),
        steps_per_second=float(np.median(speed)),
        reaches=bool(np.mean(entry.scores) >= entry.published.mean),
    )


def aggregate(entries: Sequence[Entry]) -> Interval | None:
    """The interquartile mean of the normalized scores of all seeds in all environments that have them."""
    tasks = [entry.normalized for entry in entries]
    known = [task for task in tasks if task is not None]
    return bootstrap(known, iqm) if known else None


def as_json(of: Report) -> dict[str, object]:
    """Every number of the table and the summaries of all runs."""
    overall = aggregate(of.entries)
    return {
        "command": of.made,
        "machine": of.machine,
        "seeds": list(of.seeds),
        "normalized_iqm": as_plain(overall) if overall else None,
        "environments": [_entry_as_json(entry) for entry in of.entries],
    }


def _entry_as_json(entry: Entry) -> dict[str, object]:
    normal = entry.normalized
    numbers = {name: as_plain(part) for name, part in standing(entry)._asdict().items()} if entry.runs else None
    return {
        "env": entry.env,
        "rl_zoo": entry.published._asdict(),
        "random": entry.random,
        "settings": entry.settings,
        "missing": entry.missing or None,
        "statistics": numbers,
        "normalized": None if normal is None else normal.tolist(),
        "runs": [run.summary for run in entry.runs],
    }


def table(of: Report) -> str:
    """A row an environment, and beneath it what there is to say of them all."""
    done = {entry.env: (entry, standing(entry)) for entry in of.entries if entry.runs}
    rows = [_row(entry, done[entry.env][1] if entry.runs else None, len(of.seeds)) for entry in of.entries]
    said = [_overall(list(done.values())), _normalized(of.entries), _over_budget(list(done.values())), _missing(of)]
    text = ["# Every recipe beside rl-baselines3-zoo", "", f"Made by `{of.made}`", "", f"on {of.machine}."]
    text += ["", paragraph(_explained(of)), "", row(_HEADS), rule(2, len(_HEADS) - 2), *rows]
    text += [line for part in said if part for line in ("", paragraph(part))]
    return "\n".join([*text, "", "![training curves and normalized scores](zoo.png)"]) + "\n"


def _explained(of: Report) -> str:
    episodes = sorted({int(run.summary["eval_episodes"]) for entry in of.entries for run in entry.runs})
    played = f" on {' or '.join(map(str, episodes))} episodes each" if episodes else ""
    seeds = ", ".join(map(str, of.seeds))
    return f"""
        Ours: each recipe of `configs/`, trained from seed{"s" if len(of.seeds) > 1 else ""} {seeds} (recipes were tuned
        on other seeds, 100 and up), the model at the end of training evaluated{played}, deterministic (the most likely
        action) and stochastic. Mean, interquartile mean (IQM) and worst are over seeds, of the deterministic
        evaluation; brackets are 95 % bootstrap intervals. Seconds and speed are of training alone, medians over seeds,
        one thread, other runs beside it. rl-zoo: what [rl-baselines3-zoo publishes]({_SOURCE}) for
        Stable-Baselines3's A2C with tuned hyper-parameters, one run an environment, meant to show the most that the
        algorithm reaches; mean ± standard deviation over episodes of that one model, deterministic but for Pong. Where
        its environment is another version, its id stands beside the score. The verdict holds the mean over our seeds
        to rl-zoo's mean, in Pong that of the stochastic evaluation. Share is of rl-zoo's steps of training."""


def _row(entry: Entry, ours: Standing | None, seeds: int) -> str:
    published = entry.published
    other = f" ({published.env})" if published.env != entry.env else ""
    score, budget = f"{published.mean:.1f} ± {published.std:.1f}{other}", f"{published.timesteps:,}"
    if ours is None:
        nothing = "no recipe" if entry.settings is None else "not run"
        return row([entry.env, nothing, *[""] * 4, score, "", budget, *[""] * 3])
    partly = f" ({len(entry.runs)} of {seeds} seeds)" if len(entry.runs) < seeds else ""
    verdict, share = "≥" if ours.reaches else "falls short", f"{100 * ours.share:.3g} %"
    return row([
        entry.env + partly,
        verdict if published.deterministic else f"{verdict} (stochastic)",
        str(ours.mean), str(ours.iqm), f"{ours.worst:.1f}", str(ours.stochastic), score,
        f"{ours.timesteps:,}", budget, share if ours.share <= 1 else f"**{share}, more**",
        f"{ours.seconds:,.1f}", f"{ours.steps_per_second:,.0f}",
    ])  # fmt: skip


def _overall(done: Sequence[tuple[Entry, Standing]]) -> str:
    if not done:
        return ""
    behind = [_shortfall(entry) for entry, ours in done if not ours.reaches]
    text = f"At least rl-zoo's score in {len(done) - len(behind)} of {len(done)} environments that were run."
    return f"{text} Falls short: {'; '.join(behind)}." if behind else text


def _shortfall(entry: Entry) -> str:
    x = mean_interval(entry.scores)
    reach = "reaches it" if x.high >= entry.published.mean else "does not reach it"
    return f"{entry.env} ({x.value:.1f} against {entry.published.mean:.1f}; the interval {reach})"


def _normalized(entries: Sequence[Entry]) -> str:
    overall, count = aggregate(entries), sum(entry.normalized is not None for entry in entries)
    without = [entry for entry in entries if entry.runs and entry.normalized is None]
    text = ""
    if overall:
        text = f"""Normalized so that 0 is uniformly random actions and 1 is rl-zoo's score, the interquartile mean of
            all seeds in {count} environment{"s" if count > 1 else ""} is {overall.value:.2f} [{overall.low:.2f},
            {overall.high:.2f}]; the interval is of the stratified bootstrap, which draws seeds anew within each
            environment."""
    if without:
        named = "; ".join(f"{entry.env} ({_why_not_normalized(entry)})" for entry in without)
        text += f" Not normalized: {named}."
    return text


def _why_not_normalized(entry: Entry) -> str:
    if entry.random is None:
        return "the score of random actions is not known"
    return f"""rl-zoo's {entry.published.mean:.1f} is not above the {entry.random:.1f} of random actions by its own
        standard deviation"""


def _over_budget(done: Sequence[tuple[Entry, Standing]]) -> str:
    over = [entry.env for entry, ours in done if ours.share > 1]
    return f"Trained for more steps than rl-zoo: {', '.join(over)}." if over else ""


def _missing(of: Report) -> str:
    reasons = dict.fromkeys(entry.missing for entry in of.entries if entry.missing)
    without = [
        f"{', '.join(entry.env for entry in of.entries if entry.missing == reason)} ({reason})" for reason in reasons
    ]
    return f"Missing, which the same command adds once it can: {'; '.join(without)}." if without else ""
