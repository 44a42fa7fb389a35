"""The page of an experiment whose lines are held to an expert, in Markdown, and the numbers in it."""

from rl.experiments.imitation.experiments import BOUND, EPISODES, EXPERT_SEED, Measured
from rl.experiments.imitation.outcomes import Case, Expert, Report, Standing, at_the_end, bounds, standing
from rl.experiments.statistics import Interval
from rl.experiments.tables import as_plain, changes, paragraph, row, rule

_ENOUGH = f"{100 * BOUND:g} %"

_PATHS = ("demonstrations", "teachers")  # settings that say where a run lies

_EXPERT_HEADS = (
    "environment", "expert, deterministic", "stochastic", "steps", f"its {EPISODES} episodes", "transitions",
    "random actions", f"{_ENOUGH} of its return", f"{_ENOUGH} of the way", "parameters, π_θ / both",
)  # fmt: skip

_LINE_HEADS = (
    "environment", "line", "verdict", "mean return", "worst seed", "stochastic", "% of the expert's",
    "% of the way from random",
)  # fmt: skip


def page(of: Report) -> str:
    """Raises ValueError if a case has no expert."""
    found = {
        (case.env, line.label): standing(runs, _expert(case).score, case.random)
        for case in of.cases
        for line, runs in zip(case.lines, case.results, strict=True)
    }
    experts = [row(_EXPERT_HEADS), rule(1, len(_EXPERT_HEADS) - 1), *map(_expert_row, of.cases)]
    heads = [*_LINE_HEADS, of.experiment.measured.label, "parameters, π_θ / both", "seconds a seed"]
    lines = [row(heads), rule(3, len(heads) - 3)]
    for case in of.cases:
        for line, runs, size in zip(case.lines, case.results, case.parameters, strict=True):
            ours, measured = found[case.env, line.label], at_the_end(runs, of.experiment.measured)
            cells = [*_scores(ours), small(measured), _size(size), f"{ours.seconds:.1f}"]
            lines.append(row([case.env, line.label, *cells]))
    text = [*heading(of), paragraph(_explained(of)), "", *experts, "", *lines]
    return "\n".join([*text, "", paragraph(_overall(of, found)), "", *ending(of)]) + "\n"


def heading(of: Report) -> list[str]:
    return [f"# {of.experiment.title}", "", f"Made by `{of.made}`", "", f"on {of.machine}.", ""]


def ending(of: Report) -> list[str]:
    """The settings of the experts and of all lines, what was tried, and the figure."""
    lines = [(case.expert.line, case.env) for case in of.cases if case.expert is not None]
    lines += [(line, case.env) for case in of.cases for line in case.lines]
    where: dict[tuple[str, str, str], list[str]] = {}
    for line, env_id in lines:
        own = {key: value for key, value in line.settings.items() if key not in _PATHS}
        told = line.label, line.agent, ", ".join(changes(own, line.usual)) or "none"
        where.setdefault(told, []).append(env_id)
    text = ["Settings that differ from the defaults, beside the files that are learned from:", ""]
    text += [row(["line", "agent", "environments", "settings"]), rule(4, 0)]
    for (label, agent, settings), envs in where.items():
        text.append(row([label, agent, "all" if len(envs) == len(of.cases) else ", ".join(envs), settings]))
    tried = ["", paragraph(of.experiment.tried)] if of.experiment.tried else []
    return [*text, *tried, "", f"![{of.experiment.title}]({of.experiment.name}.png)"]


def _explained(of: Report) -> str:
    seeds, episodes = len(of.seeds), of.cases[0].results[0][0].summary["eval_episodes"]
    return f"""
        The expert is an A2C trained from seed {EXPERT_SEED}; its {EPISODES} episodes, the most likely actions, are all
        that is learned from where a line learns from recorded transitions. Lines: {seeds}
        seed{"s" if seeds > 1 else ""} each; {episodes} episodes of evaluation, deterministic (the most likely action)
        where nothing else is said. Brackets are 95 % bootstrap intervals over seeds. % of the expert's return: of a
        return R > 0 the mean return over R; of R < 0 it is R over the mean return, so that {_ENOUGH} is a mean
        of R / {BOUND:g}. % of the way: (mean − random) / (R − random), where random is the mean return of uniformly
        random actions. The verdict is of the lower of the two. Both are of means; where an interval reaches below
        {_ENOUGH}, the verdict says so. What is measured in nats is the mean of the last tenth of training.
        Parameters are those of π_θ, and of π_θ and V_φ together. Seconds are of training, the median, one thread,
        other work beside it."""


