"""Fixtures of all tests."""

import sys
from collections.abc import Callable
from types import ModuleType

import pytest

import rl.run.terminal

Command = Callable[..., tuple[int, str, str]]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="equality runs of full length, as in make test-long")


@pytest.fixture(scope="session")
def long(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--long"))


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command, given as its module and arguments, in this process: exit status, standard output and error."""

    def call(module: ModuleType, *argv: object) -> tuple[int, str, str]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, argv)])
        with pytest.raises(SystemExit) as exit_:
            rl.run.terminal.run(module.main)
        out, err = capsys.readouterr()
        return int(exit_.value.code or 0), out, err

    return call
