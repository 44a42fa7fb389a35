"""Makes standard output and standard error safe: writing to them never ends a command."""

import io
import os
import sys
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def protect_streams() -> None:
    """From here on, writing to either stream never raises: unencodable characters are escaped, failed writes dropped.

    A warning is printed as one line.
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:  # keeps opened files from taking the places of closed streams
        os.set_inheritable(fd, True)
    os.close(fd)
    sys.stdout, sys.stderr = _protected(sys.stdout), _protected(sys.stderr)
    warnings.formatwarning = _one_line


def _one_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    from envs.errors import in_one_line  # takes seconds, which a list of commands must not

    return in_one_line(message, category, filename, lineno)


def _protected(stream: TextIO | None) -> TextIO:
    if stream is None:  # was closed when Python started
        return open(os.devnull, "w", encoding="utf-8")
    if isinstance(stream, _Kept) or not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.reconfigure(errors="backslashreplace")
    raw = getattr(stream.buffer, "raw", stream.buffer)
    if not isinstance(raw, io.FileIO):
        return stream
    with suppress(OSError):
        stream.flush()
    buffer = io.BufferedWriter(_Lossy(raw.fileno(), "w", closefd=False))
    return _Kept(buffer, stream.encoding, "backslashreplace", line_buffering=True)


class _Kept(io.TextIOWrapper):
    """Stays open, even if an environment closes standard output."""

    def close(self) -> None:
        self.flush()


class _Lossy(io.FileIO):
    """Drops data that cannot be written: full disk, closed terminal, or a reader that has ended (`| head`)."""

    def write(self, data: "ReadableBuffer", /) -> int:
        with suppress(OSError):
            written = super().write(data)
            if written is not None:  # None: writing would block
                return written
        return memoryview(data).nbytes
