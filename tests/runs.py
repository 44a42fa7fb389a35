"""Run directories, as tests read them."""

import csv
from pathlib import Path


def table(path: Path) -> list[list[str]]:
    """The rows of a CSV file without its wall-clock columns."""
    rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    kept = [i for i, name in enumerate(rows[0]) if not name.startswith("time/")]
    return [[row[i] for i in kept] for row in rows]


def run_of(parent: Path) -> Path:
    """The only run in a parent of run directories."""
    (config,) = parent.glob("*/*/*/config.yaml")
    return config.parent
