"""Runs commands in this process, as `python -m` does."""

import contextlib
import io
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from rl.run import terminal

_STOPS = (signal.SIGINT, signal.SIGTERM)


class Said(NamedTuple):
    """The output of a command that has ended. Exceptions not reported in one line propagate from `run`."""

    status: int
    out: str
    err: str


def run(module: ModuleType, argv: list[str], folder: Path) -> Said:
    """Runs a command in a working directory."""
    handlers, before = [signal.getsignal(number) for number in _STOPS], sys.argv
    out, err, status = io.StringIO(), io.StringIO(), 0
    sys.argv = [module.__name__, *argv]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), contextlib.chdir(folder):
            terminal.run(module.main)
    except SystemExit as exit_:
        status = int(exit_.code or 0)
    finally:
        sys.argv = before
        for number, handler in zip(_STOPS, handlers, strict=True):
            signal.signal(number, handler)
    return Said(status, out.getvalue(), err.getvalue())


def outcome(said: Said) -> str:
    """Asserts that a command succeeded or said in one line why not."""
    assert said.status in (0, 1, 2), said
    if said.status == 0:
        return "done"
    *warnings, last = said.err.splitlines() or [""]
    assert last.startswith("error: "), said
    assert all("Traceback" not in line for line in warnings), said
    assert len(last) < 2_000, said
    return "refused in one line" if said.status == 2 else "failed in one line"
