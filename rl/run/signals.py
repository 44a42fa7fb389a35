"""Ctrl-C while a command is still importing. This file imports nothing of ours, so that it is loaded first."""

import os
import signal
from contextlib import suppress
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130  # exit status


def exit_on_interrupt() -> None:
    """From here to `raise_on_interrupt`, Ctrl-C ends the process in one line. A parent that ignores Ctrl-C decides."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _exit)


def raise_on_interrupt() -> None:
    """From here on, Ctrl-C raises KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is _exit:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    """Without an exception, which the import of a library might catch."""
    with suppress(OSError):  # standard error may be closed
        os.write(2, b"interrupted\n")
    os._exit(INTERRUPTED)
