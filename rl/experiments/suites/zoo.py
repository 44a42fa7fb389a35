"""The suite of all recipes, each compared with Stable-Baselines3 with rl-baselines3-zoo's settings."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from agents import registry
from agents.settings.files import directory_name
from agents.settings.recipes import recipe_file
from agents.settings.run import RunSettings
from envs import Variant
from rl.experiments.pages import counted, link, paragraph, spelled, table
from rl.experiments.parallel import BASELINE, Line, prepare
from rl.experiments.statistics import METHOD, Interval, as_plain, overlapping, shown
from rl.experiments.suites.bars import aggregate, bar, baseline_line, empty, judged, normalized_scores, trivial
from rl.experiments.suites.published import PUBLISHED, PUBLISHED_PPO
from rl.experiments.suites.scores import score_panel
from rl.experiments.suites.suite import Entry, Report, Statistics, Suite, shortfalls
from rl.run.results import column

_SOURCE = "https://github.com/DLR-RM/rl-baselines3-zoo/blob/master/benchmark.md"

_HEADS = (
    "environment", "verdict", "ours, mean", "ours, IQM", "worst seed", "ours, stochastic", "bar", "published by rl-zoo",
    "random actions", "standing still",
)  # fmt: skip

_TITLES = {"a2c": "Every recipe", "ppo": "Our PPO"}

_COSTS = ("environment", "our steps", "the bar's steps", "share", "rl-zoo's steps")


def goal(entry: Entry) -> Interval | None:
    """The bar's score, if there is a bar."""
    reference = bar(entry)
    return reference and reference.score


def share(entry: Entry, ours: Statistics) -> float | None:
    """Our training steps divided by the bar's; None without a bar."""
    reference = bar(entry)
    return reference and ours.timesteps / reference.timesteps


def _numbers(entry: Entry, ours: Statistics | None) -> dict[str, object]:
    normal, reference = normalized_scores(entry), bar(entry)
    statistics = ours and {
        "mean": ours.mean, "iqm": ours.iqm, "worst": min(entry.column("eval_mean")), "stochastic": ours.stochastic,
        "timesteps": ours.timesteps, "share": share(entry, ours), "reaches": ours.reaches,
    }  # fmt: skip
    return {
        "rl_zoo": as_plain(entry.published),
        "bar": as_plain(reference),
        "says_nothing": as_plain(empty(entry)),
        "statistics": statistics and {name: as_plain(x) for name, x in statistics.items()},
        "normalized": None if normal is None else normal.tolist(),
    }


def _overall(report: Report) -> dict[str, object]:
    return {"normalized_iqm": as_plain(aggregate(report.entries))}


def _opening(report: Report, found: Mapping[str, Statistics], agent: str) -> str:
    nothing = [entry.env for entry in report.finished if empty(entry)]
    reached, judged_of, behind = shortfalls({env: x for env, x in found.items() if env not in nothing}, "{:.1f}".format)
    text = f"""Does our {_algorithm(agent)} score at least what Stable-Baselines3's scores with the tuned settings of
        rl-baselines3-zoo (the bar)?"""
    text += f" At least the bar in {reached} of {judged_of} environments that were run.{behind}" if found else ""
    return text + (f" Not counted, because the bar is uninformative: {', '.join(nothing)}." if nothing else "")


def _explanation(report: Report, agent: str) -> str:
    section = f"`--agent {agent}` with its section of the environment's file in `configs/`, or with its defaults"
    ours = "each recipe of `configs/`" if agent == "a2c" else section
    theirs = sorted({int(seed) for entry in report.entries for seed in column(entry.baseline, "seed")})
    return f"""
        Ours: {ours}, trained from {report.trained}. The model at the end of training is
        evaluated {report.played}, with its most likely actions (deterministic) and as many with sampled ones
        (stochastic). Recipes were tuned on seeds 100 to 999; a recipe that changes needs seeds that nobody has looked
        at, and [looks.json](looks.json) is the record. Mean, interquartile mean (IQM) and worst are over seeds, of the
        deterministic evaluation; brackets are 95 % {METHOD} intervals over seeds. The bar is the score that [rl-zoo
        publishes]({_SOURCE}), of one model: mean ± standard deviation over its episodes, deterministic except in Pong.
        Where `configs/rl-zoo/` has those settings, it is instead the mean of Stable-Baselines3 trained here
        {f"from seeds {spelled(theirs)}, " if theirs else ""}and evaluated as ours is, because MuJoCo is version 5 here
        and 3 there; it trains for as many steps as ours, at most rl-zoo's. With so few seeds, such an interval is
        [too narrow](../statistics/coverage.md). Where rl-zoo's environment is another version, its id stands beside the
        published score. Random actions are uniform. Standing still is the action nearest to zero, or the best constant
        one of discrete actions. Both are means of 100 episodes. The verdict compares the mean over our seeds with the
        bar, in Pong the mean of the stochastic evaluation; "intervals overlap" says that the intervals of both do, or
        that ours contains a published bar. A bar is uninformative if it does not exceed random actions and standing
        still by more than its spread: the standard deviation if it is published, the distance to its interval's lower
        end if it was trained here."""


