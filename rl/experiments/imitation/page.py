"""The page of an experiment: lines beside the expert that they learn from, or peers beside independent peers."""

from collections.abc import Callable, Sequence

from rl.experiments.comparison_page import line_statistics
from rl.experiments.curves import height_along
from rl.experiments.imitation.experiments import BOUND, EPISODES, EXPERT_SEED, INDEPENDENT
from rl.experiments.imitation.outcomes import AgainstExpert, Expert, Outcome, Report, against_expert, at_the_end, bounds
from rl.experiments.pages import Page, changed, counted, image, paragraph, table
from rl.experiments.statistics import METHOD, Interval, as_plain, probability_of_improvement, shown
from rl.run.results import Result, column

_ENOUGH = f"{100 * BOUND:g} %"
_PATHS = ("demonstrations", "teachers")  # settings that contain a run's path

_EXPERT_HEADS = (
    "environment", "expert, deterministic", "stochastic", "steps", f"its {EPISODES} episodes", "transitions",
    "random actions", f"{_ENOUGH} of its return", f"{_ENOUGH} of the way", "parameters, π_θ / both",
)  # fmt: skip

_LINE_HEADS = (
    "environment", "line", "verdict", "mean return", "worst seed", "stochastic", "% of the expert's",
    "% of the way from random",
)  # fmt: skip

_PEER_HEADS = (
    "environment", "line", "mean return", "worst seed", "stochastic", "all along",
    "better than independent", "higher all along",
)  # fmt: skip


def page(report: Report) -> Page:
    experiment = report.experiment
    beside = _beside_experts if experiment.judged else _beside_independent_peers
    parts, more = beside(report)
    parts += ["Settings that differ from the defaults, without the files that lines learn from:", _settings(report)]
    parts += [paragraph(experiment.tried), image(experiment.title, f"{experiment.name}.png")]
    environments = [_numbers(report, outcome) for outcome in report.outcomes]
    numbers = {
        "measured": experiment.measured._asdict(), "seeds": list(report.seeds), "environments": environments, **more,
    }  # fmt: skip
    return Page(experiment.title, report.command, report.machine, parts, numbers)


def _settings(report: Report) -> str:
    """One row per line: its agent, and its settings that differ from the defaults."""
    environments = len(report.outcomes)
    lines = [(each.expert.line, each.env) for each in report.outcomes if each.expert is not None]
    lines += [(line, each.env) for each in report.outcomes for line in each.lines]
    where: dict[tuple[str, str, str], list[str]] = {}
    for line, env_id in lines:
        settings = changed(line.settings, line.defaults, line.settings.keys() - _PATHS)
        where.setdefault((line.label, line.agent, settings), []).append(env_id)
    rows = [
        [label, agent, "all" if len(envs) == environments else ", ".join(envs), settings]
        for (label, agent, settings), envs in where.items()
    ]
    return table(["line", "agent", "environments", "settings"], rows, words=4)


def _numbers(report: Report, outcome: Outcome) -> dict[str, object]:
    expert = outcome.expert
    lines = [
        {
            "label": line.label,
            "agent": line.agent,
            "settings": line.settings,
            "parameters": list(size),
            "measured": as_plain(at_the_end(runs, report.experiment.measured)),
            "statistics": expert and as_plain(against_expert(runs, expert.score, outcome.random)),
            "runs": [run.summary for run in runs],
        }
        for line, runs, size in zip(outcome.lines, outcome.results, outcome.parameters, strict=True)
    ]
    about_expert = expert and {
        "settings": expert.line.settings,
        "parameters": list(expert.parameters),
        "demonstrations": {"returns": list(expert.returns), "transitions": expert.transitions},
        "run": expert.result.summary,
    }
    return {"env": outcome.env, "random": outcome.random, "expert": about_expert, "lines": lines}


def _divergence(runs: Sequence[Result], report: Report) -> str:
    """The measured quantity of a line, to three digits."""
    measured = at_the_end(runs, report.experiment.measured)
    return "" if measured is None else f"{measured:.3g}"


