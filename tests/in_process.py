"""Runs of comparisons in this process, since starting another takes longer than a short run."""

from concurrent.futures import Executor, Future
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

import pytest

from rl.experiments import parallel
from rl.experiments.executors.base import Job, check, outcome_of
from rl.experiments.executors.workplace import Workplace
from rl.run.terminal import RunFailed


class Here:
    """An executor that trains in this process."""

    jobs, attempts = 1, 1

    def run(self, job: Job) -> None:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            outcome = outcome_of(job.command, job.arguments)
        check(outcome)

    def interrupt(self) -> None: ...
    def close(self) -> None: ...


class Immediately(Executor):
    """Calls submitted functions at once, in the main thread, where commands can set signal handlers."""

    def __init__(self, jobs: int) -> None: ...

    def submit(self, call, /, *args, **kwargs):  # type: ignore[no-untyped-def]
        future: Future[object] = Future()
        try:
            future.set_result(call(*args, **kwargs))
        except RunFailed as error:
            future.set_exception(error)
        return future


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes comparisons, suites and searches train in this process."""
    monkeypatch.setattr(Workplace, "open", lambda workplace: Here())
    monkeypatch.setattr(parallel, "ThreadPoolExecutor", Immediately)
