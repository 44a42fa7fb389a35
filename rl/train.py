"""`python -m rl.train ENV`: trains an agent, evaluates it, and leaves a run directory."""

import time
import traceback
from argparse import Namespace
from pathlib import Path
from typing import NamedTuple, cast

import torch

from agents import A2C
from agents.engines import describe
from rl import checkpoint, config
from rl.checkpoint import CheckpointError
from rl.command import DONE, INTERRUPTED, Interrupt, Parser, RunFailed, run
from rl.conclude import conclude
from rl.config import RunSettings
from rl.loop import SELDOM, Status
from rl.progress import ProgressBar
from rl.record import Recorder, create_run_directory
from rl.typed import ConfigError

_FLAGS = ("seed", "total_timesteps", "num_envs", "engine")  # settings with a flag of their own, beside --set


class Run(NamedTuple):
    """A run ready to train: new, or taken up again."""

    directory: Path
    settings: RunSettings
    agent: A2C
    recorder: Recorder
    source: str  # where the settings came from


def main(argv: list[str]) -> int:
    start = time.perf_counter()
    args = _parser().parse_args(argv)
    this = _resume(args) if args.resume else _begin(args)
    _print_header(this)
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
    file = args.config or config.recipe(args.env)
    flags = {name: getattr(args, name) for name in _FLAGS}
    chosen = config.gather(config.schema(A2C, RunSettings), args.env, "a2c", file, args.set, flags)
    agent, settings = _build(args.env, chosen)
    complete = {"env": args.env, "agent": "a2c", **config.values(agent), **config.values(settings)}
    directory = create_run_directory(args.out or Path("results/runs"), args.env, "a2c", agent.seed, complete)
    recorder = Recorder(directory, settings.log_interval, agent.worlds.reward_threshold)
    return Run(directory, settings, agent, recorder, str(file) if file else "defaults")


def _build(env_id: str, chosen: dict[str, object]) -> tuple[A2C, RunSettings]:
    settings = _run_settings(chosen)  # checked before the environment is built
    of_agent = {key: value for key, value in chosen.items() if key in config.schema(A2C)}
    try:
        agent = A2C(env_id, **of_agent)  # type: ignore[arg-type]
    except (RuntimeError, MemoryError) as error:
        raise ConfigError(f"cannot build the agent: {' '.join(str(error).split())[:120]}") from error
    if settings.total_timesteps < agent.worlds.num_envs:
        raise ConfigError(f"total_timesteps {settings.total_timesteps} is less than one step of every environment")
    return agent, settings


def _run_settings(chosen: dict[str, object]) -> RunSettings:
    return RunSettings(**{key: value for key, value in chosen.items() if key in config.schema(RunSettings)})  # type: ignore[arg-type]


def _resume(args: Namespace) -> Run:
    """Everything from the run directory; only the number of steps may change."""
    others = (args.set or None, args.config, args.num_envs, args.seed, args.out)
    if any(other is not None for other in others):
        raise ConfigError(
            "--resume goes on with the run's own settings; only --total-timesteps and --engine may be given beside it"
        )
    directory = cast(Path, args.resume)
    saved = config.read_yaml(directory / "config.yaml")
    if args.env not in (None, saved.get("env")):
        raise ConfigError(f"{directory} is a run of {saved.get('env')}, not of {args.env}")
    file = checkpoint.newest(directory / "checkpoints")
    agent = A2C.load(file, engine=args.engine)
    usual = config.defaults(A2C, RunSettings)
    layers = [(str(directory / "config.yaml"), config.complete(saved, usual))]
    layers += [
        (f"--{name.replace('_', '-')}", {name: value})
        for name, value in (("total_timesteps", args.total_timesteps), ("engine", args.engine))
        if value is not None
    ]
    chosen = config.merge({"env": str, "agent": str, **config.schema(A2C, RunSettings)}, layers)
    trained = {"env": agent.env, "agent": "a2c", **config.values(agent)}
    changed = [key for key, value in trained.items() if chosen.get(key) != value]
    if changed:
        raise ConfigError(f"{directory / 'config.yaml'}: {changed[0]} is not what the run was trained with; restore it")
    settings = _run_settings(chosen)
    summary = directory / "summary.json"
    if summary.exists() and agent.loop.step + agent.worlds.num_envs > settings.total_timesteps:
        raise ConfigError(f"{directory} has {agent.loop.step:,} steps already; give a larger --total-timesteps")
    extra = cast("dict[str, dict[str, object]]", checkpoint.load(file)["extra"])
    if "recorder" not in extra:
        raise CheckpointError(f"{file} is not of a run of this command; delete it to use the one before")
    recorder = Recorder(directory, settings.log_interval, agent.worlds.reward_threshold)
    recorder.load_state_dict(extra["recorder"])
    config.write_yaml(directory / "config.yaml", chosen)
    summary.unlink(missing_ok=True)  # it speaks of fewer steps; the new one comes with the end of this run
    return Run(directory, settings, agent, recorder, f"{file}, from step {agent.loop.step:,}")


