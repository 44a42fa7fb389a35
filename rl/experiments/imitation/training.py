"""Trains an experiment over several seeds: experts, their demonstrations, and the lines that learn from them."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from agents import A2C, checkpoint, registry
from agents.demonstrations import Demonstrations, load, record, save
from agents.evaluation import evaluate_uniform
from agents.settings.recipes import recipe_file
from agents.settings.run import RunSettings
from rl.experiments.executors.workplace import Workplace
from rl.experiments.imitation.experiments import EPISODES, EPISODES_SEED, EXPERT_SEED, EXPERTS, Experiment, LineSpec
from rl.experiments.imitation.outcomes import Expert, Outcome
from rl.experiments.parallel import Line, prepare, train_tasks
from rl.run.results import Result
from rl.run.terminal import RunFailed

FILE = "imitation.npz"  # written in the expert's run directory


def train_experts(envs: Sequence[str], assignments: Sequence[str], out: Path, where: Workplace) -> dict[str, Expert]:
    """Environment → its expert.

    assignments: settings on top of those of every run. out: parent of run directories.
    Raises RunFailed if an expert is no better than random actions.
    """
    lines = [_expert_line(env_id, assignments) for env_id in envs]
    tasks = [(env_id, line, EXPERT_SEED) for env_id, line in zip(envs, lines, strict=True)]
    results = train_tasks(tasks, out, where)
    experts = {env_id: _expert(line, result) for (env_id, line, _), result in zip(tasks, results, strict=True)}
    for env_id, expert in experts.items():
        if expert.score <= (random := _random(env_id, expert.line)):
            raise RunFailed(f"{env_id}: its expert returns {expert.score:.1f}, random actions {random:.1f}: no expert")
    return experts


def _expert_line(env_id: str, assignments: Sequence[str]) -> Line:
    kinds = (*registry.kinds("a2c"), RunSettings)
    own = [*EXPERTS[env_id], *assignments]
    return prepare("expert", "a2c", env_id, kinds, recipe_file(env_id), own, None)


def _expert(line: Line, result: Result) -> Expert:
    agent = A2C.load(result.directory)
    demonstrations = recorded(agent, result.directory)
    return Expert(
        line, result, result.directory / FILE, demonstrations.returns.tolist(), demonstrations.transitions,
        _parameters(agent),
    )  # fmt: skip


def recorded(agent: A2C, run: Path) -> Demonstrations:
    """The demonstrations in a run directory; records them unless the same ones are there."""
    file, env_id = run / FILE, cast(str, agent.env)
    origin = {"run": str(run), "checkpoint": checkpoint.locate(run).name, "step": agent.loop.step}
    if file.is_file():
        kept = load(file, env_id=env_id)
        expected = origin | {"seed": EPISODES_SEED, "deterministic": True}
        if len(kept.episodes) == EPISODES and all(kept.metadata.get(key) == value for key, value in expected.items()):
            return kept
    played = record(agent, env_id, EPISODES, EPISODES_SEED)
    played = played._replace(metadata={**played.metadata, **origin})
    save(file, played)
    return played


def train_lines(
    experiment: Experiment, experts: dict[str, Expert], assignments: Sequence[str], seeds: Sequence[int], out: Path,
    where: Workplace,
) -> list[Outcome]:  # fmt: skip
    """Trains every line of an experiment in every environment, and evaluates random actions there."""
    envs = experiment.envs
    lines = {
        env_id: [_line(env_id, spec, experts.get(env_id), assignments) for spec in experiment.lines(env_id)]
        for env_id in envs
    }
    tasks = [(env_id, line, seed) for env_id in envs for seed in seeds for line in lines[env_id]]
    results: dict[tuple[str, str], list[Result]] = {}
    for (env_id, line, _), result in zip(tasks, train_tasks(tasks, out, where), strict=True):
        results.setdefault((env_id, line.label), []).append(result)
    return [
        _outcome(env_id, experts.get(env_id), lines[env_id], [results[env_id, line.label] for line in lines[env_id]])
        for env_id in envs
    ]


def _line(env_id: str, spec: LineSpec, expert: Expert | None, assignments: Sequence[str]) -> Line:
    kinds, file = (*registry.kinds(spec.agent), RunSettings), recipe_file(env_id, spec.recipe or spec.agent)
    places = {"expert": str(expert.result.directory), "demonstrations": str(expert.file)} if expert else {}
    settings = [setting.format_map(places) for setting in spec.settings]
    return prepare(spec.label, spec.agent, env_id, kinds, file, [*settings, *assignments], None)


def _outcome(env_id: str, expert: Expert | None, lines: Sequence[Line], results: Sequence[Sequence[Result]]) -> Outcome:
    sizes = [_parameters(A2C.load(runs[0].directory)) for runs in results]
    return Outcome(env_id, expert, _random(env_id, lines[0]), lines, results, sizes)


def _random(env_id: str, line: Line) -> float:
    """The mean return of uniformly random actions."""
    played = evaluate_uniform(env_id, variant=line.variant)
    assert played is not None, "these environments bound their actions"
    return played.mean


def _parameters(agent: A2C) -> tuple[int, int]:
    """Number of parameters in π_θ, and in π_θ and V_φ together."""
    networks = agent.policy, agent.value
    policy, value = (sum(p.numel() for p in network.parameters()) for network in networks)
    return policy, policy + value
