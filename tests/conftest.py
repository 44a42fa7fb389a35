"""Fixtures for all tests."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from types import ModuleType

import pytest
import torch

import rl.run.terminal
from tests import ROOT
from tests.in_process import in_process as in_process
from tests.order import balanced

Command = Callable[..., tuple[int, str, str]]
Start = Callable[..., "Process"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="equality runs of full length, as in make test-long")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselects tests that need a CUDA device if there is none, so that they do not count as passed.

    Each process begins with slow tests, so that none is left with one of them at the end.
    """
    absent = [] if torch.cuda.is_available() else [item for item in items if item.get_closest_marker("cuda")]
    config.hook.pytest_deselected(items=absent)
    kept = [item for item in items if item not in absent]
    slow = [item for item in kept if item.get_closest_marker("slow")]
    fast = [item for item in kept if not item.get_closest_marker("slow")]
    items[:] = balanced(slow, fast, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def pytest_configure() -> None:
    """Restores Ctrl-C, which shells ignore in background jobs: the tested processes would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def long(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--long"))


LIMIT = 300  # seconds that a process may take for anything; a safety net that no passing test reaches


class Process(subprocess.Popen[str]):
    """A command in its own process and process group, killed after the test."""

    def __init__(self, module: str, *argv: object, **environment: str) -> None:
        super().__init__(
            [sys.executable, "-u", "-m", module, *map(str, argv)], cwd=ROOT, env={**os.environ, **environment},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self._watchdog = threading.Timer(LIMIT, self.kill_group)
        self._watchdog.daemon = True
        self._watchdog.start()

    def wait_for(self, words: str) -> str:
        """Reads standard output up to the line with these words; returns what was read."""
        lines = []
        for line in self.stdout or ():
            lines.append(line)
            if words in line:
                return "".join(lines)
        raise AssertionError(f"it ended without {words!r}: {lines} {self.communicate()[1]}")

    def kill_group(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def end(self) -> None:
        self._watchdog.cancel()
        self.kill_group()
        self.communicate()


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a command, given as module and arguments, in another process; keywords are environment variables."""
    with ExitStack() as stack:

        def call(module: str, *argv: object, **environment: str) -> Process:
            process = Process(module, *argv, **environment)
            stack.callback(process.end)
            return process

        yield call


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command, given as module and arguments, in this process: exit status, standard output and error."""
    stops = (signal.SIGINT, signal.SIGTERM)
    handlers = {number: signal.getsignal(number) for number in stops}

    def call(module: ModuleType, *argv: object) -> tuple[int, str, str]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, argv)])
        with pytest.raises(SystemExit) as exit_:
            rl.run.terminal.run(module.main)
        for number in stops:
            signal.signal(number, handlers[number])
        out, err = capsys.readouterr()
        return int(exit_.value.code or 0), out, err

    return call
