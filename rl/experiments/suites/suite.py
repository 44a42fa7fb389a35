"""A suite: environments trained with the suite's settings, each compared with a goal, on one page."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from agents.evaluation import Evaluation
from envs import Variant
from rl.experiments.pages import Page, image, paragraph, spelled, table
from rl.experiments.parallel import Line
from rl.experiments.statistics import Interval, bootstrap, iqm, mean_interval, overlapping
from rl.experiments.suites.looks import Look, described, looks_at
from rl.experiments.suites.published import Published
from rl.run.results import Scored, column

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Entry(NamedTuple):
    """An environment of the suite, with everything known about it."""

    env: str
    settings: Mapping[str, object] | None  # of its runs; None if the suite has none for it
    runs: Sequence[Scored]  # finished
    random: Evaluation | None  # of uniformly random actions
    missing: str  # why a seed, or every seed, is not among the runs; empty if none is missing
    still: Evaluation | None = None  # of standing still, if the suite asks for it
    baseline_settings: Mapping[str, object] | None = None  # of Stable-Baselines3's runs; None if the suite has none
    baseline: Sequence[Scored] = ()  # Stable-Baselines3's finished runs
    published: Published | None = None  # by rl-baselines3-zoo, if the suite has its scores
    pages: Sequence[str] = ()  # its other results, such as searches, relative to the suite's page
    kept: bool = False  # whether the runs are those of the page before
    earlier: Sequence[float] = ()  # mean scores of earlier trainings of the recipe from the same seeds, oldest first

    @property
    def random_mean(self) -> float | None:
        return None if self.random is None else self.random.mean

    def column(self, key: str) -> list[float]:
        return column(self.runs, key)


class Report(NamedTuple):
    """Input of the page and the figure."""

    command: str
    machine: str
    seeds: Sequence[int]
    entries: Sequence[Entry]
    looks: Sequence[Look] = ()  # including those of this page

    @property
    def finished(self) -> list[Entry]:
        """The environments with a finished run."""
        return [entry for entry in self.entries if entry.runs]

    @property
    def trained(self) -> str:
        """ "seeds 0 to 4"."""
        return f"seed{'s' if len(self.seeds) > 1 else ''} {spelled(self.seeds)}"

    @property
    def played(self) -> str:
        """ "on 100 episodes each"."""
        episodes = sorted({int(count) for entry in self.entries for count in entry.column("eval_episodes")})
        return f"on {' or '.join(map(str, episodes))} episodes each" if episodes else "after training"

    def used_up(self, entry: Entry) -> bool:
        """Whether more than one recipe was evaluated on these seeds."""
        return len(looks_at(self.looks, entry.env, self.seeds)) > 1

    def label(self, entry: Entry) -> str:
        """The environment, and the number of finished seeds if some are not finished."""
        partly = 0 < len(entry.runs) < len(self.seeds)
        return f"{entry.env} ({len(entry.runs)} of {len(self.seeds)} seeds)" if partly else entry.env


class Statistics(NamedTuple):
    """An environment's runs over its seeds, compared with the goal."""

    mean: Interval  # of the deterministic evaluations
    iqm: Interval
    stochastic: Interval  # mean of the stochastic evaluations
    judged: Interval  # mean of the evaluations that the suite judges
    goal: Interval | None  # for `judged`; None if unknown
    timesteps: int  # training steps

    @property
    def reaches(self) -> bool | None:
        return None if self.goal is None else self.judged.value >= self.goal.value


class Below(NamedTuple):
    """A panel below those of the environments."""

    height: float  # inches
    draw: Callable[["Axes"], None]


class Suite(NamedTuple):
    """What distinguishes a suite from the others."""

    name: str  # of its directory and files
    about: str  # a few words
    title: str
    envs: Sequence[str]
    seeds: str  # default seeds
    line: Callable[[str, Sequence[str]], Line | None]  # for an environment, with assignments on top
    no_line: str  # why an environment may have no line
    variant: Callable[[Line], Variant]  # of the environment, for random actions
    judged: Callable[[Entry], str]  # name of the judged evaluation in `summary.json`
    goal: Callable[[Entry], Interval | None]  # for the mean over seeds of the judged evaluation
    goal_label: str  # in the figure
    heads: Sequence[str]  # of the table
    words: int  # how many of its columns hold words
    cells: Callable[[Report, Entry, Statistics | None], list[str]]  # None if no run is finished
    opening: Callable[[Report, Mapping[str, Statistics]], str]  # the question, and the answer in a sentence
    explanation: Callable[[Report], str]  # how to read the table
    remarks: Callable[[Report, Mapping[str, Statistics]], list[str]]  # below the table
    numbers: Callable[[Entry, Statistics | None], Mapping[str, object]]  # of an environment
    overall: Callable[[Report], Mapping[str, object]]  # numbers over all environments
    below: Callable[[Report], Below | None] | None = None  # a panel below the environments
    still: bool = False  # whether to evaluate standing still
    baseline: Callable[[str, Sequence[str]], Line | None] | None = None  # like `line`, for Stable-Baselines3
    published: Mapping[str, Published] = MappingProxyType({})  # environment → rl-baselines3-zoo's result


