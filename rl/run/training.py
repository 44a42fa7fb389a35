"""Trains one agent from a command line: `python -m rl.train`, and the workers of commands that train many."""

import os
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import cast

from agents import checkpoint, registry
from agents.agent import Agent
from agents.checkpoint import Checkpoint, CheckpointError
from agents.ranks import Ranks, joined
from agents.settings.files import read_yaml, write_yaml
from agents.settings.recipes import recipe_file
from agents.settings.run import RunSettings, chosen_settings
from agents.settings.schema import merge_layers, setting_defaults, setting_types, setting_values
from agents.settings.values import ConfigError
from envs.names import full_id
from envs.saved import Misfit
from rl.run.flags import add_settings, flag_of, given_settings
from rl.run.goals import STOPS, Goals
from rl.run.listing import listing
from rl.run.recorder import Follower, Recorder, create_run_directory
from rl.run.recording import check_recording
from rl.run.results import read_result
from rl.run.run import Run
from rl.run.signals import ignore, status_of
from rl.run.sinks.base import Described
from rl.run.sinks.hook import Sinks, check_sinks
from rl.run.summary import write_summary
from rl.run.terminal import DONE, Interrupt, Parser, RunFailed, name_imports

_MAY_CHANGE = (
    "total_timesteps",
    "engine",
    "keep",
    "log",
    "record_interval",
    *STOPS,
)  # settings that a resumed run may change


def main(argv: list[str]) -> int:
    """Trains, evaluates and summarizes a new or resumed run. Returns the exit status."""
    start = time.perf_counter()
    args = _parser(argv).parse_args(argv)
    if args.list:
        print(listing())
        return DONE
    with joined() as ranks, _quiet(ranks), Interrupt() as interrupt, ExitStack() as stack:
        run = _resume(args, interrupt) if args.resume else _begin(args, interrupt)
        stack.callback(run.sinks.close)
        try:
            interrupt.deliver()
            run.print_header()
            run.train(interrupt)
            _finish(run, start)
            return DONE
        except KeyboardInterrupt as stopped:
            ignore()
            run.recorder.close()
            resume = f"python -m rl.train --resume {run.directory}"
            print(f"interrupted at step {run.agent.loop.step:,}; resume with: {resume}")
            return status_of(stopped)


def _parser(argv: list[str]) -> Parser:
    parser = Parser(
        prog="rl.train",
        description="Train an actor-critic on a Gymnasium environment. Every setting below overrides the recipe of the "
        "environment or the file of --config, which override the defaults. --agent A --help shows the settings of A.",
    )
    parser.usage = "python -m rl.train ENV [--agent A] [--SETTING VALUE …] [--config FILE] | --resume RUN | --list"
    parser.add_argument(
        "env", nargs="?", type=full_id, metavar="ENV",
        help="environment: CartPole-v1, ALE/Pong-v5, module:Env-v0, module:Class or file.py:Class",
    )  # fmt: skip
    parser.add_argument("--agent", metavar="A", help=f"{', '.join(registry.NAMES)}, or module:Class (default a2c)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML settings; replaces the recipe that ships")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, as in a file; may be repeated"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="parent of run directories (default results/runs)")
    parser.add_argument("--resume", type=Path, metavar="RUN", help="resume this run directory")
    parser.add_argument("--list", action="store_true", help="list agents, recipes and compiled environments")
    add_settings(parser, argv)
    return parser


def _begin(args: Namespace, interrupt: Interrupt) -> Run:
    """A new run. Its directory is created last, so that a mistake leaves nothing behind, and with a first checkpoint,
    so that the run can be resumed whenever it is stopped. Defers signals from there on."""
    if args.env is None:
        raise ConfigError("name an environment, such as CartPole-v1: python -m rl.train CartPole-v1")
    name = args.agent or "a2c"
    file = args.config or recipe_file(args.env, name)
    types = setting_types(*registry.kinds(name), RunSettings)
    chosen = chosen_settings(types, args.env, name, file, args.set, given_settings(args))
    agent, settings = build(name, args.env, chosen)
    goals = Goals(settings, agent.worlds.reward_threshold)
    _check_watching(agent, settings)
    complete = {"env": args.env, "agent": name, **agent.settings, **setting_values(settings)}
    interrupt.defer()
    ranks, directory = agent.loop.ranks, Path()
    if ranks.index == 0:
        directory = create_run_directory(args.out or Path("results/runs"), args.env, name, agent.seed, complete)
    directory = ranks.collect(directory)[0]
    recorder = _recorder(directory, agent, settings)
    sinks = _sinks(directory, agent, settings)
    run = Run(directory, settings, agent, recorder, goals, sinks, str(file) if file else "defaults")
    try:
        run.save()
    except BaseException:
        with suppress(OSError):  # the header of a table, on a full disk
            recorder.close()
        raise
    return run


