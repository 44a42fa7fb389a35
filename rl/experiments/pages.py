"""Results pages: Markdown, a JSON file with every number in it, and a figure shown on the page."""

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from agents.settings.values import ConfigError, plain
from agents.writing import write_text
from rl.run.files import check_folder
from rl.run.results import with_ending, write_json


class Page(NamedTuple):
    """A page and its numbers. parts: Markdown blocks, such as paragraphs and tables; empty ones are skipped."""

    title: str
    command: str  # writes the page
    machine: str
    parts: Sequence[str]
    numbers: Mapping[str, object]  # content of the JSON file, besides command and machine

    def __str__(self) -> str:
        head = [f"# {self.title}", f"Made by `{self.command}`\non {self.machine}."]
        return "\n\n".join(part for part in (*head, *self.parts) if part) + "\n"

    def write(self, path: Path) -> None:
        """Writes `path`.json and `path`.md; creates the folder."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.numbers:
            write_json(with_ending(path, ".json"), {"command": self.command, "machine": self.machine, **self.numbers})
        write_text(with_ending(path, ".md"), str(self))


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Raises ConfigError for what a damaged file of a page, read in the block, raises."""
    try:
        yield
    except (ValueError, LookupError, TypeError) as error:
        raise ConfigError(f"{file} is damaged ({error!r}); restore it, or delete it to begin anew") from None


def check_name(path: Path, prog: str) -> None:
    """Raises ConfigError if `path` already is a page of another command, or lies in a file instead of a folder.

    prog: the command that wants to write it.
    """
    check_folder(path.parent)
    file = with_ending(path, ".json")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return
    command = content.get("command") if isinstance(content, dict) else None
    writer = str(command).removeprefix("python -m ").partition(" ")[0]
    if command and writer != prog:
        raise ConfigError(f"{file} was written by {writer}: choose another --name, or delete it")


def paragraph(text: str) -> str:
    """Wraps the text at 116 characters."""
    return textwrap.fill(" ".join(text.split()), 116, break_long_words=False, break_on_hyphens=False)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], words: int = 1) -> str:
    """words: the number of columns that hold words and are aligned left; numbers, in the others, are aligned right.

    A vertical bar in a cell, which would end it, is escaped.
    """
    rule = f"|{'---|' * words}{'---:|' * (len(heads) - words)}"
    escaped = ([cell.replace("|", "\\|") for cell in cells] for cells in (heads, *rows))
    head, *body = (f"| {' | '.join(cells)} |" for cells in escaped)
    return "\n".join([head, rule, *body])


def image(caption: str, file: str) -> str:
    return f"!{link(caption, file)}"


def link(text: str, file: str) -> str:
    """A link to a file, whose name may contain spaces and whatever else ends a link in Markdown."""
    return f"[{text}]({quote(file, errors='surrogateescape')})"


def changed(settings: Mapping[str, object], defaults: Mapping[str, object], keys: Iterable[str] | None = None) -> str:
    """The settings among `keys` that differ from the defaults: "`gamma: 0.9`, `n_steps: 5`", or "none"."""
    among = set(defaults if keys is None else keys)
    different = {key: value for key, value in settings.items() if key in among and value != plain(defaults[key])}
    return ", ".join(f"`{key}: {value}`" for key, value in different.items()) or "none"


def in_common(what: str, settings: Mapping[str, object], defaults: Mapping[str, object], keys: Iterable[str]) -> str:
    """A sentence with the settings that all `what` share, where they differ from the defaults; empty if none does."""
    different = changed(settings, defaults, keys)
    if different == "none":
        return ""
    return f"Settings that all {what} share and that differ from the defaults: {different}."


def counted(number: int, noun: str) -> str:
    """ "1 seed", "10 seeds"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def spelled(numbers: Sequence[int]) -> str:
    """Ascending integers as text, with three or more in a row as a range: "0, 1, 5 to 9", "10,000 to 10,009"."""
    groups: list[list[int]] = []
    for number in numbers:
        if groups and number == groups[-1][-1] + 1:
            groups[-1].append(number)
        else:
            groups.append([number])
    parts = [
        [f"{group[0]:,} to {group[-1]:,}"] if len(group) > 2 else [f"{number:,}" for number in group]
        for group in groups
    ]
    return ", ".join(part for each in parts for part in each)