def _cells(report: Report, entry: Entry, ours: Statistics | None) -> list[str]:
    reference = bar(entry)
    if reference is None:
        held = ""
    else:
        seeds = counted(reference.seeds, "seed")
        held = f"{reference.score} (SB3, {seeds})" if reference.seeds else shown(reference.score.value)
    references = [held, _published(entry)]
    references += ["" if played is None else shown(played.mean) for played in (entry.random, entry.still)]
    if ours is None:
        return [entry.env, "no recipe" if entry.settings is None else "not run", *[""] * 4, *references]
    return [
        report.label(entry), _verdict(report, entry, ours),
        str(ours.mean), str(ours.iqm), shown(min(entry.column("eval_mean"))), str(ours.stochastic), *references,
    ]  # fmt: skip


def _published(entry: Entry) -> str:
    """Mean and standard deviation, with the environment's id in rl-zoo if it differs."""
    if entry.published is None:
        return ""
    other = f" ({entry.published.env})" if entry.published.env != entry.env else ""
    return f"{entry.published.mean:.1f} ± {entry.published.std:.1f}{other}"


def _verdict(report: Report, entry: Entry, ours: Statistics) -> str:
    """The result against the bar, and its caveats."""
    floor, nothing = trivial(entry), empty(entry)
    text = {True: "≥", False: "falls short", None: "no bar yet"}[ours.reaches]
    text += "" if judged(entry) == "eval_mean" else " (stochastic)"
    near = ours.goal is not None and ours.judged.value != ours.goal.value and overlapping(ours.judged, ours.goal)
    text += ", intervals overlap" if near == "overlap" else ""
    text += f"; **the bar is uninformative**: {nothing.name} scores {nothing.score:.1f}" if nothing else ""
    text += f"; **below {floor.name}**" if floor and ours.judged.value < floor.score else ""
    return text + ("; **seeds used up**" if report.used_up(entry) else "")


def _cost_cells(report: Report, entry: Entry, ours: Statistics) -> list[str]:
    reference, part = bar(entry), share(entry, ours)
    percent = "" if part is None else f"{100 * part:.3g} %" if part <= 1 else f"**{100 * part:.3g} %, more**"
    theirs = [each and f"{each.timesteps:,}" for each in (reference, entry.published)]
    return [report.label(entry), f"{ours.timesteps:,}", theirs[0] or "", percent, theirs[1] or ""]


def _remarks(report: Report, found: Mapping[str, Statistics]) -> list[str]:
    tried = [
        f"{entry.env} ({', '.join(link(Path(page).stem, page) for page in entry.pages)})"
        for entry in report.finished
        if entry.pages and not found[entry.env].reaches
    ]
    costs = [_cost_cells(report, entry, found[entry.env]) for entry in report.finished]
    return [
        paragraph(f"What was tried in these environments: {'; '.join(tried)}." if tried else ""),
        paragraph(_normalization(report.entries)),
        table(_COSTS, costs) if costs else "",
    ]


def _normalization(entries: Sequence[Entry]) -> str:
    overall, count = aggregate(entries), sum(normalized_scores(entry) is not None for entry in entries)
    if overall is None:
        return ""
    return f"""Normalized so that 0 is uniformly random actions and 1 is the bar, the interquartile mean of all seeds in
        {counted(count, "environment")} is {overall:.2f}; the bootstrap resamples seeds within each environment."""


def _line(agent: str, env_id: str, assignments: Sequence[str]) -> Line | None:
    """None for A2C without a recipe; other agents use their defaults if the recipe has no section for them."""
    recipe, kinds = recipe_file(env_id, agent), (*registry.kinds(agent), RunSettings)
    if agent == "a2c" and recipe is None:
        return None
    return prepare("recipe", agent, env_id, kinds, recipe, assignments, None)


def _registered(line: Line) -> Variant:
    """The variant with the registered time limit, as in the published scores."""
    return line.variant._replace(max_episode_steps=None)


def _algorithm(agent: str) -> str:
    """Stable-Baselines3's algorithm with which the agent is compared."""
    return "PPO" if agent == "ppo" else "A2C"


def zoo(agent: str = "a2c") -> Suite:
    """The zoo with each recipe's section for the agent, beside SB3's PPO if the agent is PPO, else SB3's A2C."""
    other = "" if agent == "a2c" else f"-{directory_name(agent)}"
    theirs = f"Stable-Baselines3's {_algorithm(agent)} with the settings of rl-baselines3-zoo"
    baseline = "sb3-ppo" if agent == "ppo" else BASELINE
    return Suite(
        name=f"zoo{other}",
        about="every recipe beside Stable-Baselines3 with the settings of rl-baselines3-zoo",
        title=f"{_TITLES.get(agent, f'--agent {agent}')} beside {theirs}",
        envs=tuple(PUBLISHED),
        seeds="10000-10009",
        line=partial(_line, agent),
        no_line="no recipe ships for it",
        variant=_registered,
        judged=judged,
        goal=goal,
        goal_label="the bar: SB3, rl-zoo's settings",
        heads=_HEADS,
        words=2,
        cells=_cells,
        opening=partial(_opening, agent=agent),
        explanation=partial(_explanation, agent=agent),
        remarks=_remarks,
        numbers=_numbers,
        overall=_overall,
        below=score_panel,
        still=True,
        baseline=partial(baseline_line, baseline=baseline),
        published=PUBLISHED_PPO if agent == "ppo" else PUBLISHED,
    )


ZOO = zoo()
