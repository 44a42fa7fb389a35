"""A run: its agent, and while it trains its directory, its checkpoints, and what is kept when it fails."""

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch

from agents import registry
from agents.registry import Learner
from rl.checkpoint import CheckpointError
from rl.command import RunFailed
from rl.config import RunSettings, schema
from rl.loop import SELDOM, Status
from rl.record import Recorder
from rl.typed import ConfigError


class Run(NamedTuple):
    """A run ready to train: new, or taken up again."""

    directory: Path
    settings: RunSettings
    name: str  # of its agent
    agent: Learner
    recorder: Recorder
    source: str  # where the settings came from


def build(name: str, env_id: str, chosen: Mapping[str, object]) -> tuple[Learner, RunSettings]:
    """A new agent and how it is to be run, from the settings of both. Raises ConfigError, and as `envs.make` does."""
    settings = run_settings(chosen)  # checked before the environment is built
    of_agent = {key: value for key, value in chosen.items() if key not in schema(RunSettings)}
    try:
        agent = registry.build(name, env_id, of_agent)
    except (RuntimeError, MemoryError) as error:
        raise ConfigError(f"cannot build the agent: {' '.join(str(error).split())[:120]}") from error
    if settings.total_timesteps < agent.worlds.num_envs:
        raise ConfigError(f"total_timesteps {settings.total_timesteps} is less than one step of every environment")
    if settings.warm_start is not None:
        registry.warm_start(agent, settings.warm_start)
    return agent, settings


def run_settings(chosen: Mapping[str, object]) -> RunSettings:
    return RunSettings(**{key: value for key, value in chosen.items() if key in schema(RunSettings)})  # type: ignore[arg-type]


class Checkpoints:
    """A hook that saves after the first update past each multiple of `checkpoint_interval`."""

    interval = SELDOM

    def __init__(self, this: Run) -> None:
        self._this, self._saved = this, this.agent.loop.step // this.settings.checkpoint_interval

    def __call__(self, status: Status) -> None:
        due = status.step // self._this.settings.checkpoint_interval
        if due > self._saved:
            self._saved = due
            save(self._this)


def failure(this: Run, error: Exception) -> RunFailed:
    report = this.directory / "error.txt"
    report.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    parameters = [p for network in this.agent.networks for p in network.parameters()]
    kept = "no checkpoint, since the parameters are not finite"
    if all(bool(torch.isfinite(p).all()) for p in parameters):
        kept = f"a checkpoint at step {this.agent.loop.step:,}"
        try:
            if not checkpoint_path(this).exists():  # one taken at the end of the iteration holds more than this can
                save(this)
        except (CheckpointError, OSError) as unsaved:
            kept = f"no checkpoint: {unsaved}"
    this.recorder.close()
    what = str(error) or type(error).__name__
    return RunFailed(f"{what} (step {this.agent.loop.step:,}; kept {kept}; traceback in {report})")


def save(this: Run) -> None:
    """A checkpoint of this step; the newest two stay."""
    path = checkpoint_path(this)
    directory = path.parent
    this.agent.save(path, {"recorder": this.recorder.state_dict()})
    leftovers = directory.glob(".step-*.tmp")  # of a process that was killed while it wrote
    for old in (*sorted(directory.glob("step-*.pt"))[:-2], *leftovers):
        old.unlink()


def checkpoint_path(this: Run) -> Path:
    return this.directory / "checkpoints" / f"step-{this.agent.loop.step:012}.pt"