def _expert(case: Case) -> Expert:
    if case.expert is None:
        raise ValueError(f"{case.env} has no expert")
    return case.expert


def _expert_row(case: Case) -> str:
    expert = _expert(case)
    plain, way = bounds(expert.score, case.random)
    played = sum(expert.returns) / len(expert.returns)
    summary = expert.result.summary
    cells = [f"{expert.score:.1f}", f"{summary['eval_stochastic_mean']:.1f}", f"{summary['total_timesteps']:,}"]
    cells += [f"{played:.1f}", f"{expert.transitions:,}", f"{case.random:.1f}", f"{plain:.1f}", f"{way:.1f}"]
    return row([case.env, *cells, _size(expert.parameters)])


def _scores(ours: Standing) -> list[str]:
    scores = [str(ours.mean), f"{ours.worst:.1f}", str(ours.stochastic)]
    return [_verdict(ours), *scores, _percent(ours.ratio), _percent(ours.way)]


def small(x: float | None) -> str:
    """A divergence, to three digits."""
    return "" if x is None else f"{x:.3g}"


def _verdict(ours: Standing) -> str:
    if not ours.reaches:
        return "**falls short**"
    return f"≥ {_ENOUGH}" if ours.surely else f"≥ {_ENOUGH}, interval reaches below"


def _percent(x: Interval) -> str:
    return str(Interval(*(100 * each for each in x)))


def _size(parameters: tuple[int, int]) -> str:
    return " / ".join(f"{count:,}" for count in parameters)


def _overall(of: Report, found: dict[tuple[str, str], Standing]) -> str:
    """Of the lines that the experiment is about, those of the same outcome together."""
    outcomes: dict[str, list[str]] = {}
    for label in of.experiment.judged:
        reaches = {env: ours.reaches for (env, name), ours in found.items() if name == label}
        reached, behind = ([env for env in reaches if reaches[env] is wanted] for wanted in (True, False))
        outcome = f"{_ENOUGH} in {', '.join(reached) or 'no environment'}"
        outcome += f"; falls short in {', '.join(behind)}" if behind else ""
        outcomes.setdefault(outcome, []).append(label)
    return " ".join(f"{'; '.join(labels)}: {outcome}." for outcome, labels in outcomes.items())


def as_json(of: Report) -> dict[str, object]:
    """Every number of the page and the summaries of all runs."""
    cases = [_case_json(case, of.experiment.measured) for case in of.cases]
    return {
        "measured": of.experiment.measured._asdict(),
        "command": of.made,
        "machine": of.machine,
        "seeds": list(of.seeds),
        "environments": cases,
    }


def _case_json(case: Case, measured: Measured) -> dict[str, object]:
    lines = [
        {
            "label": line.label,
            "agent": line.agent,
            "settings": line.settings,
            "parameters": list(size),
            "measured": as_plain(at_the_end(runs, measured)),
            "statistics": _numbers(standing(runs, case.expert.score, case.random)) if case.expert else None,
            "runs": [run.summary for run in runs],
        }
        for line, runs, size in zip(case.lines, case.results, case.parameters, strict=True)
    ]
    expert = case.expert and {
        "settings": case.expert.line.settings,
        "parameters": list(case.expert.parameters),
        "demonstrations": {"returns": list(case.expert.returns), "transitions": case.expert.transitions},
        "run": case.expert.result.summary,
    }
    return {"env": case.env, "random": case.random, "expert": expert, "lines": lines}


def _numbers(of: Standing) -> dict[str, object]:
    return {name: as_plain(part) for name, part in of._asdict().items()}
