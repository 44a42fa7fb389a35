"""The suite of all recipes, each held to the score that rl-baselines3-zoo publishes."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from agents.settings.a2c import A2CSettings
from agents.settings.recipes import recipe_file
from agents.settings.run import RunSettings
from envs import Variant
from rl.experiments.pages import paragraph
from rl.experiments.parallel import Line, prepare
from rl.experiments.plots import draw_interval
from rl.experiments.statistics import Interval, Scores, as_plain, bootstrap, iqm
from rl.experiments.suites.figure import RANDOM
from rl.experiments.suites.published import PUBLISHED
from rl.experiments.suites.suite import Below, Entry, Report, Statistics, Suite, shortfalls
from rl.run.figure import BLACK, BLUE, ORANGE, finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SOURCE = "https://github.com/DLR-RM/rl-baselines3-zoo/blob/master/benchmark.md"

_HEADS = (
    "environment", "verdict", "ours, mean", "ours, IQM", "worst seed", "ours, stochastic", "rl-zoo", "our steps",
    "rl-zoo's steps", "share", "seconds a seed", "steps/s",
)  # fmt: skip


def judged(env_id: str) -> str:
    """The evaluation with which rl-zoo's is comparable."""
    return "eval_mean" if PUBLISHED[env_id].deterministic else "eval_stochastic_mean"


def normalized(entry: Entry) -> Scores | None:
    """The scores, if there are any, so that 0 is random actions and 1 rl-zoo."""
    return PUBLISHED[entry.env].normalize(entry.column(judged(entry.env)), entry.random_mean) if entry.runs else None


def aggregate(entries: Sequence[Entry]) -> Interval | None:
    """The interquartile mean of the normalized scores of all seeds in all environments that have them."""
    known = [task for task in map(normalized, entries) if task is not None]
    return bootstrap(known, iqm) if known else None


def share(env_id: str, ours: Statistics) -> float:
    """Of rl-zoo's steps of training."""
    return ours.timesteps / PUBLISHED[env_id].timesteps


def _numbers(entry: Entry, ours: Statistics | None) -> dict[str, object]:
    normal = normalized(entry)
    statistics = ours and {
        "mean": ours.mean, "iqm": ours.iqm, "worst": min(entry.column("eval_mean")), "stochastic": ours.stochastic,
        "timesteps": ours.timesteps, "share": share(entry.env, ours), "seconds": ours.seconds,
        "steps_per_second": ours.steps_per_second, "reaches": ours.reaches,
    }  # fmt: skip
    return {
        "rl_zoo": PUBLISHED[entry.env]._asdict(),
        "statistics": statistics and {name: as_plain(x) for name, x in statistics.items()},
        "normalized": None if normal is None else normal.tolist(),
    }


def _overall(report: Report) -> dict[str, object]:
    return {"normalized_iqm": as_plain(aggregate(report.entries))}


def _explanation(report: Report) -> str:
    return f"""
        Ours: each recipe of `configs/`, trained from {report.trained} (recipes were tuned on other seeds, 100
        and up), the model at the end of training evaluated {report.played}, deterministic (the most likely
        action) and stochastic. Mean, interquartile mean (IQM) and worst are over seeds, of the deterministic
        evaluation; brackets are 95 % bootstrap intervals. Seconds and speed are of training alone, medians over seeds,
        one thread, other runs beside it. rl-zoo: what [rl-baselines3-zoo publishes]({_SOURCE}) for
        Stable-Baselines3's A2C with tuned hyper-parameters, one run an environment, meant to show the most that the
        algorithm reaches; mean ± standard deviation over episodes of that one model, deterministic but for Pong. Where
        its environment is another version, its id stands beside the score. The verdict holds the mean over our seeds
        to rl-zoo's mean, in Pong that of the stochastic evaluation. Share is of rl-zoo's steps of training."""


def _cells(report: Report, entry: Entry, ours: Statistics | None) -> list[str]:
    published = PUBLISHED[entry.env]
    other = f" ({published.env})" if published.env != entry.env else ""
    score, budget = f"{published.mean:.1f} ± {published.std:.1f}{other}", f"{published.timesteps:,}"
    if ours is None:
        nothing = "no recipe" if entry.settings is None else "not run"
        return [entry.env, nothing, *[""] * 4, score, "", budget, *[""] * 3]
    verdict, part = "≥" if ours.reaches else "falls short", share(entry.env, ours)
    return [
        report.label(entry),
        verdict if published.deterministic else f"{verdict} (stochastic)",
        str(ours.mean), str(ours.iqm), f"{min(entry.column('eval_mean')):.1f}", str(ours.stochastic), score,
        f"{ours.timesteps:,}", budget, f"{100 * part:.3g} %" if part <= 1 else f"**{100 * part:.3g} %, more**",
        f"{ours.seconds:,.1f}", f"{ours.steps_per_second:,.0f}",
    ]  # fmt: skip


