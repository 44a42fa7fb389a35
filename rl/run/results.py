"""Reading runs, finished or not, and writing JSON."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.settings.values import ConfigError, shown
from agents.writing import write_text

Columns = dict[str, NDArray[np.float64]]


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
    """Raises ConfigError if there is no readable summary: the run is unfinished, or it is not a run."""
    try:
        return Result(directory, json.loads((directory / "summary.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        raise ConfigError(f"{directory} holds no finished run: its summary.json cannot be read") from None


def column(runs: Iterable[Result], key: str = "eval_mean") -> list[float]:
    """One number of `summary.json` per run; by default the mean return of the deterministic evaluation."""
    return [run.summary[key] for run in runs]


def read_columns(path: Path) -> Columns:
    """Columns of a CSV file of numbers; an empty cell is NaN. An incomplete last line, still being written, is ignored.

    Raises ValueError if the file has no complete line, ConfigError if a row does not hold one number per column.
    """
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    lines = text[: text.rfind("\n") + 1].splitlines()
    if not lines:
        raise ValueError(f"{path} holds no rows to draw")
    names = lines[0].split(",")
    rows = [_numbers(line) for line in lines[1:]]
    for number, row in enumerate(rows, 2):
        if len(row) != len(names):
            found = shown(lines[number - 1])
            raise ConfigError(f"{path} is damaged: line {number} must hold {len(names)} numbers, not {found}")
    return dict(zip(names, np.array(rows, dtype=np.float64).reshape(len(rows), len(names)).T, strict=True))


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
