"""The suite's table, in Markdown, the numbers in it, and its figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rl.markdown import row, rule
from rl.play import PATIENCE
from rl.report import as_plain
from rl.statistics import Interval, mean_interval
from rl.suites import panels, report
from rl.suites.panels import GOAL, Panel, Reference
from rl.suites.report import Entry, Report
from rl.unseen import CHALLENGES

_TITLE = "Environments without a recipe, beside random actions"
_HEADS = (
    "environment", "asks for", "settings", "verdict", "random actions", "margin", "ours, stochastic", "worst seed",
    "ours, deterministic", "steps", "seconds a seed", "steps/s",
)  # fmt: skip


class Standing(NamedTuple):
    """Ours over the seeds of one environment, and where it stands."""

    stochastic: Interval  # mean of the stochastic evaluations
    worst: float  # of them
    deterministic: Interval  # mean of the deterministic evaluations
    goal: float | None  # mean return of random actions, and the margin over it; None where that mean is unknown
    improves: bool | None  # whether the stochastic mean is at least the goal
    timesteps: int  # of training
    seconds: float  # of training a seed, median
    steps_per_second: float  # median


def goal(entry: Entry) -> float | None:
    return None if entry.random_mean is None else entry.random_mean + CHALLENGES[entry.env].margin


def standing(entry: Entry) -> Standing:
    """Raises ValueError if no run of it is finished."""
    stochastic, aim = mean_interval(entry.column("eval_stochastic_mean")), goal(entry)
    return Standing(
        stochastic=stochastic,
        worst=min(entry.column("eval_stochastic_mean")),
        deterministic=mean_interval(entry.column("eval_mean")),
        goal=aim,
        improves=None if aim is None else stochastic.value >= aim,
        timesteps=int(max(entry.column("total_timesteps"))),
        seconds=entry.median("train_seconds"),
        steps_per_second=entry.median("steps_per_second"),
    )


def as_json(of: Report) -> dict[str, object]:
    """Every number of the table and the summaries of all runs."""
    return report.as_json(of, _own_numbers)


def _own_numbers(entry: Entry) -> dict[str, object]:
    numbers = {name: as_plain(part) for name, part in standing(entry)._asdict().items()} if entry.runs else None
    return {"challenge": CHALLENGES[entry.env]._asdict(), "statistics": numbers}


def table(of: Report) -> str:
    """A row an environment, and beneath it what there is to say of them all."""
    done = [(entry, standing(entry)) for entry in of.finished]
    found = {entry.env: ours for entry, ours in done}
    rows = [_row(of, entry, found.get(entry.env)) for entry in of.entries]
    return report.page(
        of, _TITLE, _explained(of), [row(_HEADS), rule(4, len(_HEADS) - 4), *rows, "", *_margins(of)],
        [_overall(done), _without_end(of.finished)], "![training curves](unseen.png)",
    )  # fmt: skip


def _explained(of: Report) -> str:
    return f"""
        Ours: the package's defaults and nothing else but the settings shown, trained from {of.trained}, the model at
        the end of training evaluated {of.played}, stochastic and deterministic (the most likely action). Means over
        seeds with 95 % bootstrap intervals; worst is of the stochastic evaluation. Random actions are uniform over
        those that are legal, their interval is over episodes. The verdict holds the mean stochastic evaluation to
        random actions and the margin; stochastic, since the most likely actions of a policy that is still learning may
        lead nowhere. Seconds and speed are of training alone, medians over seeds, one thread."""


def _row(of: Report, entry: Entry, ours: Standing | None) -> str:
    challenge = CHALLENGES[entry.env]
    settings = ", ".join(f"`{setting}`" for setting in challenge.settings)
    random = "unknown" if entry.random is None else _interval(mean_interval(entry.random.returns.tolist()))
    first, margin = [of.label(entry), challenge.asks, settings], _number(challenge.margin)
    if ours is None:
        return row([*first, "not run", "" if entry.random is None else random, margin, *[""] * 6])
    verdict = {True: "improves", False: "**falls short**", None: "no random actions"}[ours.improves]
    return row([
        *first, verdict, random, margin,
        _interval(ours.stochastic), _number(ours.worst), _interval(ours.deterministic),
        f"{ours.timesteps:,}", f"{ours.seconds:,.1f}", f"{ours.steps_per_second:,.0f}",
    ])  # fmt: skip


def _number(x: float, size: float | None = None) -> str:
    """With the decimals that a number of this size needs, by default its own."""
    size = abs(x) if size is None else size
    return f"{x:,.{2 if size < 10 else 1 if size < 1000 else 0}f}"


def _interval(x: Interval) -> str:
    value, low, high = (_number(each, max(map(abs, x))) for each in x)
    return f"{value} [{low}, {high}]"


def _overall(done: Sequence[tuple[Entry, Standing]]) -> str:
    judged = [(entry, ours, ours.goal) for entry, ours in done if ours.goal is not None]
    if not judged:
        return ""
    behind = [
        f"{entry.env} ({_number(ours.stochastic.value)} against {_number(aim)}; the interval "
        f"{'reaches it' if ours.stochastic.high >= aim else 'does not reach it'})"
        for entry, ours, aim in judged
        if not ours.improves
    ]
    text = f"Better than random actions by the margin in {len(judged) - len(behind)} of {len(judged)} environments."
    return f"{text} Falls short: {'; '.join(behind)}." if behind else text


def _margins(of: Report) -> list[str]:
    """A table of their reasons."""
    rows = [row([entry.env, CHALLENGES[entry.env].reason]) for entry in of.entries]
    return [row(["environment", "why this margin, which stood in the code before the runs"]), rule(2, 0), *rows]


def _without_end(done: Sequence[Entry]) -> str:
    """What was cut off, and where random actions are none to compare with."""
    ours = {entry.env: (sum(entry.column("eval_cut")), 2 * sum(entry.column("eval_episodes"))) for entry in done}
    random = {entry.env: (entry.random.cut, len(entry.random.returns)) for entry in done if entry.random}
    cut = [
        f"{env} ({count:,.0f} of {episodes:,.0f} episodes of {who})"
        for who, counts in (("random actions", random), ("ours", ours))
        for env, (count, episodes) in counts.items()
        if count
    ]
    text = f"Cut off after {PATIENCE:,} steps, having no time limit: {'; '.join(cut)}." if cut else ""
    unbounded = [entry.env for entry in done if entry.random is None]
    return text + (f" Actions have no bounds between which to be random: {', '.join(unbounded)}." if unbounded else "")


def draw(of: Report, path: Path) -> None:
    """Draws what is finished into `path`.png and `path`.pdf. Raises ValueError if nothing is."""
    if not of.finished:
        raise ValueError("no run is finished")
    shown = [Panel(entry, entry.column("eval_stochastic_mean"), _line(goal(entry))) for entry in of.finished]
    with panels.page(panels.height(shown)) as figure:
        panels.draw(figure.subfigures(1, 1, squeeze=False)[0, 0], shown, len(of.seeds))
        panels.conclude(figure, f"{_TITLE}, {len(of.seeds)} seeds", path)


def _line(aim: float | None) -> Reference | None:
    return None if aim is None else Reference(aim, "random actions and the margin", GOAL, "--")
