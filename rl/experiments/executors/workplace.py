"""`Workplace`: where a command's runs train, from its flags."""

from argparse import Namespace
from importlib.util import find_spec
from typing import NamedTuple

from agents.settings.values import ConfigError
from envs.extras import install_command
from rl.experiments.executors.base import Executor
from rl.experiments.executors.local import Local
from rl.run.terminal import Parser, at_least


class Workplace(NamedTuple):
    """The flags that choose an executor."""

    jobs: int = 2  # in parallel
    slurm: str | None = None  # options of sbatch
    address: str | None = None  # of a Ray cluster
    cpus_per_run: int = 1
    gpus_per_run: int = 0

    def open(self) -> Executor:
        """Raises ConfigError if the executor is not installed or not available here."""
        if self.slurm is not None:
            _need("submitit", "--slurm", "slurm")
            from rl.experiments.executors.slurm import Slurm, parameters_of

            return Slurm(self.jobs, parameters_of(self.slurm, self.cpus_per_run, self.gpus_per_run))
        if self.address is not None:
            _need("ray", "--address", "ray")
            from rl.experiments.executors.ray import Ray

            return Ray(self.jobs, self.address, self.cpus_per_run, self.gpus_per_run)
        return Local(self.jobs)


def _need(package: str, flag: str, extra: str) -> None:
    if find_spec(package) is None:
        raise ConfigError(f"{flag} needs {package}: {install_command(extra)}")


def add_workplace(parser: Parser, what: str = "runs") -> None:
    """Adds the flags that `workplace` reads."""
    parser.add_jobs(what)
    about = "train in SLURM jobs with these options of sbatch, such as partition=cpu,time=120 (minutes)"
    parser.add_argument("--slurm", metavar="KEY=VALUE,…", help=about)
    parser.add_argument(
        "--address", metavar="A", help="train on the Ray cluster at auto (of this machine) or host:port"
    )
    parser.add_argument("--cpus-per-run", type=at_least(1), metavar="C", help="on a cluster (default 1)")
    parser.add_argument("--gpus-per-run", type=at_least(0), metavar="G", help="on a cluster (default 0)")


def workplace(args: Namespace) -> Workplace:
    """Raises ConfigError for flags that exclude each other."""
    if args.slurm is not None and args.address is not None:
        raise ConfigError("--slurm and --address name two clusters: give one of them")
    if args.slurm is None and args.address is None:
        for flag, given in (("--cpus-per-run", args.cpus_per_run), ("--gpus-per-run", args.gpus_per_run)):
            if given is not None:
                raise ConfigError(f"{flag} is for runs on a cluster: give it with --slurm or --address")
    return Workplace(args.jobs, args.slurm, args.address, args.cpus_per_run or 1, args.gpus_per_run or 0)