def statistics(suite: Suite, entry: Entry) -> Statistics:
    """Raises ValueError if the environment has no finished run."""
    return Statistics(
        mean=mean_interval(entry.column("eval_mean")),
        iqm=bootstrap([entry.column("eval_mean")], iqm),
        stochastic=mean_interval(entry.column("eval_stochastic_mean")),
        judged=mean_interval(entry.column(suite.judged(entry))),
        goal=suite.goal(entry),
        timesteps=int(max(entry.column("total_timesteps"))),
    )


def page(suite: Suite, report: Report) -> Page:
    """A table with one row per environment, and remarks below."""
    found = {entry.env: statistics(suite, entry) for entry in report.finished}
    rows = [suite.cells(report, entry, found.get(entry.env)) for entry in report.entries]
    environments = [
        {
            "env": entry.env,
            "settings": entry.settings,
            "random": entry.random_mean,
            "still": entry.still and entry.still.mean,
            "missing": entry.missing or None,
            "earlier_means": [*entry.earlier],
            **suite.numbers(entry, found.get(entry.env)),
            "runs": [run.summary for run in entry.runs],
            "baseline_settings": entry.baseline_settings,
            "baseline_runs": [run.summary for run in entry.baseline],
        }
        for entry in report.entries
    ]
    figure = image("training curves", f"{suite.name}.png")
    parts = [paragraph(suite.opening(report, found)), figure, table(suite.heads, rows, suite.words)]
    parts += [paragraph(suite.explanation(report))]
    looks = described(report.looks, report.seeds, found) if found else ""
    parts += [*suite.remarks(report, found), paragraph(looks), paragraph(_earlier(report))]
    parts += [paragraph(_kept(report)), paragraph(_missing(report))]
    numbers = {**suite.overall(report), "seeds": list(report.seeds), "environments": environments}
    return Page(suite.title, report.command, report.machine, parts, numbers)


def shortfalls(found: Mapping[str, Statistics], number: Callable[[float], str]) -> tuple[int, int, str]:
    """The number of environments that reach the goal, the number that have one, and a sentence about the others."""
    judged = {env: (ours, ours.goal) for env, ours in found.items() if ours.goal is not None}
    behind = []
    for env, (ours, goal) in judged.items():
        if not ours.reaches:
            words = overlapping(ours.judged, goal)
            intervals = f"; the intervals {words}" if words else ""
            behind.append(f"{env} ({number(ours.judged.value)} against {number(goal.value)}{intervals})")
    return len(judged) - len(behind), len(judged), f" Falls short: {'; '.join(behind)}." if behind else ""


def _earlier(report: Report) -> str:
    means = {entry.env: ", ".join(f"{x:.1f}" for x in entry.earlier) for entry in report.finished if entry.earlier}
    again = "; ".join(f"{env} ({scores})" for env, scores in means.items())
    return (
        f"""Trained again with the same recipe from the same seeds after the code changed, in which rounding differs;
        earlier means: {again}."""
        if again
        else ""
    )


def _kept(report: Report) -> str:
    kept = [entry for entry in report.finished if entry.kept]
    bare = [entry.env for entry in kept if not all(run.metrics() for run in entry.runs)]
    text = (
        f"This command did not train {', '.join(entry.env for entry in kept)}: their rows are those of the page before."
    )
    text += f" The figure has no curves of {', '.join(bare)}, which that page did not keep." if bare else ""
    return text if kept else ""


def _missing(report: Report) -> str:
    reasons: dict[str, list[str]] = {}
    for entry in report.entries:
        reasons.setdefault(entry.missing, []).append(entry.env)
    missing = [f"{', '.join(envs)} ({reason})" for reason, envs in reasons.items() if reason]
    return f"Missing: {'; '.join(missing)}. The same command adds them." if missing else ""
