"""Reading runs, finished or not, and writing JSON."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from agents.settings.values import ConfigError, shown
from agents.writing import write_text

Columns = dict[str, NDArray[np.float64]]
_NUMBERS = (
    "seed", "total_timesteps", "eval_episodes", "eval_mean", "eval_std", "eval_stochastic_mean", "eval_stochastic_std",
)  # that every summary holds  # fmt: skip


class Scored(Protocol):
    """A finished run."""

    @property
    def summary(self) -> dict[str, float]:
        """The numbers of `summary.json`."""

    def metrics(self) -> Columns: ...


class Result(NamedTuple):
    """A run on disk. summary: empty for an unfinished run."""

    directory: Path
    summary: dict[str, float]

    def metrics(self) -> Columns:
        return read_columns(self.directory / "metrics.csv")

    def episodes(self) -> Columns:
        return read_columns(self.directory / "episodes.csv")


def is_finished(directory: Path) -> bool:
    return (directory / "summary.json").is_file()


def read_result(directory: Path) -> Result:
    """Raises ConfigError if the run has no summary, or a damaged one: it is not finished, or is no run at all."""
    try:
        summary = json.loads((directory / "summary.json").read_text(encoding="utf-8"))
        if not all(isinstance(summary[name], int | float) for name in _NUMBERS):
            raise ValueError("a number is missing")
        return Result(directory, summary)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        raise ConfigError(f"{directory} holds no finished run: its summary.json cannot be read") from None


def column(runs: Iterable[Scored], key: str = "eval_mean") -> list[float]:
    """A number of `summary.json` for each run, by default the mean return of the deterministic evaluation."""
    return [run.summary[key] for run in runs]


def begun(runs: Iterable[Result]) -> list[Columns]:
    """The metrics of the runs that have rows."""
    return [columns for run in runs if (columns := read_begun(run.directory / "metrics.csv"))]


def read_columns(path: Path) -> Columns:
    """Columns of a CSV file of numbers; an empty cell is NaN. An incomplete last line, still being written, is ignored.

    Raises ValueError if there are no rows, ConfigError if the first column is not `step`, or if a row does not hold a
    number for each column.
    """
    lines = _whole_lines(path)
    if not lines:
        raise ValueError(f"{path} holds no rows to draw")
    return _columns(path, lines)


def read_begun(path: Path) -> Columns:
    """As `read_columns`, and {} while the table has no rows."""
    lines = _whole_lines(path)
    return _columns(path, lines) if len(lines) > 1 else {}


def _whole_lines(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return text[: text.rfind("\n") + 1].splitlines()


def _columns(path: Path, lines: Sequence[str]) -> Columns:
    names = _names(lines[0])
    if names[0] != "step":
        raise ConfigError(f"{path} is damaged: its first column must be step, not {shown(names[0])}")
    rows = [_numbers(line) for line in lines[1:]]
    for number, row in enumerate(rows, 2):
        if len(row) != len(names):
            found = shown(lines[number - 1])
            raise ConfigError(f"{path} is damaged: line {number} must hold {len(names)} numbers, not {found}")
    return dict(zip(names, np.array(rows, dtype=np.float64).reshape(len(rows), len(names)).T, strict=True))


def _names(line: str) -> list[str]:
    """The column names in a header; those that contain a comma are quoted."""
    try:
        return next(csv.reader([line])) or [""]
    except csv.Error:
        return [line]


def _numbers(line: str) -> list[float]:
    """The cells of a row; [] if a cell is not a number."""
    try:
        return [float(cell) if cell else np.nan for cell in line.split(",")]
    except ValueError:
        return []


def write_json(path: Path, content: Mapping[str, object]) -> None:
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def with_ending(path: Path, ending: str) -> Path:
    """Appends the ending; `Path.with_suffix` would cut a name such as "rate-0.5"."""
    return path.with_name(path.name + ending)
