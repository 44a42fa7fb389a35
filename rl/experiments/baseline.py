"""`python -m rl.baseline ENV`: trains Stable-Baselines3's A2C or PPO with our settings, into a run directory like ours.

SB3 uses its own loop and environments. Its runs cannot be resumed: it saves neither generators nor environments.
"""

import time
from argparse import Namespace
from collections.abc import Mapping
from contextlib import closing, suppress
from io import BufferedIOBase
from pathlib import Path
from typing import cast

from agents import A2C
from agents.machine import torch_threads
from agents.progress import ProgressBar
from agents.sb3 import build, from_sb3
from agents.sb3.model import Model
from agents.settings.a2c import A2CSettings
from agents.settings.ppo import PPOSettings
from agents.settings.run import RunSettings, chosen_settings, updates_per_row
from agents.settings.schema import setting_types, setting_values
from agents.settings.values import ConfigError, plain
from agents.writing import replacing
from envs.names import full_id
from rl.experiments.sb3_training import learn
from rl.run.goals import STOPS
from rl.run.recorder import Recorder, create_run_directory
from rl.run.run import write_report
from rl.run.summary import write_summary
from rl.run.terminal import DONE, Interrupt, Parser, RunFailed

NAMES = {"a2c": "sb3", "ppo": "sb3-ppo"}  # of the runs' directories


def main(argv: list[str]) -> int:
    start = time.perf_counter()
    parser = Parser(prog="rl.baseline", description="Train Stable-Baselines3's A2C or PPO on a Gymnasium environment.")
    parser.add_argument("env", type=full_id, metavar="ENV")
    parser.add_argument("--agent", choices=("a2c", "ppo"), default="a2c", help="algorithm to train (default a2c)")
    parser.add_argument("--seed", metavar="S")
    parser.add_argument("--total-timesteps", metavar="N")
    parser.add_argument("--num-envs", metavar="K")
    parser.add_argument("--config", type=Path, metavar="FILE")
    parser.add_set("any setting that SB3 has")
    parser.add_out()
    args = parser.parse_args(argv)
    agent_settings, run_settings = _settings(args)
    model = build(agent_settings)
    agent = _as_ours(model, agent_settings)  # raises before training if the model could not be evaluated
    name = NAMES[args.agent]
    complete = {"env": args.env, "agent": name, **setting_values(agent_settings), **setting_values(run_settings)}
    directory = create_run_directory(args.out, args.env, name, agent_settings.seed, complete)
    what = f"Stable-Baselines3's {type(model).__name__} on {args.env}"
    print(f"{what}, {model.n_envs} in parallel, seed {agent_settings.seed}: {directory}")
    recorder = Recorder(directory, agent.loop.logger, agent.worlds.reward_threshold)
    with closing(recorder):
        with Interrupt() as interrupt:
            seconds = _train(model, directory, recorder, agent_settings.threads, run_settings, interrupt)
        with replacing(directory / "model.zip") as file:
            model.save(cast(BufferedIOBase, file))
        if interrupt.status:
            print(f"interrupted at step {model.num_timesteps:,}; Stable-Baselines3 cannot resume exactly")
            return interrupt.status
        agent = _as_ours(model, agent_settings)
        agent.loop.seconds = seconds
        agent.save(directory / "checkpoints" / f"step-{model.num_timesteps:012}.pt")
        print(f"trained       {model.num_timesteps:,} steps in {seconds:.2f} s")
        end = write_summary(
            directory, agent, name, "stable-baselines3", recorder, run_settings, start, {"stopped_by": None}
        )
        print(f"evaluation    {end.deterministic}\n              {end.stochastic}")
        print(f"written to    {directory} (figure: {end.figure.name})")
    return DONE


def _train(
    model: Model, directory: Path, recorder: Recorder, threads: int, settings: RunSettings, interrupt: Interrupt
) -> float:
    """Trains until the end or a signal. Returns the seconds of training."""
    bar = ProgressBar(settings.total_timesteps)
    interrupt.defer()
    with torch_threads(threads):
        try:
            hooks = [recorder, bar, interrupt]
            every = updates_per_row(settings.log_interval, model.n_steps * model.n_envs)
            return learn(model, settings.total_timesteps, hooks, every, recorder.logger)
        except Exception as error:  # from the environment, or non-finite parameters
            with suppress(OSError):
                recorder.close()
            report, what = write_report(directory, error), " ".join(str(error).split())[:200] or "no message"
            raise RunFailed(f"{type(error).__name__}: {what} (step {model.num_timesteps:,}; {report})") from error
        finally:
            bar.close()


def _as_ours(model: Model, settings: A2CSettings) -> A2C:
    return from_sb3(model, settings.env, variant=settings.variant)


def _settings(args: Namespace) -> tuple[A2CSettings, RunSettings]:
    own = PPOSettings if args.agent == "ppo" else A2CSettings
    known = setting_types(own, RunSettings)
    flags = {name: getattr(args, name) for name in ("seed", "total_timesteps", "num_envs")}
    chosen = chosen_settings(known, args.env, NAMES[args.agent], args.config, args.set, flags)
    run_chosen = {key: value for key, value in chosen.items() if key in setting_types(RunSettings)}
    agent_chosen = {key: value for key, value in chosen.items() if key not in run_chosen}
    check_run_settings(run_chosen)
    return own(args.env, **agent_chosen), RunSettings(**run_chosen)  # type: ignore[arg-type]


def check_run_settings(chosen: Mapping[str, object]) -> None:
    """Raises ConfigError on a setting of runs that would have no effect here."""
    for name in ("warm_start", "eval_interval", "log", "record_interval", *STOPS):
        default = getattr(RunSettings, name)
        if plain(chosen.get(name, default)) != plain(default):
            raise ConfigError(f"Stable-Baselines3's baseline has no counterpart of {name}")