# --- beside experts ---


def _beside_experts(report: Report) -> tuple[list[str], dict[str, object]]:
    experts = [(outcome, outcome.expert) for outcome in report.outcomes if outcome.expert is not None]
    found, rows = dict[tuple[str, str], AgainstExpert](), []
    for outcome, expert in experts:
        for line, runs, size in zip(outcome.lines, outcome.results, outcome.parameters, strict=True):
            ours = found[outcome.env, line.label] = against_expert(runs, expert.score, outcome.random)
            scores = [_verdict(ours), str(ours.mean), shown(ours.worst), str(ours.stochastic)]
            scores += [_percent(ours.ratio), _percent(ours.way)]
            more = [_divergence(runs, report), _size(size)]
            rows.append([outcome.env, line.label, *scores, *more])
    heads = [*_LINE_HEADS, report.experiment.measured.label, "parameters, π_θ / both"]
    parts = [
        _about_experts(report),
        paragraph(_verdicts_on_experts(report, found)),
        table(_EXPERT_HEADS, [_expert_cells(outcome, expert) for outcome, expert in experts]),
        table(heads, rows, words=3),
    ]
    return parts, {}


def _about_experts(report: Report) -> str:
    episodes = counted(int(report.outcomes[0].results[0][0].summary["eval_episodes"]), "episode")
    return paragraph(f"""
        Which lines reach {_ENOUGH} of their expert's return? The expert of an environment is an A2C trained from seed
        {EXPERT_SEED}. It plays {EPISODES} episodes with its most likely actions; lines that learn from recorded
        transitions learn from these episodes alone. Every line has {counted(len(report.seeds), "seed")}, and every
        trained agent plays {episodes} of evaluation, with its most likely actions (deterministic) unless a
        column says otherwise. Brackets are 95 % {METHOD} intervals over seeds. "% of the expert's" is the mean return
        divided by the expert's return R if R > 0; if R < 0 it is R divided by the mean return, so that {_ENOUGH} is a
        mean return of R / {BOUND:g}. "% of the way from random" is (mean return − random) / (R − random), where random
        is the mean return of uniformly random actions. The verdict demands {_ENOUGH} in both, and says where an
        interval reaches below. The expert's own return, of one agent, counts as exact. Quantities in nats are means
        over the last tenth of training. Parameters are those of π_θ, and of π_θ and V_φ together.""")


def _expert_cells(outcome: Outcome, expert: Expert) -> list[str]:
    plain, way = bounds(expert.score, outcome.random)
    played, summary = sum(expert.returns) / len(expert.returns), expert.result.summary
    return [
        outcome.env, shown(expert.score), f"{summary['eval_stochastic_mean']:.1f}",
        f"{summary['total_timesteps']:,}", shown(played), f"{expert.transitions:,}", shown(outcome.random),
        shown(plain), shown(way), _size(expert.parameters),
    ]  # fmt: skip


def _verdict(ours: AgainstExpert) -> str:
    if not ours.reaches:
        return "**falls short**"
    return f"≥ {_ENOUGH}" if ours.surely else f"≥ {_ENOUGH}, interval reaches below"


def _percent(x: Interval) -> str:
    return str(type(x)(*(100 * each for each in x)))


def _size(parameters: tuple[int, int]) -> str:
    return " / ".join(f"{count:,}" for count in parameters)


def _verdicts_on_experts(report: Report, found: dict[tuple[str, str], AgainstExpert]) -> str:
    """One sentence for each group of judged lines that have the same verdicts."""
    labels: dict[str, list[str]] = {}
    for label in report.experiment.judged:
        reaches = {env: ours.reaches for (env, name), ours in found.items() if name == label}
        reached, behind = ([env for env in reaches if reaches[env] is wanted] for wanted in (True, False))
        verdict = f"{_ENOUGH} or more in {', '.join(reached) or 'no environment'}"
        verdict += f", less in {', '.join(behind)}" if behind else ""
        labels.setdefault(verdict, []).append(label)
    every = len(labels) == 1 and len(report.experiment.judged) > 2
    return " ".join(f"{'All lines' if every else '; '.join(those)}: {verdict}." for verdict, those in labels.items())


