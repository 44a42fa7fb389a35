"""Resumes a run from its directory: `python -m rl.train --resume RUN`."""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from agents import checkpoint, registry
from agents.agent import Agent
from agents.checkpoint import Checkpoint, CheckpointError
from agents.settings.files import read_yaml, write_yaml
from agents.settings.run import RunSettings
from agents.settings.schema import merge_layers, setting_defaults, setting_types
from agents.settings.values import ConfigError
from envs.saved import Misfit
from rl.run.flags import flag_of, given_settings
from rl.run.goals import STOPS, Goals
from rl.run.imports import name_imports
from rl.run.parts import check_watching, checkpoints_of, recorder_of, run_settings, sinks_of
from rl.run.recorder import Recorder
from rl.run.run import Run
from rl.run.terminal import Interrupt

_MAY_CHANGE = ("total_timesteps", "engine", "keep", "log", "record_interval", *STOPS)


def resume(args: Namespace, interrupt: Interrupt) -> Run:
    """The resumed run; only the settings in `_MAY_CHANGE` may change. Defers signals before it writes."""
    given = _given(args)
    directory = cast(Path, args.resume)
    config = read_yaml(directory / "config.yaml")
    if args.env not in (None, config.get("env")):
        raise ConfigError(f"{directory} is a run of {config.get('env')}, not of {args.env}")
    file = checkpoint.newest(directory / "checkpoints")
    content = checkpoint.read(file)
    name_imports(content)
    agent = registry.restore(content, engine=given.get("engine"))
    chosen = _chosen(directory / "config.yaml", config, given, agent)
    settings, step = run_settings(chosen), agent.loop.step
    finished = all((directory / name).exists() for name in ("summary.json", "learning_curve.png"))
    if settings.total_timesteps < step + (agent.worlds.total_envs if finished else 0):
        raise ConfigError(f"{directory} has {step:,} steps already; give a larger --total-timesteps")
    recorded = content.extra.get("recorder")
    if not isinstance(recorded, dict):
        raise CheckpointError(f"{file} is not of a run of this command; delete it to use the one before")
    goals = _goals(settings, agent, content)
    if finished and goals.ended:
        raise ConfigError(f"{directory} was stopped by {goals.ended}; change {flag_of(goals.ended.by)} to go on")
    check_watching(agent, settings)
    interrupt.defer()
    recorder = recorder_of(directory, agent, settings)
    if isinstance(recorder, Recorder):
        _load_recorder(recorder, recorded, content.path)
        write_yaml(directory / "config.yaml", {key: chosen[key] for key in (*config, *chosen)})  # keeps its order
    sinks = sinks_of(directory, agent, settings)
    checkpoints = checkpoints_of(directory, agent, settings, recorder, goals)
    run = Run(directory, settings, agent, recorder, goals, sinks, checkpoints, f"{file}, from step {step:,}")
    if run.first:
        checkpoints.recover_best(None if goals.evaluations is None else goals.evaluations.best_step)
    return run


def _given(args: Namespace) -> dict[str, str]:
    """The settings given as flags. Raises ConfigError if anything else is given."""
    given = given_settings(args)
    others = (args.set or None, args.config, args.out, args.agent)
    if any(other is not None for other in others) or not given.keys() <= {*_MAY_CHANGE}:
        raise ConfigError(
            f"--resume uses the run's own settings; it allows only {', '.join(map(flag_of, _MAY_CHANGE))} beside it"
        )
    return given


def _chosen(file: Path, config: Mapping[str, object], given: Mapping[str, str], agent: Agent) -> dict[str, object]:
    """All settings of the run. Raises ConfigError if the file differs from what the run was trained with."""
    kinds = (*registry.kinds(str(config.get("agent", "a2c"))), RunSettings)
    layers: list[tuple[str, Mapping[str, object]]] = [(str(file), config)]
    layers += [(flag_of(name), {name: text}) for name, text in given.items()]
    chosen = setting_defaults(*kinds)  # for settings added since the run began
    chosen |= merge_layers({"env": str, "agent": str, **setting_types(*kinds)}, layers)
    trained = {"env": agent.env, "agent": agent.name, **agent.settings}
    changed = [key for key, value in trained.items() if chosen.get(key) != value]
    if changed:
        raise ConfigError(f"{file}: {changed[0]} is not what the run was trained with; restore it")
    return chosen


def _load_recorder(recorder: Recorder, state: dict[str, object], path: str) -> None:
    """Raises CheckpointError and closes the recorder if the state of the checkpoint at `path` does not fit."""
    try:
        recorder.load_state_dict(state)
    except (Misfit, CheckpointError) as error:
        recorder.close()
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} is damaged: {error}; delete it to use the one before") from None


def _goals(settings: RunSettings, agent: Agent, content: Checkpoint) -> Goals:
    """Goals with the state of the checkpoint."""
    goals = Goals(settings, agent.worlds.reward_threshold)
    try:
        goals.load_extra(content.extra)
    except Misfit as error:
        raise CheckpointError(f"{content.path} is damaged: {error}; delete it to use the one before") from None
    return goals
