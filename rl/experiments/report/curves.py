"""Curves of a report: one panel per metric, with a curve, or a mean and its band, for each line of runs."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from rl.experiments.curves import on_grid
from rl.experiments.statistics import mean_interval
from rl.run.glossary import METRICS, Metric
from rl.run.results import Columns, read_begun

Plain = dict[str, object]  # JSON-compatible
Floats = NDArray[np.float64]

_POINTS = 500  # per curve of a run: each is the mean of equally many rows
_GRID = 100  # points of a mean over runs
_DOTS = 1_500  # episodes shown, evenly spaced
_RETURN = "rollout/ep_rew_mean"
_FIRST = (
    _RETURN, "eval_mean", "eval_stochastic_mean", "train/loss", "validation/loss", "train/policy_shift_kl",
    "train/entropy", "train/explained_variance", "train/grad_norm", "train/value_loss", "train/policy_loss",
)  # fmt: skip
_LOGARITHMIC = ("train/policy_shift_kl", "train/policy_shift_kl_max", "train/policy_shift_js", "train/grad_norm")
_LEFT_OUT = (
    "step", "iteration", "time/seconds", "eval_std", "eval_stochastic_std", "eval_episodes", "eval_cut", "eval_length",
)  # fmt: skip


class Tables(NamedTuple):
    """The tables of a run; {} for a table without rows."""

    metrics: Columns
    episodes: Columns
    evaluations: Columns

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Raises ConfigError if a table is damaged."""
        return cls(*(read_begun(directory / f"{name}.csv") for name in cls._fields))

    @property
    def step(self) -> int:
        """The last row's step."""
        return int(self.metrics["step"][-1]) if self.metrics else 0

    def series(self, metric: str) -> tuple[Floats, Floats] | None:
        """Steps and values where the metric was measured; None if it was never measured."""
        for table in (self.metrics, self.evaluations):
            if metric in table and np.isfinite(table[metric]).any():
                known = np.isfinite(table[metric])
                return table["step"][known], table[metric][known]
        return None


def panels(lines: Mapping[str, Sequence[Tables]]) -> Iterator[Plain]:
    """Panels of all metrics that some run measured and that changed; the most important come first."""
    every = [tables for runs in lines.values() for tables in runs]
    names = dict.fromkeys(name for tables in every for table in (tables.metrics, tables.evaluations) for name in table)
    ordered = [*(name for name in _FIRST if name in names), *(name for name in names if name not in _FIRST)]
    for name in ordered:
        series = [found for tables in every if (found := tables.series(name)) is not None]
        if name in _LEFT_OUT or not any(np.ptp(y) > 0 for _, y in series):
            continue
        metric = METRICS.get(name, Metric(name, "", "", "", ""))
        positive = any((y > 0).any() for _, y in series)
        yield {
            "metric": name,
            **metric._asdict(),
            "log": name in _LOGARITHMIC and positive,
            "curves": [curve for i, runs in enumerate(lines.values()) for curve in _curves(i, runs, name)],
            "dots": [_dots(i, runs[0]) for i, runs in enumerate(lines.values()) if name == _RETURN and len(runs) == 1],
        }


def _curves(line: int, runs: Sequence[Tables], name: str) -> Iterator[Plain]:
    """The mean over runs with its interval; every run, if there is only one or they share no step."""
    series = [found for tables in runs if (found := tables.series(name)) is not None]
    if len(series) > 1:
        try:
            grid, values = on_grid([{"x": x, "y": y} for x, y in series], "x", "y", _GRID)
        except ValueError:
            pass
        else:
            middle, low, high = np.array([mean_interval(at, resamples=500) for at in values.T]).T
            yield {"line": line, "x": short(grid), "y": short(middle), "low": short(low), "high": short(high)}
            return
    for x, y in series:
        yield {"line": line, "x": short(_thinned(x)), "y": short(_thinned(y))}


def _thinned(values: Floats) -> Floats:
    """Means of equally many consecutive values, at most `_POINTS`; the last mean may have fewer values."""
    size = -(-len(values) // _POINTS)
    return np.add.reduceat(values, starts := np.arange(0, len(values), size)) / np.diff([*starts, len(values)])


def _dots(line: int, tables: Tables) -> Plain:
    every = -(-len(tables.episodes.get("step", ())) // _DOTS) or 1
    x, y = (tables.episodes.get(name, np.empty(0))[::every] for name in ("step", "return"))
    return {"line": line, "x": short(x), "y": short(y), "every": every}


def short(values: Floats) -> list[float | None]:
    """Rounds to six significant digits; non-finite values become None."""
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values.tolist()]
