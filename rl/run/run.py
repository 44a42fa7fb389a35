"""A run: its agent, and while it trains its directory, its checkpoints, and what is kept when it fails."""

import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch

from agents import registry
from agents.agent import Agent
from agents.checkpoint import CheckpointError
from agents.evaluation import Evaluation, evaluate_both, summarize
from agents.loop import SELDOM, Status
from agents.settings.run import RunSettings
from agents.settings.schema import setting_types
from agents.settings.values import ConfigError
from rl.run.figure import learning_curve
from rl.run.recorder import Recorder
from rl.run.results import write_json
from rl.run.terminal import RunFailed


class Run(NamedTuple):
    """A run ready to train: new, or taken up again."""

    directory: Path
    settings: RunSettings
    agent: Agent
    recorder: Recorder
    source: str  # where the settings came from


def build(name: str, env_id: str, chosen: Mapping[str, object]) -> tuple[Agent, RunSettings]:
    """A new agent and how it is to be run, from the settings of both. Raises ConfigError, and as `envs.make` does."""
    settings = run_settings(chosen)  # checked before the environment is built
    of_agent = {key: value for key, value in chosen.items() if key not in setting_types(RunSettings)}
    try:
        agent = registry.build(name, env_id, of_agent)
    except (RuntimeError, MemoryError) as error:
        raise ConfigError(f"cannot build the agent: {' '.join(str(error).split())[:120]}") from error
    if settings.total_timesteps < agent.worlds.num_envs:
        raise ConfigError(f"total_timesteps {settings.total_timesteps} is less than one step of every environment")
    if settings.warm_start is not None:
        agent.warm_start(settings.warm_start)
    return agent, settings


def run_settings(chosen: Mapping[str, object]) -> RunSettings:
    return RunSettings(**{key: value for key, value in chosen.items() if key in setting_types(RunSettings)})  # type: ignore[arg-type]


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


class Conclusion(NamedTuple):
    """What a finished run has to say."""

    deterministic: Evaluation
    stochastic: Evaluation
    figure: Path


def conclude(
    directory: Path, agent: Agent, name: str, engine: str, recorder: Recorder, settings: RunSettings, start: float
) -> Conclusion:
    """Writes `summary.json` and `learning_curve.png`. start: when the command began, by `time.perf_counter`."""
    loop, threshold = agent.loop, agent.loop.worlds.reward_threshold
    recorder.flush(loop.step, loop.iteration, loop.seconds)
    recorder.close()
    deterministic, stochastic = evaluate_both(agent, settings.eval_episodes, loop.seed)
    summary: dict[str, object] = {
        "env": agent.env,
        "agent": name,
        "engine": engine,
        "seed": loop.seed,
        "total_timesteps": loop.step,
        "solved_at": recorder.solved_at,
        "train_seconds": round(loop.seconds, 3),
        "steps_per_second": round(loop.step / max(loop.seconds, 1e-9), 1),
        **summarize(deterministic, stochastic),
        "wall_seconds": round(time.perf_counter() - start, 3),
    }
    write_json(directory / "summary.json", summary)
    figure = learning_curve(directory, str(agent.env), name, loop.seed, threshold)
    return Conclusion(deterministic, stochastic, figure)


def print_header(this: Run) -> None:
    """Prints a run's summary before training, and compiles what it needs."""
    agent = this.agent
    described = agent.describe()
    batch = f"{agent.n_steps} × {agent.worlds.num_envs} steps per update"
    lines = {"agent": this.agent.name, **described, "batch": batch, "settings": this.source, "run": str(this.directory)}
    for title, text in lines.items():
        print(f"{title:>12}  {text}")
    if not agent.loop.exact:
        print(f"{'note':>12}  the environments' state is not in the checkpoint: they begin new episodes")
    agent.compile(lambda: print(f"{'compiling':>12}  kernels for this machine, once", flush=True))
    print(flush=True)
