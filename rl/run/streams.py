"""Standard output and standard error that never end a command, whatever becomes of them."""

import io
import os
import sys
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from agents.settings.values import ConfigWarning
from envs import EnvironmentWarning

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def protect_streams() -> None:
    """Writes to both streams then never raise: what cannot be written is dropped, or escaped as "→" in ASCII is.

    A warning becomes one line.
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:  # takes the places of closed streams, which files would take
        os.set_inheritable(fd, True)
    os.close(fd)
    sys.stdout, sys.stderr = _protected(sys.stdout), _protected(sys.stderr)
    warnings.formatwarning = _one_line


def _one_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """A warning as a command shows it; where it comes from only if it is not of ours."""
    ours = issubclass(category, ConfigWarning | EnvironmentWarning)
    return (
        f"warning: {' '.join(str(message).split())}{'' if ours else f' ({category.__name__}, {filename}:{lineno})'}\n"
    )


def _protected(stream: TextIO | None) -> TextIO:
    if stream is None:  # closed when Python started
        return open(os.devnull, "w", encoding="utf-8")
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.reconfigure(errors="backslashreplace")
    raw = getattr(stream.buffer, "raw", stream.buffer)
    if not isinstance(raw, io.FileIO):
        return stream
    with suppress(OSError):
        stream.flush()
    buffer = io.BufferedWriter(_Lossy(raw.fileno(), "w", closefd=False))
    return io.TextIOWrapper(buffer, stream.encoding, "backslashreplace", line_buffering=True)


class _Lossy(io.FileIO):
    """Drops what cannot be written: the disk is full, the terminal was closed, the reader has gone (`| head`)."""

    def write(self, data: "ReadableBuffer", /) -> int:
        with suppress(OSError):
            written = super().write(data)
            if written is not None:  # it is None if writing would have to wait
                return written
        return memoryview(data).nbytes
