"""A run directory that trains on another machine: what changed in it, as plain data, and the copy that is kept here."""

from collections.abc import Iterator
from pathlib import Path

from agents.writing import naming, replacing
from rl.run.files import open_no_link

Changes = tuple[dict[str, tuple[int, bytes]], list[str]]
"""Of each changed file an offset and the content from there to the end; and the names of all files. Plain data, so that
a process that only passes it on need not import this package."""

_SUMMARY = "summary.json"
_APPENDED = (".csv", ".jsonl")  # files that only grow


class Original:
    """A directory whose changes are tracked."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._seen: dict[str, tuple[int, int, int]] = {}  # size, modification time, inode

    def changes(self) -> Changes:
        """Changes since the last call, at first all files. Skips hidden files, such as temporary ones."""
        changed, names = dict[str, tuple[int, bytes]](), list[str]()
        for path in _files(self.directory):
            name = path.relative_to(self.directory).as_posix()
            names.append(name)
            stat, before = path.stat(), self._seen.get(name)
            if before == (stat.st_size, stat.st_mtime_ns, stat.st_ino):
                continue
            offset = before[0] if before and name.endswith(_APPENDED) else 0
            with naming(path), path.open("rb") as file:
                file.seek(offset)
                content = file.read()
            changed[name] = offset, content
            self._seen[name] = offset + len(content), stat.st_mtime_ns, stat.st_ino
        return changed, names


def packed(path: Path) -> Changes:
    """All files of a directory; or a single file, with an empty name."""
    return ({"": (0, path.read_bytes())}, [""]) if path.is_file() else Original(path).changes()


def apply(changes: Changes, directory: Path) -> None:
    """Updates a copy. If killed midway, it leaves a run that can be resumed.

    Raises OSError with the path of the file that could not be written.
    """
    changed, names = changes
    if _SUMMARY not in names:  # the run continues
        (directory / _SUMMARY).unlink(missing_ok=True)
    for name in sorted(changed, key=_rank):
        (offset, content), path = changed[name], directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if offset:
            with naming(path), open(path, "r+b", opener=open_no_link) as file:
                file.seek(offset)
                file.write(content)
                file.truncate()
        else:
            with replacing(path) as file:
                file.write(content)
    if directory.is_dir():
        for path in _files(directory):
            if path.relative_to(directory).as_posix() not in names:
                path.unlink()


def _rank(name: str) -> int:
    """Order of writing: first the rows that a checkpoint refers to, last the summary, which marks a finished run."""
    return 2 if name == _SUMMARY else int(name.endswith(".pt"))


def _files(directory: Path) -> Iterator[Path]:
    return (path for path in sorted(directory.rglob("*")) if not path.name.startswith(".") and path.is_file())
