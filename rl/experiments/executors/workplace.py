"""`Workplace`: where the runs of a command train, as its flags say."""

from argparse import Namespace
from typing import NamedTuple

from rl.experiments.executors.base import Executor
from rl.experiments.executors.local import Local
from rl.run.terminal import Parser


class Workplace(NamedTuple):
    """The flags that choose an executor."""

    jobs: int = 2  # runs at a time

    def open(self) -> Executor:
        return Local(self.jobs)


def add_workplace(parser: Parser, what: str = "runs") -> None:
    """Adds the flags that `workplace` reads."""
    parser.add_jobs(what)


def workplace(args: Namespace) -> Workplace:
    return Workplace(args.jobs)