def _print_header(this: Run) -> None:
    agent = this.agent
    size = sum(p.numel() for p in (*agent.policy.parameters(), *agent.value.parameters()))
    normalized = [what for what, norm in (("observations", agent.obs_norm), ("rewards", agent.reward_norm)) if norm]
    lines = {
        "environment": f"{agent.env}, {agent.worlds.num_envs} side by side ({agent.worlds.backend})",
        "spaces": " ".join(f"{agent.worlds.env_obs_space} → {agent.worlds.env_action_space}".split())  # NumPy breaks
        + (", action masks obeyed" if agent.worlds.masked else ""),
        "normalized": " and ".join(normalized) or "nothing",
        "networks": f"{_networks(agent)}, {size:,} parameters",
        "optimizer": f"{type(agent.descent.optimizer).__name__}, learning rate {agent.learning_rate} "
        f"(critic × {agent.critic_lr_scale}), {agent.n_steps} × {agent.worlds.num_envs} steps an update",
        "engine": describe(agent),
        "seed": str(agent.seed),
        "settings": this.source,
        "run": str(this.directory),
    }
    for name, text in lines.items():
        print(f"{name:>12}  {text}")
    if not agent.loop.exact:
        print(f"{'note':>12}  the environments' state is not in the checkpoint: they begin new episodes")
    if agent.fused:
        agent.fused.warm(agent.worlds, lambda: print(f"{'compiling':>12}  kernels for this machine, once", flush=True))
    print(flush=True)


def _networks(agent: A2C) -> str:
    hidden = "-".join(map(str, agent.net_arch)) or "no"
    trunk, value = agent.policy.trunk, agent.value
    before = [] if trunk.encoder is None else [trunk.encoder.describe()]
    before += [] if trunk.memory is None else [f"a memory of {trunk.memory.size} units"]
    shared = "π_θ and V_φ apart"
    if value.shares:
        shared = "π_θ and V_φ share all but the last layer" if trunk.shared else "π_θ and V_φ share what comes first"
    return "; ".join([shared, *before, f"{hidden} hidden {agent.activation} units each"])


def _train(this: Run) -> bool:
    """Runs the loop; returns whether Ctrl-C ended it. Whatever goes wrong, what was learned is saved first."""
    agent, settings = this.agent, this.settings
    bar = ProgressBar(settings.total_timesteps, agent.loop.step)

    with Interrupt() as interrupt:
        try:
            if not _checkpoint_path(this).exists():
                save(this)  # of the beginning, so that a run killed early can go on too
            agent.learn(settings.total_timesteps - agent.loop.step, [this.recorder, bar, Checkpoints(this), interrupt])
        except KeyboardInterrupt:
            interrupt.requested = True
        except Exception as error:
            raise _failure(this, error) from error
        finally:
            bar.close()
    return interrupt.requested


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


def _failure(this: Run, error: Exception) -> RunFailed:
    report = this.directory / "error.txt"
    report.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    parameters = (*this.agent.policy.parameters(), *this.agent.value.parameters())
    kept = "no checkpoint, since the parameters are not finite"
    if all(bool(torch.isfinite(p).all()) for p in parameters):
        kept = f"a checkpoint at step {this.agent.loop.step:,}"
        try:
            if not _checkpoint_path(this).exists():  # one taken at the end of the iteration holds more than this can
                save(this)
        except (CheckpointError, OSError) as unsaved:
            kept = f"no checkpoint: {unsaved}"
    this.recorder.close()
    what = str(error) or type(error).__name__
    return RunFailed(f"{what} (step {this.agent.loop.step:,}; kept {kept}; traceback in {report})")


def save(this: Run) -> None:
    """A checkpoint of this step; the newest two stay."""
    path = _checkpoint_path(this)
    directory = path.parent
    this.agent.save(path, {"recorder": this.recorder.state_dict()})
    leftovers = directory.glob(".step-*.tmp")  # of a process that was killed while it wrote
    for old in (*sorted(directory.glob("step-*.pt"))[:-2], *leftovers):
        old.unlink()


def _checkpoint_path(this: Run) -> Path:
    return this.directory / "checkpoints" / f"step-{this.agent.loop.step:012}.pt"


def _finish(this: Run, start: float) -> None:
    agent, directory = this.agent, this.directory
    print(f"trained       {agent.loop.step:,} steps in {agent.loop.seconds:.1f} s")
    end = conclude(directory, agent, "a2c", agent.engine_in_use, this.recorder, this.settings, start)
    (directory / "error.txt").unlink(missing_ok=True)  # of an attempt before this one
    print(f"evaluation    {end.deterministic}\n              {end.stochastic}")
    print(f"written to    {directory} (figure: {end.figure.name})")


if __name__ == "__main__":
    run(main)
