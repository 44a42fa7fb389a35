"""A resumed run's earlier rows, from its CSV files, for logs that a kill has cut short."""

from collections.abc import Iterator

import numpy as np

from agents.events import Log
from rl.run.results import Columns, read_columns
from rl.run.sinks.base import EVALUATIONS, ROWS, Described, tagged

Entry = tuple[str, int, dict[str, float]]  # ROWS or EVALUATIONS, step, scalars by tag
_NOT_SCALARS = ("step", "iteration")
_EVALUATION_TAGS = {
    "eval/mean_ep_length": "eval_length",
    "eval/mean_reward": "eval_mean",
    "eval/std_reward": "eval_std",
    "eval/stochastic_mean_reward": "eval_stochastic_mean",
    "eval/stochastic_std_reward": "eval_stochastic_std",
}


def entries(run: Described) -> list[Entry]:
    """Rows up to the step at which the run resumes, ordered by step."""
    found = [*_rows(_columns(run, "metrics.csv")), *_evaluations(_columns(run, "evaluations.csv"))]
    return sorted((entry for entry in found if entry[1] <= run.step), key=lambda entry: entry[1])


def _columns(run: Described, name: str) -> Columns:
    path = run.directory / name
    return read_columns(path) if path.is_file() and path.stat().st_size else {"step": np.zeros(0)}


def _rows(columns: Columns) -> Iterator[Entry]:
    names = [name for name in columns if name not in _NOT_SCALARS]
    for k, step in enumerate(map(int, columns["step"])):
        scalars = {name: float(columns[name][k]) for name in names}
        yield ROWS, step, tagged(Log(step, int(columns["iteration"][k]), scalars["time/seconds"], scalars))


def _evaluations(columns: Columns) -> Iterator[Entry]:
    for k, step in enumerate(map(int, columns["step"])):
        yield EVALUATIONS, step, {tag: float(columns[name][k]) for tag, name in _EVALUATION_TAGS.items()}
