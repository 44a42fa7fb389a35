"""`Executor`: trains runs for commands that train many; and how its workers train one run."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from agents.training import Hook
from rl.run.signals import status_of
from rl.run.terminal import ANTICIPATED, DONE, FAILED, RunFailed

Outcome = tuple[int, str]  # exit status of a command, and a one-line error message


class RunInterrupted(RunFailed):
    """The run received Ctrl-C or SIGTERM; the same command resumes it."""


class WorkerLost(RunFailed):
    """The training process was killed from outside; the same command resumes its run."""


class Command(Protocol):
    """`main` of a command that trains a run. hooks: added to the command's own."""

    def __call__(self, argv: list[str], hooks: Sequence[Hook] = ()) -> int: ...


class Job(NamedTuple):
    """A run to train."""

    command: Command
    argv: list[str]  # of a new run
    out: Path  # parent of run directories
    unfinished: Callable[[], Path | None]  # finds the run directory to resume, if any
    files: Sequence[str] = ()  # files and run directories that the settings name
    changes: Sequence[str] = ()  # arguments besides --resume

    @property
    def arguments(self) -> list[str]:
        """The command's arguments, on a machine that sees the driver's files."""
        run = self.unfinished()
        return [*self.argv, "--out", str(self.out)] if run is None else ["--resume", str(run), *self.changes]


class Executor(Protocol):
    """Trains jobs, each in its own process. Thread-safe."""

    jobs: int  # in parallel
    attempts: int  # at a job whose worker is lost repeatedly, without a new checkpoint in between

    def run(self, job: Job) -> None:
        """Trains a job to its end; its run directory is under `job.out`.

        Raises WorkerLost, RunInterrupted, or RunFailed for other failures.
        """

    def interrupt(self) -> None:
        """Ends all jobs as Ctrl-C does, after they have saved checkpoints; `run` then raises RunInterrupted."""

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
    """Raises RunFailed or RunInterrupted unless the command succeeded."""
    status, problem = outcome
    if status != DONE:
        raise RunFailed(problem) if status == FAILED else RunInterrupted(problem)


def fault(error: Exception) -> RunFailed:
    """A bug in the training code as a one-line error, so that the other runs can finish."""
    return RunFailed(f"{type(error).__name__}: {' '.join(str(error).split())}")
