"""The suite's table, in Markdown, and the numbers in it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from agents.settings.a2c import A2CSettings
from agents.settings.recipes import recipe_file
from agents.settings.run import RunSettings
from envs import Variant
from rl.experiments.parallel import Line, prepare
from rl.experiments.statistics import Interval, Scores, bootstrap, iqm, mean_interval
from rl.experiments.suites import panels, report
from rl.experiments.suites.panels import FINAL, GOAL, OURS, RANDOM, Panel, Reference
from rl.experiments.suites.published import PUBLISHED
from rl.experiments.suites.report import Entry, Report
from rl.experiments.suites.training import Suite
from rl.experiments.tables import as_plain, row, rule

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SOURCE = "https://github.com/DLR-RM/rl-baselines3-zoo/blob/master/benchmark.md"

_HEADS = (
    "environment", "verdict", "ours, mean", "ours, IQM", "worst seed", "ours, stochastic", "rl-zoo", "our steps",
    "rl-zoo's steps", "share", "seconds a seed", "steps/s",
)  # fmt: skip


def scores(entry: Entry) -> list[float]:
    """One a seed, evaluated as rl-zoo evaluates."""
    return entry.column("eval_mean" if PUBLISHED[entry.env].deterministic else "eval_stochastic_mean")


def normalized(entry: Entry) -> Scores | None:
    """The scores, if there are any, so that 0 is random actions and 1 rl-zoo."""
    return PUBLISHED[entry.env].normalize(scores(entry), entry.random_mean) if entry.runs else None


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
    deterministic, published = entry.column("eval_mean"), PUBLISHED[entry.env]
    timesteps = int(max(entry.column("total_timesteps")))
    return Standing(
        mean=mean_interval(deterministic),
        iqm=bootstrap([deterministic], iqm),
        worst=min(deterministic),
        stochastic=mean_interval(entry.column("eval_stochastic_mean")),
        timesteps=timesteps,
        share=timesteps / published.timesteps,
        seconds=entry.median("train_seconds"),
        steps_per_second=entry.median("steps_per_second"),
        reaches=bool(np.mean(scores(entry)) >= published.mean),
    )


def aggregate(entries: Sequence[Entry]) -> Interval | None:
    """The interquartile mean of the normalized scores of all seeds in all environments that have them."""
    tasks = [normalized(entry) for entry in entries]
    known = [task for task in tasks if task is not None]
    return bootstrap(known, iqm) if known else None


def as_json(of: Report) -> dict[str, object]:
    """Every number of the table and the summaries of all runs."""
    overall = aggregate(of.entries)
    return {"normalized_iqm": as_plain(overall) if overall else None, **report.as_json(of, _own_numbers)}


def _own_numbers(entry: Entry) -> dict[str, object]:
    normal = normalized(entry)
    numbers = {name: as_plain(part) for name, part in standing(entry)._asdict().items()} if entry.runs else None
    return {
        "rl_zoo": PUBLISHED[entry.env]._asdict(),
        "statistics": numbers,
        "normalized": None if normal is None else normal.tolist(),
    }


def table(of: Report) -> str:
    """A row an environment, and beneath it what there is to say of them all."""
    done = [(entry, standing(entry)) for entry in of.finished]
    found = {entry.env: ours for entry, ours in done}
    rows = [_row(of, entry, found.get(entry.env)) for entry in of.entries]
    return report.page(
        of, "Every recipe beside rl-baselines3-zoo", _explained(of), [row(_HEADS), rule(2, len(_HEADS) - 2), *rows],
        [_overall(done), _tried(of, found), _normalized(of.entries), _over_budget(done)],
        "![training curves and normalized scores](zoo.png)",
    )  # fmt: skip


def _explained(of: Report) -> str:
    return f"""
        Ours: each recipe of `configs/`, trained from {of.trained} (recipes were tuned on other seeds, 100
        and up), the model at the end of training evaluated {of.played}, deterministic (the most likely
        action) and stochastic. Mean, interquartile mean (IQM) and worst are over seeds, of the deterministic
        evaluation; brackets are 95 % bootstrap intervals. Seconds and speed are of training alone, medians over seeds,
        one thread, other runs beside it. rl-zoo: what [rl-baselines3-zoo publishes]({_SOURCE}) for
        Stable-Baselines3's A2C with tuned hyper-parameters, one run an environment, meant to show the most that the
        algorithm reaches; mean ± standard deviation over episodes of that one model, deterministic but for Pong. Where
        its environment is another version, its id stands beside the score. The verdict holds the mean over our seeds
        to rl-zoo's mean, in Pong that of the stochastic evaluation. Share is of rl-zoo's steps of training."""


def _row(of: Report, entry: Entry, ours: Standing | None) -> str:
    published = PUBLISHED[entry.env]
    other = f" ({published.env})" if published.env != entry.env else ""
    score, budget = f"{published.mean:.1f} ± {published.std:.1f}{other}", f"{published.timesteps:,}"
    if ours is None:
        nothing = "no recipe" if entry.settings is None else "not run"
        return row([entry.env, nothing, *[""] * 4, score, "", budget, *[""] * 3])
    verdict, share = "≥" if ours.reaches else "falls short", f"{100 * ours.share:.3g} %"
    return row([
        of.label(entry),
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


def _tried(of: Report, found: Mapping[str, Standing]) -> str:
    """The searches in environments where the score is not reached."""
    named = [
        f"{entry.env} ({', '.join(f'[{Path(page).stem}]({page})' for page in entry.pages)})"
        for entry in of.entries
        if entry.pages and not (entry.env in found and found[entry.env].reaches)
    ]
    return f"What was tried there: {'; '.join(named)}." if named else ""


def _shortfall(entry: Entry) -> str:
    x, published = mean_interval(scores(entry)), PUBLISHED[entry.env]
    reach = "reaches it" if x.high >= published.mean else "does not reach it"
    return f"{entry.env} ({x.value:.1f} against {published.mean:.1f}; the interval {reach})"


def _normalized(entries: Sequence[Entry]) -> str:
    overall, count = aggregate(entries), sum(normalized(entry) is not None for entry in entries)
    without = [entry for entry in entries if entry.runs and normalized(entry) is None]
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
    return f"""rl-zoo's {PUBLISHED[entry.env].mean:.1f} is not above the {entry.random.mean:.1f} of random actions by
        its own standard deviation"""


def _over_budget(done: Sequence[tuple[Entry, Standing]]) -> str:
    over = [entry.env for entry, ours in done if ours.share > 1]
    return f"Trained for more steps than rl-zoo: {', '.join(over)}." if over else ""


_TICKS = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)


def draw(of: Report, path: Path) -> None:
    """Draws what is finished into `path`.png and `path`.pdf. Raises ValueError if nothing is."""
    if not of.finished:
        raise ValueError("no run is finished")
    shown = [
        Panel(entry, scores(entry), Reference(PUBLISHED[entry.env].mean, "rl-baselines3-zoo, evaluation", GOAL, "--"))
        for entry in of.finished
    ]
    found = [(entry.env, normalized(entry)) for entry in of.finished]
    scored = [(env, task) for env, task in found if task is not None]
    heights = [panels.height(shown), *([0.17 * (len(scored) + 1) + 0.6] if scored else [])]  # inches
    with panels.page(sum(heights)) as figure:
        curves, *below = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        panels.draw(curves, shown, len(of.seeds))
        for part in below:
            _draw_scores(part.subplots(), scored, of)
        panels.conclude(figure, f"Every recipe beside rl-baselines3-zoo, {len(of.seeds)} seeds", path)


def _draw_scores(axes: "Axes", rows: list[tuple[str, Scores]], of: Report) -> None:
    """A row an environment: every seed as a circle, their interquartile mean and its 95 % interval; all at the end."""
    for y, (_, task) in enumerate(rows):
        axes.plot(task, np.full(len(task), y - 0.22), "o", ms=3, mfc="none", mec=OURS, mew=0.7, clip_on=False)
        _draw_interval(axes, y + 0.15, *bootstrap([task], iqm), OURS)
    overall = aggregate(of.entries)
    assert overall is not None
    _draw_interval(axes, len(rows), *overall, FINAL)
    axes.axvline(0, color=RANDOM, ls=":", lw=1)
    axes.axvline(1, color=GOAL, ls="--", lw=1.1)
    axes.set_xscale("symlog", linthresh=1.0)
    low, high = axes.get_xlim()
    shown = [tick for tick in _TICKS if low <= tick <= high]
    axes.set_xticks(shown, [f"{tick:g}" for tick in shown])
    axes.set_xticks([], minor=True)
    axes.set_yticks(range(len(rows) + 1), [*(env for env, _ in rows), "all of them"])
    axes.set_ylim(len(rows) + 0.6, -0.6)
    axes.set_xlabel("normalized score (0: random actions, 1: rl-baselines3-zoo; logarithmic beyond ±1)")
    axes.grid(alpha=0.25, axis="x")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_interval(axes: "Axes", y: float, center: float, low: float, high: float, color: str) -> None:
    axes.plot([low, high], [y, y], color=color, lw=2, solid_capstyle="butt")
    axes.plot(center, y, "|", ms=7, mew=2, color=color)


def line(env_id: str, assignments: Sequence[str]) -> Line | None:
    """None where no recipe ships."""
    recipe = recipe_file(env_id)
    if recipe is None:
        return None
    return prepare("recipe", "a2c", env_id, (A2CSettings, RunSettings), recipe, assignments, None)


def registered(line: Line) -> Variant:
    """With the registered time limit, which published scores have."""
    return line.variant._replace(max_episode_steps=None)


ZOO = Suite(
    name="zoo",
    about="every recipe beside rl-baselines3-zoo",
    envs=tuple(PUBLISHED),
    seeds="0-4",
    line=line,
    without="no recipe ships for it",
    variant=registered,
    table=table,
    as_json=as_json,
    draw=draw,
)
