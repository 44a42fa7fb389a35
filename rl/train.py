"""`python -m rl.train ENV`: trains an agent, evaluates it, and leaves a run directory."""

import time
from argparse import Namespace
from pathlib import Path
from typing import cast

from agents import checkpoint, registry
from agents.checkpoint import CheckpointError
from agents.settings.files import read_yaml, write_yaml
from agents.settings.recipes import recipe_file
from agents.settings.run import RunSettings, chosen_settings
from agents.settings.schema import merge_layers, setting_defaults, setting_types, setting_values
from agents.settings.values import ConfigError
from rl.run.recorder import Recorder, create_run_directory
from rl.run.run import Checkpoints, Run, build, checkpoint_path, conclude, failure, print_header, run_settings, save
from rl.run.terminal import DONE, INTERRUPTED, Interrupt, Parser, ProgressBar, run

_FLAGS = ("seed", "total_timesteps", "num_envs", "engine")  # settings with a flag of their own, beside --set


def main(argv: list[str]) -> int:
    start = time.perf_counter()
    args = _parser().parse_args(argv)
    this = _resume(args) if args.resume else _begin(args)
    print_header(this)
    interrupted = _train(this)
    save(this)
    try:
        if not interrupted:
            _finish(this, start)
            return DONE
    except KeyboardInterrupt:
        pass
    this.recorder.close()
    print(f"interrupted at step {this.agent.loop.step:,}; go on with: python -m rl.train --resume {this.directory}")
    return INTERRUPTED


def _parser() -> Parser:
    parser = Parser(prog="rl.train", description="Train an actor-critic on a Gymnasium environment.")
    parser.add_argument("env", nargs="?", metavar="ENV", help="environment id: CartPole-v1, module:Env-v0, ALE/Pong-v5")
    parser.add_argument("--agent", metavar="A", help=f"{', '.join(registry.NAMES)}, or module:Class (default a2c)")
    parser.add_argument("--seed", metavar="S", help="seed of every random stream (default 0)")
    parser.add_argument("--total-timesteps", metavar="N", help="environment steps, over all environments")
    parser.add_argument("--num-envs", metavar="K", help="environments side by side (default 8)")
    parser.add_argument("--engine", choices=["auto", "fused", "torch"], help="auto takes the fastest that fits")
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML settings in place of the recipe that ships")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="any setting; may be repeated")
    parser.add_argument("--out", type=Path, metavar="DIR", help="parent of run directories (default results/runs)")
    parser.add_argument("--resume", type=Path, metavar="RUN", help="go on with this run directory")
    return parser


def _begin(args: Namespace) -> Run:
    """Settings from defaults, recipe or file, and flags; then the agent; and only then the run directory."""
    if args.env is None:
        raise ConfigError("name an environment, such as CartPole-v1: python -m rl.train CartPole-v1")
    name = args.agent or "a2c"
    file = args.config or recipe_file(args.env, name)
    flags = {flag: getattr(args, flag) for flag in _FLAGS}
    chosen = chosen_settings(setting_types(*registry.kinds(name), RunSettings), args.env, name, file, args.set, flags)
    agent, settings = build(name, args.env, chosen)
    complete = {"env": args.env, "agent": name, **agent.settings, **setting_values(settings)}
    directory = create_run_directory(args.out or Path("results/runs"), args.env, name, agent.seed, complete)
    recorder = Recorder(directory, settings.log_interval, agent.worlds.reward_threshold)
    return Run(directory, settings, agent, recorder, str(file) if file else "defaults")


def _resume(args: Namespace) -> Run:
    """Everything from the run directory; only the number of steps may change."""
    others = (args.set or None, args.config, args.num_envs, args.seed, args.out, args.agent)
    if any(other is not None for other in others):
        raise ConfigError(
            "--resume goes on with the run's own settings; only --total-timesteps and --engine may be given beside it"
        )
    directory = cast(Path, args.resume)
    saved = read_yaml(directory / "config.yaml")
    if args.env not in (None, saved.get("env")):
        raise ConfigError(f"{directory} is a run of {saved.get('env')}, not of {args.env}")
    file = checkpoint.newest(directory / "checkpoints")
    agent, name = registry.load(file, engine=args.engine), str(saved.get("agent", "a2c"))
    layers = [(str(directory / "config.yaml"), saved)]
    layers += [
        (f"--{name.replace('_', '-')}", {name: value})
        for name, value in (("total_timesteps", args.total_timesteps), ("engine", args.engine))
        if value is not None
    ]
    kinds = (*registry.kinds(name), RunSettings)
    chosen = setting_defaults(*kinds)  # of settings that are newer than the run
    chosen |= merge_layers({"env": str, "agent": str, **setting_types(*kinds)}, layers)
    trained = {"env": agent.env, "agent": agent.name, **agent.settings}
    changed = [key for key, value in trained.items() if chosen.get(key) != value]
    if changed:
        raise ConfigError(f"{directory / 'config.yaml'}: {changed[0]} is not what the run was trained with; restore it")
    settings = run_settings(chosen)
    summary = directory / "summary.json"
    if summary.exists() and agent.loop.step + agent.worlds.num_envs > settings.total_timesteps:
        raise ConfigError(f"{directory} has {agent.loop.step:,} steps already; give a larger --total-timesteps")
    extra = cast("dict[str, dict[str, object]]", checkpoint.load(file)["extra"])
    if "recorder" not in extra:
        raise CheckpointError(f"{file} is not of a run of this command; delete it to use the one before")
    recorder = Recorder(directory, settings.log_interval, agent.worlds.reward_threshold)
    recorder.load_state_dict(extra["recorder"])
    write_yaml(directory / "config.yaml", chosen)
    summary.unlink(missing_ok=True)  # it speaks of fewer steps; the new one comes with the end of this run
    return Run(directory, settings, agent, recorder, f"{file}, from step {agent.loop.step:,}")


def _train(this: Run) -> bool:
    """Runs the loop; returns whether Ctrl-C ended it. Whatever goes wrong, what was learned is saved first."""
    agent, settings = this.agent, this.settings
    bar = ProgressBar(settings.total_timesteps, agent.loop.step)

    with Interrupt() as interrupt:
        try:
            if not checkpoint_path(this).exists():
                save(this)  # of the beginning, so that a run killed early can go on too
            agent.learn(settings.total_timesteps - agent.loop.step, [this.recorder, bar, Checkpoints(this), interrupt])
        except KeyboardInterrupt:
            interrupt.requested = True
        except Exception as error:
            raise failure(this, error) from error
        finally:
            bar.close()
    return interrupt.requested


def _finish(this: Run, start: float) -> None:
    agent, directory = this.agent, this.directory
    print(f"trained       {agent.loop.step:,} steps in {agent.loop.seconds:.1f} s")
    end = conclude(directory, agent, agent.name, agent.engine_in_use, this.recorder, this.settings, start)
    (directory / "error.txt").unlink(missing_ok=True)  # of an attempt before this one
    print(f"evaluation    {end.deterministic}\n              {end.stochastic}")
    print(f"written to    {directory} (figure: {end.figure.name})")


if __name__ == "__main__":
    run(main)
