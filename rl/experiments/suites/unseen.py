"""The suite of environments without a recipe: trained with the defaults, compared with random actions plus a margin."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import gymnasium as gym

from agents.episodes import CUTOFF_STEPS
from agents.settings.a2c import A2CSettings
from agents.settings.recipes import recipe_file
from agents.settings.run import RunSettings
from rl.experiments.pages import paragraph, table
from rl.experiments.parallel import Line, prepare
from rl.experiments.statistics import METHOD, Interval, as_plain, mean_interval
from rl.experiments.suites.suite import Entry, Report, Statistics, Suite, shortfalls

_HEADS = (
    "environment", "needs", "settings", "verdict", "random actions", "margin", "ours, stochastic", "worst seed",
    "ours, deterministic", "steps",
)  # fmt: skip

_JUDGED = "eval_stochastic_mean"


class Task(NamedTuple):
    """The task of an environment, and what counts as an improvement."""

    asks: str  # the task, in a few words
    margin: float  # over the mean return of random actions
    reason: str  # why this margin
    settings: tuple[str, ...] = ()  # KEY=VALUE


def _newest(*ids: str) -> str:
    """The first of these ids that the installed Gymnasium has."""
    return next((env_id for env_id in ids if env_id in gym.registry), ids[0])


TASKS = {
    "Blackjack-v1": Task(
        "Tuple observations", 0.15, "nearly half of the way to -0.05, perfect play; a quarter is noise in 100 episodes"
    ),
    _newest("Taxi-v4", "Taxi-v3"): Task(
        "Discrete observations, action masks", 50.0, "a quarter of the way to 8, its reward threshold"
    ),
    "FrozenLake-v1": Task(
        "Discrete observations, sparse rewards", 0.2, "a quarter of the way to 0.7, its reward threshold"
    ),
    _newest("CliffWalking-v1", "CliffWalking-v0"): Task(
        "Discrete observations, no time limit", 15_000.0, "a quarter of the way to -13, the shortest path"
    ),
    "envs.probes:GridWorld-v0": Task("Dict observations", 0.2, "a quarter of the way to 1, always at the target"),
    "envs.probes:TicTacToe-v0": Task(
        "MultiDiscrete observations, action masks", 0.2, "a quarter, rounded up, of the way to 1, every game won"
    ),
    "minigrid:MiniGrid-Empty-5x5-v0": Task(
        "images of 7 × 7 × 3", 0.2, "a quarter of the way to 0.955, the shortest path",
        ("wrappers=[minigrid.wrappers:ImgObsWrapper]",),  # its default observations contain text
    ),
    "flappy_bird_gymnasium:FlappyBird-v0": Task(
        "180 distances, no time limit", 4.0, "a quarter of the way to about 8, one pipe passed"
    ),
    "InvertedPendulum-v5": Task("continuous actions", 240.0, "a quarter of the way to 950, its reward threshold"),
    "Reacher-v5": Task("continuous actions", 10.0, "a quarter of the way to -3.75, its reward threshold"),
    "gymnasium:LunarLander-v3": Task(  # with its module: the bare id would find the recipe for discrete actions
        "continuous actions by env_kwargs", 105.0, "a quarter of the way to 200, its reward threshold",
        ("env_kwargs={continuous: true}",),
    ),
}  # by id  # fmt: skip


def goal(entry: Entry) -> Interval | None:
    """The mean return of random actions plus the margin; None if that mean is unknown."""
    return None if entry.random_mean is None else Interval(*[entry.random_mean + TASKS[entry.env].margin] * 3)


def _numbers(entry: Entry, ours: Statistics | None) -> dict[str, object]:
    task = TASKS[entry.env]
    statistics = ours and {
        "stochastic": ours.stochastic, "worst": min(entry.column(_JUDGED)), "deterministic": ours.mean,
        "goal": ours.goal and ours.goal.value, "improves": ours.reaches, "timesteps": ours.timesteps,
    }  # fmt: skip
    return {
        "challenge": task._asdict(),
        "statistics": statistics and {name: as_plain(x) for name, x in statistics.items()},
    }


def _opening(report: Report, found: Mapping[str, Statistics]) -> str:
    reached, judged, behind = shortfalls(found, _number)
    overall = f" Better than random actions by the margin in {reached} of {judged} environments."
    text = "Do the defaults learn in environments that have no recipe?"
    return text + (f"{overall}{_unsure(found)}{behind}" if judged else "")


def _explanation(report: Report) -> str:
    return f"""
        Every environment is trained with the package's
        defaults and the settings shown, from {report.trained}. The model at the end of training is evaluated
        {report.played}, with sampled actions (stochastic) and as many with its most likely ones (deterministic). Means
        are over seeds, with 95 % {METHOD} intervals; the worst seed is that of the stochastic evaluation. Random
        actions are uniform over those that are legal, and their interval is over episodes. The verdict compares the
        mean stochastic evaluation with the mean of random actions plus the margin: the most likely actions of a policy
        that is still learning may lead nowhere."""


def _cells(report: Report, entry: Entry, ours: Statistics | None) -> list[str]:
    task = TASKS[entry.env]
    settings = ", ".join(f"`{setting}`" for setting in task.settings)
    random = "unknown" if entry.random is None else _interval(mean_interval(entry.random.returns.tolist()))
    first, margin = [report.label(entry), task.asks, settings], _number(task.margin)
    if ours is None:
        return [*first, "not run", "" if entry.random is None else random, margin, *[""] * 4]
    verdict = {True: "improves", False: "**falls short**", None: "no random actions"}[ours.reaches]
    return [
        *first, verdict, random, margin,
        _interval(ours.stochastic), _number(min(entry.column(_JUDGED))), _interval(ours.mean),
        f"{ours.timesteps:,}",
    ]  # fmt: skip


def _number(x: float, size: float | None = None) -> str:
    """A number with the decimals that suit `size`, by default its own size."""
    size = abs(x) if size is None else size
    return f"{x:,.{2 if size < 10 else 1 if size < 1000 else 0}f}"


def _interval(x: Interval) -> str:
    size = max(map(abs, x))
    return x.written(lambda each: _number(each, size))


def _remarks(report: Report, found: Mapping[str, Statistics]) -> list[str]:
    margins = [[entry.env, TASKS[entry.env].reason] for entry in report.entries]
    return [
        table(["environment", "why this margin, which the code held before the runs"], margins, words=2),
        paragraph(_without_end(report.finished)),
    ]


def _unsure(found: Mapping[str, Statistics]) -> str:
    """Environments whose mean reaches the goal, but whose interval does not lie above it."""
    unsure = [env for env, x in found.items() if x.reaches and x.goal is not None and x.judged.low < x.goal.value]
    return f" The interval reaches below random actions plus the margin in {', '.join(unsure)}." if unsure else ""


def _without_end(finished: Sequence[Entry]) -> str:
    """Which episodes were cut off, and where the return of random actions is unknown."""
    ours = {entry.env: (sum(entry.column("eval_cut")), 2 * sum(entry.column("eval_episodes"))) for entry in finished}
    random = {entry.env: (entry.random.cut, len(entry.random.returns)) for entry in finished if entry.random}
    cut = [
        f"{env} ({count:,.0f} of {episodes:,.0f} episodes of {who})"
        for who, counts in (("random actions", random), ("ours", ours))
        for env, (count, episodes) in counts.items()
        if count
    ]
    text = f"Cut off after {CUTOFF_STEPS:,} steps, having no time limit: {'; '.join(cut)}." if cut else ""
    unbounded = [entry.env for entry in finished if entry.random is None]
    return text + (f" Actions have no bounds between which to be random: {', '.join(unbounded)}." if unbounded else "")


def line(env_id: str, assignments: Sequence[str]) -> Line | None:
    """None if a recipe exists, since `rl.train` would use it."""
    if recipe_file(env_id) is not None:
        return None
    own = [*TASKS[env_id].settings, *assignments]
    return prepare("defaults", "a2c", env_id, (A2CSettings, RunSettings), None, own, None)


UNSEEN = Suite(
    name="unseen",
    about="environments without a recipe at the defaults, beside random actions",
    title="Environments without a recipe, beside random actions",
    envs=tuple(TASKS),
    seeds="10000-10009",
    line=line,
    no_line="a recipe ships for it",
    variant=lambda line: line.variant,
    judged=lambda entry: _JUDGED,
    goal=goal,
    goal_label="random actions and the margin",
    heads=_HEADS,
    words=4,
    cells=_cells,
    opening=_opening,
    explanation=_explanation,
    remarks=_remarks,
    numbers=_numbers,
    overall=lambda report: {},
)
