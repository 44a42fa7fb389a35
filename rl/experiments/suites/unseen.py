"""The suite's table, in Markdown, the numbers in it, and its figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import gymnasium as gym

from agents.episodes import PATIENCE
from agents.settings.a2c import A2CSettings
from agents.settings.recipes import recipe_file
from agents.settings.run import RunSettings
from envs import Variant
from rl.experiments.parallel import Line, prepare
from rl.experiments.statistics import Interval, mean_interval
from rl.experiments.suites import panels, report
from rl.experiments.suites.panels import GOAL, Panel, Reference
from rl.experiments.suites.report import Entry, Report
from rl.experiments.suites.training import Suite
from rl.experiments.tables import as_plain, row, rule

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


class Challenge(NamedTuple):
    """What one environment asks for, and what counts as an improvement."""

    asks: str  # in a few words
    margin: float  # over the mean return of random actions
    reason: str  # for the margin
    settings: tuple[str, ...] = ()  # KEY=VALUE


def _newest(*ids: str) -> str:
    """The first of these that this Gymnasium has."""
    return next((env_id for env_id in ids if env_id in gym.registry), ids[0])


CHALLENGES = {
    "Blackjack-v1": Challenge(
        "Tuple observations", 0.15, "nearly half of the way to -0.05, perfect play; a quarter is noise in 100 episodes"
    ),
    _newest("Taxi-v4", "Taxi-v3"): Challenge(
        "Discrete observations, action masks", 50.0, "a quarter of the way to 8, its reward threshold"
    ),
    "FrozenLake-v1": Challenge(
        "Discrete observations, sparse rewards", 0.2, "a quarter of the way to 0.7, its reward threshold"
    ),
    _newest("CliffWalking-v1", "CliffWalking-v0"): Challenge(
        "Discrete observations, no time limit", 15_000.0, "a quarter of the way to -13, the shortest path"
    ),
    "envs.probes:GridWorld-v0": Challenge("Dict observations", 0.2, "a quarter of the way to 1, always at the target"),
    "envs.probes:TicTacToe-v0": Challenge(
        "MultiDiscrete observations, action masks", 0.2, "a quarter, rounded up, of the way to 1, every game won"
    ),
    "minigrid:MiniGrid-Empty-5x5-v0": Challenge(
        "images of 7 × 7 × 3", 0.2, "a quarter of the way to 0.955, the shortest path",
        ("wrappers=[minigrid.wrappers:ImgObsWrapper]",),  # its own observations hold text
    ),
    "flappy_bird_gymnasium:FlappyBird-v0": Challenge(
        "180 distances, no time limit", 4.0, "a quarter of the way to about 8, one pipe passed"
    ),
    "InvertedPendulum-v5": Challenge("continuous actions", 240.0, "a quarter of the way to 950, its reward threshold"),
    "Reacher-v5": Challenge("continuous actions", 10.0, "a quarter of the way to -3.75, its reward threshold"),
    "gymnasium:LunarLander-v3": Challenge(  # by its module, since the bare id finds the recipe for discrete actions
        "continuous actions by env_kwargs", 105.0, "a quarter of the way to 200, its reward threshold",
        ("env_kwargs={continuous: true}",),
    ),
}  # by id  # fmt: skip


def line(env_id: str, assignments: Sequence[str]) -> Line | None:
    """None where a recipe ships, which `rl.train` would take."""
    if recipe_file(env_id) is not None:
        return None
    own = [*CHALLENGES[env_id].settings, *assignments]
    return prepare("defaults", "a2c", env_id, (A2CSettings, RunSettings), None, own, None)


def as_trained(line: Line) -> Variant:
    return line.variant


UNSEEN = Suite(
    name="unseen",
    about="environments without a recipe at the defaults, beside random actions",
    envs=tuple(CHALLENGES),
    seeds="0-2",
    line=line,
    without="a recipe ships for it",
    variant=as_trained,
    table=table,
    as_json=as_json,
    draw=draw,
)
