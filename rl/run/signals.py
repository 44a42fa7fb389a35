"""Ctrl-C, SIGTERM and exit statuses. This file imports none of ours, so that it loads first."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Timer, current_thread, main_thread
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM  # exit statuses, 130 and 143


class Terminated(KeyboardInterrupt):
    """SIGTERM: ends a command as Ctrl-C does, with its own exit status."""


def stop(number: int, frame: FrameType | None = None) -> NoReturn:
    """Handler of both signals. Raises KeyboardInterrupt or Terminated.

    An object whose construction this cuts off may fail when it is freed; Python would print a traceback.
    """
    if sys.unraisablehook is _raise_later:
        sys.unraisablehook = _drop
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


def status_of(stopped: KeyboardInterrupt) -> int:
    return TERMINATED if isinstance(stopped, Terminated) else INTERRUPTED


def exit_on_interrupt() -> None:
    """Until `raise_on_interrupt`, Ctrl-C ends the process with one line, unless the parent process ignores Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _exit)


def raise_on_interrupt() -> None:
    """From here on, Ctrl-C raises KeyboardInterrupt again, and SIGTERM raises Terminated.

    Python drops an exception raised while it closes a generator or frees an object; the signal is then sent again.
    """
    sys.unraisablehook = _raise_later
    if signal.getsignal(signal.SIGINT) in (_exit, signal.default_int_handler):
        signal.signal(signal.SIGINT, stop)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, stop)


@contextmanager
def deferred() -> Iterator[None]:
    """Raises a signal that arrives in this block at its end, for imports of libraries that catch exceptions there."""
    numbers = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is stop]
    if not numbers or current_thread() is not main_thread():
        yield
        return
    arrived: list[int] = []
    for number in numbers:
        signal.signal(number, lambda number, frame: arrived.append(number))
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, stop)
    if arrived:
        stop(arrived[0])


def _drop(lost: "UnraisableHookArgs") -> None:
    """A `sys.unraisablehook` that prints nothing."""
    if isinstance(lost.exc_value, KeyboardInterrupt):
        _raise_later(lost)


def _raise_later(lost: "UnraisableHookArgs", moment: float = 0.01) -> None:
    """A `sys.unraisablehook` that sends a dropped signal again. Any handler but `stop` has recorded it."""
    if not isinstance(lost.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return
    number = status_of(lost.exc_value) - 128
    if signal.getsignal(number) is stop:
        Timer(moment, os.kill, [os.getpid(), number]).start()


def ignore() -> None:
    """Ignores further signals: a second Ctrl-C, while the command reports the first, would print a traceback."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    """Exits without an exception, which a library might catch during its import."""
    with suppress(OSError):  # standard error may be closed
        os.write(2, b"interrupted\n")
    os._exit(INTERRUPTED)
