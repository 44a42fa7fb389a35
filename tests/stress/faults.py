"""Commands in forked processes, with a fault at a chosen moment: a kill, a signal, a full disk.

Forking saves the seconds of imports. Only workers of the stress tests fork: they have a single thread.
"""

import os
import resource
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import rl.train
from rl.run import files, terminal

Action = Callable[[], None]
TRACEBACK = 70  # exit status of a process that ended with a traceback
_PATH_EVENTS = ("open", "os.mkdir", "os.rename", "os.remove", "os.truncate")


class Done(NamedTuple):
    """A command that has ended. status: negative signal number if killed; moments: as counted by its fault."""

    status: int
    out: str
    err: str
    moments: int


class Fault:
    """No fault. A subclass acts at the moment with this number, counted from 1; 0: never, only counts."""

    def __init__(self, number: int = 0, action: Action = lambda: None) -> None:
        self.seen, self.number, self.action = 0, number, action

    def arm(self, room: Path) -> None:
        """Called in the process that trains in this room."""

    def count(self) -> None:
        self.seen += 1
        if self.seen == self.number:
            self.action()


class AtFileOperation(Fault):
    """Before the process opens, creates, renames or deletes a file in the room; and while it writes rows."""

    def arm(self, room: Path) -> None:
        inside, write = str(room), files._Appended.write

        def audit(event: str, arguments: tuple[object, ...]) -> None:
            if event in _PATH_EVENTS and str(arguments[0]).startswith(inside):
                self.count()

        def halved(table: files._Appended, data: bytes) -> int:
            half = len(data) // 2 if self.seen + 1 == self.number else 0
            written = write(table, memoryview(data)[:half])
            self.count()
            return written + write(table, memoryview(data)[half:])

        sys.addaudithook(audit)
        files._Appended.write = halved  # type: ignore[method-assign, assignment]


class AtCall(Fault):
    """At a call of a Python function."""

    def arm(self, room: Path) -> None:
        def profile(frame: FrameType, event: str, argument: object) -> None:
            if event == "call":
                self.count()

        sys.setprofile(profile)


class FullDisk(Fault):
    """No file grows beyond `number` bytes."""

    def arm(self, room: Path) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.number, resource.RLIM_INFINITY))


def send(number: int) -> Action:
    """Sends a signal to this process."""
    return lambda: os.kill(os.getpid(), number)


def train(argv: list[str], room: Path, fault: Fault) -> Done:
    """Runs `rl.train` in a forked process. room: for its files, including temporary ones."""
    pipes = [os.pipe() for _ in range(3)]
    pid = os.fork()
    if pid == 0:
        for number, (_, writing) in enumerate(pipes[:2], 1):
            os.dup2(writing, number)
        status = _in_child(argv, room, fault)
        os.write(pipes[2][1], str(fault.seen).encode())
        os._exit(status)
    for _, writing in pipes:
        os.close(writing)
    texts = []
    for reading, _ in pipes:  # less than a pipe can hold
        with open(reading, encoding="utf-8") as file:
            texts.append(file.read())
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return Done(status, texts[0], texts[1], int(texts[2] or 0))


def _in_child(argv: list[str], room: Path, fault: Fault) -> int:
    try:
        kept_open = [os.fdopen(number, "w", encoding="utf-8", closefd=False) for number in (1, 2)]
        sys.stdout, sys.stderr = kept_open  # the command wraps these
        tempfile.tempdir, sys.argv = str(room), ["rl.train", *argv]
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        fault.arm(room)
        terminal.run(rl.train.main)
    except SystemExit as exit_:
        return int(exit_.code or 0)
    except BaseException:
        sys.setprofile(None)
        traceback.print_exc()
        return TRACEBACK
    finally:
        sys.setprofile(None)
        sys.stdout.flush()
        sys.stderr.flush()