def _resume(args: Namespace, interrupt: Interrupt) -> Run:
    """A run from its directory; only `_MAY_CHANGE` may change. Defers signals once it writes."""
    given = given_settings(args)
    others = (args.set or None, args.config, args.out, args.agent)
    if any(other is not None for other in others) or not given.keys() <= {*_MAY_CHANGE}:
        raise ConfigError(
            f"--resume uses the run's own settings; it allows only {', '.join(map(flag_of, _MAY_CHANGE))} beside it"
        )
    directory = cast(Path, args.resume)
    config = read_yaml(directory / "config.yaml")
    if args.env not in (None, config.get("env")):
        raise ConfigError(f"{directory} is a run of {config.get('env')}, not of {args.env}")
    file = checkpoint.newest(directory / "checkpoints")
    content = checkpoint.read(file)
    name_imports(content)
    agent, name = registry.restore(content, engine=given.get("engine")), str(config.get("agent", "a2c"))
    layers = [(str(directory / "config.yaml"), config)]
    layers += [(flag_of(name), {name: text}) for name, text in given.items()]
    kinds = (*registry.kinds(name), RunSettings)
    chosen = setting_defaults(*kinds)  # for settings that did not exist when the run began
    chosen |= merge_layers({"env": str, "agent": str, **setting_types(*kinds)}, layers)
    trained = {"env": agent.env, "agent": agent.name, **agent.settings}
    changed = [key for key, value in trained.items() if chosen.get(key) != value]
    if changed:
        raise ConfigError(f"{directory / 'config.yaml'}: {changed[0]} is not what the run was trained with; restore it")
    settings = _run_settings(chosen)
    step = agent.loop.step
    finished = all((directory / name).exists() for name in ("summary.json", "learning_curve.png"))
    if settings.total_timesteps < step + (agent.worlds.total_envs if finished else 0):
        raise ConfigError(f"{directory} has {step:,} steps already; give a larger --total-timesteps")
    recorded = content.extra.get("recorder")
    if not isinstance(recorded, dict):
        raise CheckpointError(f"{file} is not of a run of this command; delete it to use the one before")
    goals = _goals(settings, agent, content)
    if finished and goals.ended:
        raise ConfigError(f"{directory} was stopped by {goals.ended}; change {flag_of(goals.ended.by)} to go on")
    _check_watching(agent, settings)
    interrupt.defer()
    recorder = _recorder(directory, agent, settings)
    if isinstance(recorder, Recorder):
        _load_recorder(recorder, recorded, content.path)
        write_yaml(directory / "config.yaml", {key: chosen[key] for key in (*config, *chosen)})  # in the file's order
    sinks = _sinks(directory, agent, settings)
    run = Run(directory, settings, agent, recorder, goals, sinks, f"{file}, from step {step:,}")
    best = goals.evaluations is not None and goals.evaluations.best_step == step
    if best and run.first:  # a kill may have come between the two files
        run.checkpoints.copy_as_best(file)
    return run


def _load_recorder(recorder: Recorder, state: dict[str, object], path: str) -> None:
    """Raises CheckpointError, with the recorder closed, if the state of the checkpoint at path does not fit."""
    try:
        recorder.load_state_dict(state)
    except (Misfit, CheckpointError) as error:
        recorder.close()
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} is damaged: {error}; delete it to use the one before") from None


def _goals(settings: RunSettings, agent: Agent, content: Checkpoint) -> Goals:
    """As a checkpoint left them."""
    goals = Goals(settings, agent.worlds.reward_threshold)
    try:
        goals.load_extra(content.extra)
    except Misfit as error:
        raise CheckpointError(f"{content.path} is damaged: {error}; delete it to use the one before") from None
    return goals


def _check_watching(agent: Agent, settings: RunSettings) -> None:
    """Raises ConfigError if a sink or films cannot be had."""
    if not agent.loop.ranks.alone and (settings.log or settings.record_interval):
        raise ConfigError("torchrun: log and record_interval watch a run of one process; leave them out")
    check_sinks(settings.log)
    if settings.record_interval:
        check_recording(agent)


def _sinks(directory: Path, agent: Agent, settings: RunSettings) -> Sinks:
    shown = {**agent.settings, **setting_values(settings)}
    return Sinks(
        settings.log, Described(directory, str(agent.env), agent.name, agent.loop.seed, shown, agent.loop.step)
    )


def _recorder(directory: Path, agent: Agent, settings: RunSettings) -> Recorder | Follower:
    """The first rank records."""
    if agent.loop.ranks.index:
        return Follower()
    return Recorder(directory, agent.loop.logger, agent.worlds.reward_threshold, bool(settings.eval_interval))


@contextmanager
def _quiet(ranks: Ranks) -> Iterator[None]:
    """The first rank alone prints."""
    with open(os.devnull, "w") as nothing, redirect_stdout(sys.stdout if ranks.index == 0 else nothing):
        yield


def build(name: str, env_id: str, chosen: Mapping[str, object]) -> tuple[Agent, RunSettings]:
    """A new agent and its run settings. Raises ConfigError, and as `envs.make` does."""
    settings = _run_settings(chosen)  # checked before the environment is built
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


def _run_settings(chosen: Mapping[str, object]) -> RunSettings:
    return RunSettings(**{key: value for key, value in chosen.items() if key in setting_types(RunSettings)})  # type: ignore[arg-type]


def _finish(run: Run, start: float) -> None:
    agent, directory = run.agent, run.directory
    if isinstance(run.recorder, Follower):
        return
    print(f"trained       {agent.loop.step:,} steps in {agent.loop.seconds:.1f} s", flush=True)
    try:
        results = write_summary(
            directory, agent, agent.name, agent.engine_in_use, run.recorder, run.settings, start,
            run.goals.summary(agent.loop.stopped),
        )  # fmt: skip
    except Exception as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # wrapped by Python 3.11 where a class is made
            raise error.__cause__ from None
        again = f"python -m rl.train --resume {directory}"
        raise RunFailed(f"after training: {run.failure(error)}; complete the run with: {again}") from error
    run.sinks.finish(agent.loop.step, results.figure, read_result(directory).summary)
    print(f"evaluation    {results.deterministic}\n              {results.stochastic}")
    print(f"written to    {directory} (figure: {results.figure.name})")
    if stopped := run.goals.ended or agent.loop.stopped:
        print(f"stopped by    {stopped}")
