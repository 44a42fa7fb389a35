"""Runs of comparisons in this process: another takes longer to begin than a short run."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

import pytest

from rl.experiments import parallel
from rl.run.terminal import DONE, RunFailed


class Workers:
    """As `rl.experiments.parallel._Workers`."""

    def __init__(self, jobs: int) -> None: ...

    def run(self, command: Callable[[list[str]], int], argv: list[str]) -> None:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            status, problem = parallel._run(command, argv)
        if status != DONE:
            raise RunFailed(problem)

    def close(self) -> None: ...


class Immediately(Executor):
    """Calls what is submitted at once, in the main thread, where commands set their signal handlers."""

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
    """Comparisons, suites and searches train here."""
    monkeypatch.setattr(parallel, "_Workers", Workers)
    monkeypatch.setattr(parallel, "ThreadPoolExecutor", Immediately)