def _remarks(report: Report, found: Mapping[str, Statistics]) -> list[str]:
    reached, judged_of, behind = shortfalls(found, "{:.1f}".format)
    overall = (
        f"At least rl-zoo's score in {reached} of {judged_of} environments that were run.{behind}" if found else ""
    )
    tried = [
        f"{entry.env} ({', '.join(f'[{Path(page).stem}]({page})' for page in entry.pages)})"
        for entry in report.entries
        if entry.pages and not (entry.env in found and found[entry.env].reaches)
    ]
    over = [env for env, ours in found.items() if share(env, ours) > 1]
    remarks = [
        overall,
        f"What was tried there: {'; '.join(tried)}." if tried else "",
        _normalization(report.entries),
        f"Trained for more steps than rl-zoo: {', '.join(over)}." if over else "",
    ]
    return [paragraph(text) for text in remarks]


def _normalization(entries: Sequence[Entry]) -> str:
    overall, count = aggregate(entries), sum(normalized(entry) is not None for entry in entries)
    without = [
        f"{entry.env} ({_why_not_normalized(entry)})" for entry in entries if entry.runs and normalized(entry) is None
    ]
    text = ""
    if overall:
        text = f"""Normalized so that 0 is uniformly random actions and 1 is rl-zoo's score, the interquartile mean of
            all seeds in {count} environment{"s" if count > 1 else ""} is {overall:.2f}; the interval is of the
            stratified bootstrap, which draws seeds anew within each environment."""
    return text + (f" Not normalized: {'; '.join(without)}." if without else "")


def _why_not_normalized(entry: Entry) -> str:
    if entry.random is None:
        return "the score of random actions is not known"
    return f"""rl-zoo's {PUBLISHED[entry.env].mean:.1f} is not above the {entry.random.mean:.1f} of random actions by
        its own standard deviation"""


_TICKS = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)


def _normalized_scores(report: Report) -> Below | None:
    scores = {entry.env: task for entry in report.finished if (task := normalized(entry)) is not None}
    return Below(0.17 * (len(scores) + 1) + 0.6, partial(_draw_scores, scores)) if scores else None


def _draw_scores(scores: Mapping[str, Scores], axes: "Axes") -> None:
    """A row an environment: every seed as a circle, their interquartile mean and its 95 % interval; all at the end."""
    for row, task in enumerate(scores.values()):
        axes.plot(task, np.full(len(task), row - 0.22), "o", ms=3, mfc="none", mec=BLUE, mew=0.7, clip_on=False)
        draw_interval(axes, row + 0.15, *bootstrap([task], iqm), BLUE)
    draw_interval(axes, len(scores), *bootstrap(list(scores.values()), iqm), BLACK)
    axes.axvline(0, color=RANDOM, ls=":", lw=1)
    axes.axvline(1, color=ORANGE, ls="--", lw=1.1)
    axes.set_xscale("symlog", linthresh=1.0)
    low, high = axes.get_xlim()
    shown = [tick for tick in _TICKS if low <= tick <= high]
    axes.set_xticks(shown, [f"{tick:g}" for tick in shown])
    axes.set_xticks([], minor=True)
    axes.set_yticks(range(len(scores) + 1), [*scores, "all of them"])
    axes.set_ylim(len(scores) + 0.6, -0.6)
    finish(axes, "normalized score (0: random actions, 1: rl-baselines3-zoo; logarithmic beyond ±1)")
    axes.grid(visible=False, axis="y")


def _line(env_id: str, assignments: Sequence[str]) -> Line | None:
    """None where no recipe ships."""
    recipe = recipe_file(env_id)
    return (
        None
        if recipe is None
        else prepare("recipe", "a2c", env_id, (A2CSettings, RunSettings), recipe, assignments, None)
    )


def _registered(line: Line) -> Variant:
    """With the registered time limit, which published scores have."""
    return line.variant._replace(max_episode_steps=None)


ZOO = Suite(
    name="zoo",
    about="every recipe beside rl-baselines3-zoo",
    title="Every recipe beside rl-baselines3-zoo",
    envs=tuple(PUBLISHED),
    seeds="0-4",
    line=_line,
    no_line="no recipe ships for it",
    variant=_registered,
    judged=judged,
    goal=lambda entry: PUBLISHED[entry.env].mean,
    goal_label="rl-baselines3-zoo, evaluation",
    heads=_HEADS,
    words=2,
    cells=_cells,
    explanation=_explanation,
    remarks=_remarks,
    numbers=_numbers,
    overall=_overall,
    below=_normalized_scores,
)
