"""Writes files completely or not at all, never through a link, and with the path in every error."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Adds this path to errors of the operating system."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Yields a temporary file in the same folder. It becomes `path` once it is written and synced.

    After a crash, path is the old file or the new one. Raises OSError with the path if it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with naming(path):
            temporary.unlink(missing_ok=True)  # of a killed process with the same id
            with temporary.open("xb") as file:  # fails if anything exists there, even a link
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_text(path: Path, text: str) -> None:
    """Writes a file atomically. Lone surrogates, which UTF-8 cannot encode, become backslash escapes."""
    with replacing(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def delete_leftovers(folder: Path) -> None:
    """Deletes the temporary files and folders of killed processes. No other process may be writing in the folder."""
    for leftover in folder.glob(".*.[0-9]*.tmp"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
