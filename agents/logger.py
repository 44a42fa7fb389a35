"""`Logger`: averages metrics and episodes into rows of the training log."""

import math
from collections import deque
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from agents.rollout import Episode, Metrics
from envs import saved

LATEST = 100  # number of episodes over which training returns are averaged, as is customary
SHIFT = "train/policy_shift_kl"  # its largest value is logged too


def rows_of(series: Metrics) -> Tensor:
    """The metrics of U updates as float[U, number of metrics]; of no metrics, float[1, 0]."""
    if not series:
        return torch.zeros(1, 0)
    return torch.stack([torch.as_tensor(metric).reshape(-1).cpu() for metric in series.values()], -1)


class Logger:
    """Collects what the next row averages: updates since the last row, the latest 100 episodes, hooks' values."""

    def __init__(self) -> None:
        self.returns: deque[float] = deque(maxlen=LATEST)
        self.lengths: deque[int] = deque(maxlen=LATEST)
        self._window: list[Tensor] = []
        self._names: list[str] = []
        self._recorded: dict[str, list[float]] = {}

    @property
    def mean_return(self) -> float:
        """Mean return of the last 100 episodes; NaN before the first one ends."""
        return float(np.mean(self.returns)) if self.returns else math.nan

    @property
    def pending(self) -> bool:
        """Whether there were updates since the last row."""
        return bool(self._window)

    def add_episode(self, episode: Episode) -> None:
        self.returns.append(episode.ret)
        self.lengths.append(episode.length)

    def add(self, series: Metrics) -> None:
        """series: of one or several updates, float32[U] each."""
        rows = rows_of(series)
        if list(series) != self._names:  # of an algorithm that does not measure the same in every update
            rows = self._aligned(rows, list(series))
        self._window.append(rows)

    def _aligned(self, rows: Tensor, names: list[str]) -> Tensor:
        """Rows of these metrics with the columns of the window, which gets those that it lacks: NaN, not measured."""
        self._names = [*self._names, *(name for name in names if name not in self._names)]
        lacking = [functional.pad(part, (0, len(self._names) - part.shape[1]), value=math.nan) for part in self._window]
        self._window = lacking
        aligned = torch.full((len(rows), len(self._names)), math.nan, dtype=rows.dtype)
        aligned[:, [self._names.index(name) for name in names]] = rows
        return aligned

    def record(self, name: str, value: float) -> None:
        """Adds a value to the next row, which averages values of the same name."""
        self._recorded.setdefault(name, []).append(value)

    def row(self, step: int, seconds: float) -> dict[str, float]:
        """Name → mean since the last row; NaN if not measured. Starts the next row."""
        window = torch.cat(self._window).double()
        row = {
            "rollout/ep_rew_mean": self.mean_return,
            "rollout/ep_len_mean": float(np.mean(self.lengths)) if self.lengths else math.nan,
            **dict(zip(self._names, window.nanmean(0).tolist(), strict=True)),
        }
        if SHIFT in self._names:
            row[f"{SHIFT}_max"] = float(np.fmax.reduce(window[:, self._names.index(SHIFT)].numpy()))
        row |= {name: float(np.mean(values)) for name, values in self._recorded.items()}
        row |= {"time/seconds": round(seconds, 3), "time/steps_per_second": round(step / max(seconds, 1e-9), 1)}
        self._window.clear()
        self._recorded.clear()
        return row

    def state_dict(self) -> dict[str, object]:
        """Unlogged updates and the latest episodes; values from hooks are not saved."""
        return {
            "returns": list(self.returns),
            "lengths": list(self.lengths),
            "window": torch.cat(self._window) if self._window else None,
            "names": self._names,
        }

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Raises Misfit, without any change, if the state is not that of a logger."""
        given = saved.mapping(state, "logger", self.state_dict())
        returns = [saved.number(x, "returns") for x in saved.sequence(given["returns"], "returns")]
        lengths = [saved.whole(x, "lengths") for x in saved.sequence(given["lengths"], "lengths", len(returns))]
        names = [saved.text(name, "names") for name in saved.sequence(given["names"], "names")]
        window = given["window"]
        if window is not None:  # NaN: not measured in this update
            dtype = window.dtype if isinstance(window, Tensor) and window.is_floating_point() else torch.float32
            window = saved.tensor_with_nan(window, "window", dtype, (None, len(names)))
        self.returns.extend(returns)
        self.lengths.extend(lengths)
        self._window, self._names = [] if window is None else [window], names
