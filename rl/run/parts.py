"""Parts of a run that are built the same way for a new and a resumed run."""

from collections.abc import Mapping
from pathlib import Path

from agents import registry
from agents.agent import Agent
from agents.checkpoints import Checkpoints
from agents.settings.run import RunSettings
from agents.settings.schema import setting_types, setting_values
from agents.settings.values import ConfigError
from rl.run.goals import Goals
from rl.run.imports import name_imports_of_sources
from rl.run.recorder import Follower, Recorder
from rl.run.recording import check_recording
from rl.run.sinks.base import Described
from rl.run.sinks.hook import Sinks, check_sinks


def build(name: str, env_id: str, chosen: Mapping[str, object]) -> tuple[Agent, RunSettings]:
    """A new agent and its run settings. Raises ConfigError, and what `envs.make` raises."""
    settings = run_settings(chosen)  # validated before the environment is built
    name_imports_of_sources(chosen)
    of_agent = {key: value for key, value in chosen.items() if key not in setting_types(RunSettings)}
    try:
        agent = registry.build(name, env_id, of_agent)
    except (RuntimeError, MemoryError) as error:
        raise ConfigError(f"cannot build the agent: {' '.join(str(error).split())[:120]}") from error
    if settings.total_timesteps < agent.worlds.total_envs:
        raise ConfigError(f"total_timesteps {settings.total_timesteps} is less than one step of every environment")
    if settings.warm_start is not None:
        agent.warm_start(settings.warm_start)
    return agent, settings


def run_settings(chosen: Mapping[str, object]) -> RunSettings:
    return RunSettings(**{key: value for key, value in chosen.items() if key in setting_types(RunSettings)})  # type: ignore[arg-type]


def check_watching(agent: Agent, settings: RunSettings) -> None:
    """Raises ConfigError if a sink or films are not available."""
    if not agent.loop.ranks.alone and (settings.log or settings.record_interval):
        raise ConfigError("torchrun: log and record_interval watch a run of one process; leave them out")
    check_sinks(settings.log)
    if settings.record_interval:
        check_recording(agent)


def sinks_of(directory: Path, agent: Agent, settings: RunSettings) -> Sinks:
    shown = {**agent.settings, **setting_values(settings)}
    return Sinks(
        settings.log, Described(directory, str(agent.env), agent.name, agent.loop.seed, shown, agent.loop.step)
    )


def checkpoints_of(
    directory: Path, agent: Agent, settings: RunSettings, recorder: Recorder | Follower, goals: Goals
) -> Checkpoints:
    """Their checkpoints include the state of the recorder and the goals."""

    def extra() -> dict[str, object]:
        return {"recorder": recorder.state_dict(), **goals.extra(agent.loop.stopped)}

    return Checkpoints(directory, settings.checkpoint_interval, settings.keep, extra)


def recorder_of(directory: Path, agent: Agent, settings: RunSettings) -> Recorder | Follower:
    """A Recorder on the first rank, a Follower on the others."""
    if agent.loop.ranks.index:
        return Follower()
    return Recorder(directory, agent.loop.logger, agent.worlds.reward_threshold, bool(settings.eval_interval))
