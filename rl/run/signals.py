"""Ctrl-C and SIGTERM, and exit statuses. This file imports nothing of ours, so that it is loaded first."""

import os
import signal
from contextlib import suppress
from types import FrameType
from typing import NoReturn

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM  # exit statuses, 130 and 143


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as Ctrl-C does, but for its exit status."""


def stop(number: int, frame: FrameType | None = None) -> NoReturn:
    """A handler of both signals. Raises KeyboardInterrupt, or Terminated."""
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


def status_of(stopped: KeyboardInterrupt) -> int:
    return TERMINATED if isinstance(stopped, Terminated) else INTERRUPTED


def exit_on_interrupt() -> None:
    """From here to `raise_on_interrupt`, Ctrl-C ends the process in one line. A parent that ignores Ctrl-C decides."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _exit)


def raise_on_interrupt() -> None:
    """From here on, Ctrl-C raises KeyboardInterrupt again, and SIGTERM raises Terminated."""
    if signal.getsignal(signal.SIGINT) is _exit:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, stop)


def ignore() -> None:
    """Lets a command end in peace: a second Ctrl-C, while it says that it was interrupted, would print a traceback."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    """Without an exception, which the import of a library might catch."""
    with suppress(OSError):  # standard error may be closed
        os.write(2, b"interrupted\n")
    os._exit(INTERRUPTED)
