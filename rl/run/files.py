"""Files that a training command keeps open: a directory's lock, CSV tables and JSON lines."""

import csv
import errno
import io
import json
import os
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from agents.checkpoint import CheckpointError
from agents.settings.values import ConfigError
from agents.writing import delete_leftovers

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_LAG = 1.0  # seconds


def lock(directory: Path, links: Container[str] = ()) -> io.FileIO:
    """Locks a run directory while the returned file is open; deletes files that a killed process left incomplete.

    links: names of symbolic links that are allowed, because the run never writes through them. Raises ConfigError if
    another process holds the lock, or if the directory contains any other symbolic link.
    """
    for path in directory.iterdir():
        if path.is_symlink() and path.name not in links:
            raise ConfigError(f"{path} is a link, and a run writes only inside its directory; put a copy in its place")
    file = _Appended(directory / ".lock")
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # some network file systems raise the latter
            file.close()
            raise ConfigError(f"another process is training in {directory}") from None
        except OSError:  # a file system without locks, as some of clusters
            pass
    for folder in (directory, directory / "checkpoints", directory / "films"):
        delete_leftovers(folder)
    return file


def check_folder(path: Path) -> None:
    """Raises ConfigError if the path cannot become a folder, because it or one above it is a file."""
    nearest = next((each for each in (path, *path.parents) if each.exists()), path)
    if nearest.exists() and not nearest.is_dir():
        raise ConfigError(f"{nearest} is a file, where a folder is needed: choose another")


@contextmanager
def after_others(directory: Path) -> Iterator[None]:
    """Runs the block in one process per directory at a time: the sinks of a killed run may still be writing."""
    with _Appended(directory / ".lock-sinks") as file:
        if fcntl is not None:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


class _Appended(io.FileIO):
    """A file for appending, never a symbolic link. Writing raises if it was deleted or replaced; errors name it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "a", opener=open_no_link)

    def write(self, data: "ReadableBuffer", /) -> int:
        self.check()
        try:
            return super().write(data)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.name)) from None

    def check(self) -> None:
        """Raises FileNotFoundError if the file was deleted or replaced."""
        try:
            present = os.path.samestat(os.stat(self.name), os.fstat(self.fileno()))
        except FileNotFoundError:
            present = False
        if not present:
            raise FileNotFoundError(errno.ENOENT, "deleted or replaced while the run was writing it", str(self.name))


def open_no_link(path: str, flags: int) -> int:
    """An opener for `open`. Raises OSError for a symbolic link, whose target may lie outside the run."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


class Table:
    """A CSV file opened for appending; numbers with nine significant digits, NaN as an empty cell.

    Rows are flushed when a row is added at least `_LAG` after the last flush, so that others can read along.
    Raises OSError on flushing if the rows cannot be written or the file was deleted.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._new = path, not path.exists()  # a new table: without a row until one is written
        self._raw = _Appended(path)
        self._file = io.TextIOWrapper(io.BufferedWriter(self._raw), encoding="utf-8", newline="")
        self._empty = self._blank = path.stat().st_size == 0  # blank: before the first row, with or without a header
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._flushed = time.monotonic()
        self.columns = list[str]()  # once `header` was called

    def header(self, columns: list[str]) -> None:
        """Writes the column names if the file is empty; otherwise its own remain."""
        if self._empty:
            self._writer.writerow(columns)
            self._empty, self.columns = False, columns
        elif not self.columns:
            with self.path.open(encoding="utf-8", errors="replace", newline="") as file:
                self.columns = next(csv.reader(file), [])

    def row(self, values: list[float | int]) -> None:
        self._new = self._blank = False
        self._writer.writerow([_cell(value) for value in values])
        now = time.monotonic()
        if now - self._flushed >= _LAG:
            self._file.flush()
            self._flushed = now

    def size(self) -> int:
        self._file.flush()
        self._raw.check()
        return self._file.seek(0, io.SEEK_END)

    def check_size(self, size: int) -> None:
        """Raises CheckpointError unless the file has this size or more, and a row ends at it."""
        if self.size() < size:
            lost = "missing" if self._new else "shorter than when the checkpoint was written"
            raise CheckpointError(
                f"{self.path} is {lost}, so the run cannot go on; "
                "--set warm_start=RUN starts a new run from its networks"
            )
        with self.path.open("rb") as file:
            file.seek(max(size - 1, 0))
            if size and file.read(1) != b"\n":
                raise CheckpointError(f"{self.path} has no row that ends at byte {size:,}, as the checkpoint says")

    def discard(self) -> None:
        """Makes the file what it was if this object wrote no row: absent or empty."""
        if self._new:
            self.path.unlink(missing_ok=True)
        elif self._blank:
            self._file.truncate(0)

    def cut(self, size: int) -> None:
        self._file.truncate(size)
        self._file.seek(0, io.SEEK_END)
        self._empty, self.columns = size == 0, []

    def close(self) -> None:
        self._file.close()


class JsonLines:
    """A file with one JSON value per line; an incomplete last line, after a kill or a full disk, is removed.

    Raises ConfigError if any other line cannot be read, and OSError with the path if a line cannot be written.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = io.BufferedWriter(_Appended(path))
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        try:
            self.values: list[object] = [json.loads(line) for line in whole.splitlines()]
        except (ValueError, RecursionError) as error:
            self.close()
            raise ConfigError(f"{path} is damaged ({error}); delete it to begin anew") from None
        self._file.truncate(len(whole))

    def append(self, value: object) -> None:
        self._file.write(json.dumps(value).encode() + b"\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _cell(value: float | int) -> str:
    if isinstance(value, int):
        return str(value)
    return "" if np.isnan(value) else f"{value:.9g}"