# --- beside independent peers ---


def _heights(runs: Sequence[Result]) -> list[float]:
    return [height_along(run) for run in runs]


_COMPARED: dict[str, Callable[[Sequence[Result]], list[float]]] = {"better": column, "higher all along": _heights}


def _beside_independent_peers(report: Report) -> tuple[list[str], dict[str, object]]:
    rows = []
    for outcome in report.outcomes:
        independent = _independent(outcome)
        for line, runs in zip(outcome.lines, outcome.results, strict=True):
            x = line_statistics(runs, None)
            chances = [
                "" if runs is independent else f"{probability_of_improvement([each(runs)], [each(independent)]):.2f}"
                for each in _COMPARED.values()
            ]
            cells = [str(x.mean), shown(x.worst), str(x.stochastic_mean), str(x.all_along), *chances]
            rows.append([outcome.env, line.label, *cells, _divergence(runs, report)])
    overall = _over_all_environments(report)
    verdicts = [
        [label, *(cell for x in chances.values() for cell in (f"{x:.2f}", _peer_verdict(x)))]
        for label, chances in overall.items()
    ]
    answer = "; ".join(f"{label}: {_peer_verdict(chances['better'])}" for label, chances in overall.items())
    parts = [
        _about_peers(report),
        paragraph(f"Beside independent peers, by the deterministic evaluation in all environments: {answer}."),
        table([*_PEER_HEADS, report.experiment.measured.label], rows, words=2),
        "The same probabilities, averaged over environments:",
        table(["line", "better than independent", "verdict", "higher all along", "verdict"], verdicts),
    ]
    numbers = {label: {name: as_plain(x) for name, x in chances.items()} for label, chances in overall.items()}
    return parts, {"against_independent": numbers}


def _about_peers(report: Report) -> str:
    summary = report.outcomes[0].results[0][0].summary
    episodes = counted(int(summary["eval_episodes"]), "episode")
    return paragraph(f"""
        Do peers that imitate each other learn better than independent ones? Every line trains two peers for
        {summary["total_timesteps"]:,} environment steps over both of them, from {counted(len(report.seeds), "seed")};
        independent peers are trained by the same command with `mutual_coef` 0. The first peer plays
        {episodes} of evaluation, with its most likely actions (deterministic) unless a column
        says otherwise. "All along" is the training return of both peers averaged over the whole training. "Diversity"
        is the generalized Jensen-Shannon divergence of the peers' policies, the mean of the last tenth of training.
        "Better than independent" is the probability that a run scores higher in the deterministic evaluation than a run
        of the independent line, ties counted half; "higher all along" is the same for "all along". Brackets are 95 %
        {METHOD} intervals over seeds (Wilson's for probabilities).""")


def _independent(outcome: Outcome) -> Sequence[Result]:
    return next(runs for line, runs in zip(outcome.lines, outcome.results, strict=True) if line.label == INDEPENDENT)


def _over_all_environments(report: Report) -> dict[str, dict[str, Interval]]:
    """For every line but the independent ones: probabilities of improvement, averaged over environments."""
    independent = [_independent(outcome) for outcome in report.outcomes]
    return {
        line.label: {
            name: probability_of_improvement(
                [each(outcome.results[k]) for outcome in report.outcomes], [each(runs) for runs in independent]
            )
            for name, each in _COMPARED.items()
        }
        for k, line in enumerate(report.outcomes[0].lines)
        if line.label != INDEPENDENT
    }


def _peer_verdict(x: Interval) -> str:
    if x.low > 0.5:
        return "better"
    return "**worse**" if x.high < 0.5 else "no difference shown"
