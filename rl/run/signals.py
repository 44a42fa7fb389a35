"""Ctrl-C and SIGTERM, and exit statuses. This file imports nothing of ours, so that it is loaded first."""

import os
import signal
import sys
from contextlib import suppress
from threading import Timer
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

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
    """From here on, Ctrl-C raises KeyboardInterrupt again, and SIGTERM raises Terminated.

    Python cannot raise them while it closes a generator or frees an object: then they are raised a moment later.
    """
    sys.unraisablehook = _raise_later
    if signal.getsignal(signal.SIGINT) is _exit:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, stop)


def _raise_later(lost: "UnraisableHookArgs", moment: float = 0.01) -> None:
    """`sys.unraisablehook`. A handler other than these two has noted the signal, so that it is not lost."""
    if not isinstance(lost.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return
    number = status_of(lost.exc_value) - 128
    if signal.getsignal(number) in (stop, signal.default_int_handler):
        Timer(moment, os.kill, [os.getpid(), number]).start()


def ignore() -> None:
    """Lets a command end in peace: a second Ctrl-C, while it says that it was interrupted, would print a traceback."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    """Without an exception, which the import of a library might catch."""
    with suppress(OSError):  # standard error may be closed
        os.write(2, b"interrupted\n")
    os._exit(INTERRUPTED)
