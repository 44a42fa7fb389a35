"""`Executor`, what trains runs for the commands that train many; and how a worker trains one."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from agents.training import Hook
from rl.run.signals import status_of
from rl.run.terminal import ANTICIPATED, DONE, FAILED, RunFailed

Outcome = tuple[int, str]  # exit status of a command, and an error message of one line


class RunInterrupted(RunFailed):
    """The run got Ctrl-C or SIGTERM; the same command resumes it."""


class WorkerLost(RunFailed):
    """The process that trained was killed from outside; the same command resumes its run."""


class Command(Protocol):
    """`main` of a command that trains a run. hooks: see the training beside those of the command itself."""

    def __call__(self, argv: list[str], hooks: Sequence[Hook] = ()) -> int: ...


class Job(NamedTuple):
    """A run to train."""

    command: Command
    argv: list[str]  # of a new run
    out: Path  # parent of run directories
    unfinished: Callable[[], Path | None]  # finds the run directory to go on with, if there is one
    files: Sequence[str] = ()  # files and run directories that the settings name
    changes: Sequence[str] = ()  # arguments beside --resume

    @property
    def arguments(self) -> list[str]:
        """Of the command, on a machine that sees the driver's files."""
        run = self.unfinished()
        return [*self.argv, "--out", str(self.out)] if run is None else ["--resume", str(run), *self.changes]


class Executor(Protocol):
    """Trains jobs, each in a process of its own. Its methods may be called from several threads."""

    jobs: int  # trained at a time
    attempts: int  # at a job whose worker is lost again and again, without a new checkpoint in between

    def run(self, job: Job) -> None:
        """Trains a job and waits for its end, with its run directory under `job.out`.

        Raises WorkerLost, RunInterrupted, or RunFailed for another failure.
        """

    def interrupt(self) -> None:
        """Ends all jobs as Ctrl-C would, once they have saved checkpoints: `run` then raises RunInterrupted."""

    def close(self) -> None: ...


def outcome_of(command: Callable[[list[str]], int], argv: list[str]) -> Outcome:
    """Runs a command in this process."""
    try:
        return command(argv), "it was interrupted"
    except KeyboardInterrupt as stopped:
        return status_of(stopped), "it was interrupted"
    except ANTICIPATED as error:
        return FAILED, " ".join(str(error).split())


def check(outcome: Outcome) -> None:
    """Raises RunFailed or RunInterrupted unless a command is done."""
    status, problem = outcome
    if status != DONE:
        raise RunFailed(problem) if status == FAILED else RunInterrupted(problem)


def fault(error: Exception) -> RunFailed:
    """A bug in what trained the run, as one line; the other runs are worth finishing."""
    return RunFailed(f"{type(error).__name__}: {' '.join(str(error).split())}")
