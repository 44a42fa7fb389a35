"""Trains one agent from a command line: `python -m rl.train`, and the workers of commands that train many runs."""

import os
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from pathlib import Path

from agents import registry
from agents.ranks import Ranks, joined
from agents.settings.recipes import recipe_file
from agents.settings.run import RunSettings, check_once, chosen_settings
from agents.settings.schema import setting_types, setting_values
from agents.settings.values import ConfigError
from agents.training import Hook
from envs.names import full_id
from rl.run.files import check_folder
from rl.run.flags import add_settings, flag_of, given_settings
from rl.run.goals import Goals
from rl.run.listing import listing
from rl.run.parts import build, check_watching, checkpoints_of, recorder_of, sinks_of
from rl.run.recorder import Follower, create_run_directory
from rl.run.results import read_result
from rl.run.resuming import resume
from rl.run.run import Run
from rl.run.signals import ignore, status_of
from rl.run.summary import write_summary
from rl.run.terminal import DONE, Interrupt, Parser, RunFailed

_TRUTHS = ("true", "false")


def main(argv: list[str], hooks: Sequence[Hook] = ()) -> int:
    """Trains, evaluates and summarizes a new or resumed run. Returns the exit status. hooks: added to the run's own."""
    start = time.perf_counter()
    args = _parser(argv).parse_args(argv)
    if args.list:
        print(listing())
        return DONE
    with joined() as ranks, _quiet(ranks), Interrupt() as interrupt, ExitStack() as stack:
        run = resume(args, interrupt) if args.resume else _begin(args, interrupt)
        stack.callback(run.sinks.close)
        try:
            interrupt.deliver()
            run.print_header()
            run.train(interrupt, hooks)
            _finish(run, start)
            return DONE
        except KeyboardInterrupt as stopped:
            ignore()
            run.recorder.close()
            print(f"interrupted at step {run.agent.loop.step:,}; resume with: {run.resuming}")
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
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML settings, used instead of the shipped recipe")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, as in a file; may be repeated"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="parent of run directories (default results/runs)")
    parser.add_argument("--resume", type=Path, metavar="RUN", help="resume this run directory")
    parser.add_argument("--list", action="store_true", help="list agents, recipes and compiled environments")
    add_settings(parser, argv)
    return parser


def _begin(args: Namespace, interrupt: Interrupt) -> Run:
    """A new run. Its directory is created after everything is checked, so that a mistake leaves nothing behind; a first
    checkpoint is saved at once, so that the run can always be resumed. Defers signals once the directory is created."""
    name, given = args.agent or "a2c", given_settings(args)
    check_once(args.set, "--set")
    check_folder(args.out or Path("results/runs"))
    types = setting_types(*registry.kinds(name), RunSettings)
    if args.env is None:
        flags = {key: text for key, text in given.items() if types[key] is bool and text.lower() not in _TRUTHS}
        taken = [f"{flag_of(key)} {text}" for key, text in flags.items()]
        hint = f"; in {taken[0]!r} it is taken for the flag's value, so put it first" if taken else ""
        raise ConfigError(f"name an environment, such as CartPole-v1: python -m rl.train CartPole-v1{hint}")
    file = args.config or recipe_file(args.env, name)
    chosen = chosen_settings(types, args.env, name, file, args.set, given)
    agent, settings = build(name, args.env, chosen)
    goals = Goals(settings, agent.worlds.reward_threshold)
    check_watching(agent, settings)
    complete = {"env": args.env, "agent": name, **agent.settings, **setting_values(settings)}
    interrupt.defer()
    ranks, directory = agent.loop.ranks, Path()
    if ranks.index == 0:
        directory = create_run_directory(args.out or Path("results/runs"), args.env, name, agent.seed, complete)
    directory = ranks.collect(directory)[0]
    recorder = recorder_of(directory, agent, settings)
    sinks = sinks_of(directory, agent, settings)
    checkpoints = checkpoints_of(directory, agent, settings, recorder, goals)
    run = Run(directory, settings, agent, recorder, goals, sinks, checkpoints, str(file) if file else "defaults")
    try:
        run.save()
    except BaseException:
        with suppress(OSError):  # writing the table header, if the disk is full
            recorder.close()
        raise
    return run


@contextmanager
def _quiet(ranks: Ranks) -> Iterator[None]:
    """Only the first rank prints."""
    with open(os.devnull, "w") as nothing, redirect_stdout(sys.stdout if ranks.index == 0 else nothing):
        yield


def _finish(run: Run, start: float) -> None:
    agent, directory = run.agent, run.directory
    if isinstance(run.recorder, Follower):
        return
    print(f"trained       {agent.loop.step:,} steps in {agent.loop.seconds:.2f} s", flush=True)
    try:
        results = write_summary(
            directory, agent, agent.name, agent.engine_in_use, run.recorder, run.settings, start,
            run.goals.summary(agent.loop.stopped),
        )  # fmt: skip
    except Exception as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # Python 3.11 wraps errors raised during class creation
            raise error.__cause__ from None
        raise RunFailed(f"after training: {run.failure(error)}; complete the run with: {run.resuming}") from error
    run.sinks.finish(agent.loop.step, results.figure, read_result(directory).summary)
    print(f"evaluation    {results.deterministic}\n              {results.stochastic}")
    print(f"written to    {directory} (figure: {results.figure.name})")
    if stopped := run.goals.ended or agent.loop.stopped:
        print(f"stopped by    {stopped}")
