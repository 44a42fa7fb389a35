"""Writes a run directory: settings, versions, metrics, episodes. Never overwritten; continued on resume."""

import csv
import io
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TextIO, cast

import numpy as np
import torch
from torch import Tensor

from agents.checkpoint import CheckpointError
from agents.loop import Status
from agents.machine import versions
from agents.settings.files import directory_name, write_yaml
from agents.settings.values import ConfigError
from rl.run.results import write_json

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

LATEST = 100  # episodes over which training returns are averaged, as everywhere in the field
SHIFT = "train/policy_shift_kl"  # a metric of which the largest value is recorded too


def create_run_directory(out: Path, env_id: str, agent: str, seed: int, settings: Mapping[str, object]) -> Path:
    """Creates `out/<env>/<agent>/<seed>-<time>/` with config.yaml and versions.json; returns it."""
    parent = out / directory_name(env_id) / directory_name(agent)
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    name = f"{seed}-{stamp}"
    for attempt in range(2, 1000):
        try:
            (parent / name).mkdir(parents=True)
            break
        except FileExistsError:
            name = f"{seed}-{stamp}-{attempt}"
    directory = parent / name
    write_yaml(directory / "config.yaml", settings)
    write_json(directory / "versions.json", versions())
    return directory


class Recorder:
    """A hook that writes metrics.csv, one row per `log_interval` updates, and episodes.csv, one row per episode.

    A metric is the mean over the row's updates in which it was measured; of the policy shift, the largest value is
    recorded too. rollout/* are means over the last 100 episodes. Wall-clock columns, time/*, come last. `solved_at` is
    the step at which the mean return of the last 100 episodes first reached the environment's reward threshold.
    """

    def __init__(self, directory: Path, log_interval: int, reward_threshold: float | None) -> None:
        self.interval, self._threshold = log_interval, reward_threshold
        self._returns: deque[float] = deque(maxlen=LATEST)
        self._lengths: deque[int] = deque(maxlen=LATEST)
        self._window: list[Tensor] = []
        self._names: list[str] = []
        self.solved_at: int | None = None
        self._lock = lock(directory)
        self._metrics = _Table(directory / "metrics.csv")
        self._episodes = _Table(directory / "episodes.csv")
        self._episodes.header(["step", "return", "length", "time/seconds"])

    @property
    def mean_return(self) -> float:
        """Over the last 100 episodes; NaN before the first ends."""
        return float(np.mean(self._returns)) if self._returns else float("nan")

    def __call__(self, status: Status) -> None:
        for episode in status.episodes:
            self._returns.append(episode.ret)
            self._lengths.append(episode.length)
            self._episodes.row([episode.step, episode.ret, episode.length, round(status.seconds, 3)])
            full = len(self._returns) == LATEST
            if self.solved_at is None and self._threshold is not None and full and self.mean_return >= self._threshold:
                self.solved_at = episode.step
        self._names = self._names or list(status.metrics)
        rows = torch.stack([metric.reshape(-1) for metric in status.metrics.values()], -1)
        self._window.append(rows.cpu())
        if status.iteration % self.interval == 0:
            self._write_row(status.step, status.iteration, status.seconds)

    def flush(self, step: int, iteration: int, seconds: float) -> None:
        """Writes a row for the updates since the last one. Called at the end of a run, after its checkpoint."""
        if self._window:
            self._write_row(step, iteration, seconds)

    def close(self) -> None:
        self._metrics.close()
        self._episodes.close()
        self._lock.close()

    def _write_row(self, step: int, iteration: int, seconds: float) -> None:
        window = torch.cat(self._window).double()
        row: dict[str, float | int] = {
            "step": step,
            "iteration": iteration,
            "rollout/ep_rew_mean": self.mean_return,
            "rollout/ep_len_mean": float(np.mean(self._lengths)) if self._lengths else float("nan"),
            **dict(zip(self._names, window.nanmean(0).tolist(), strict=True)),
        }
        if SHIFT in self._names:
            row[f"{SHIFT}_max"] = float(np.fmax.reduce(window[:, self._names.index(SHIFT)].numpy()))
        row |= {"time/seconds": round(seconds, 3), "time/steps_per_second": round(step / max(seconds, 1e-9), 1)}
        self._metrics.header(list(row))
        self._metrics.row(list(row.values()))
        self._window.clear()

    def state_dict(self) -> dict[str, object]:
        """Unwritten updates, latest episodes, and the length of each file."""
        return {
            "returns": list(self._returns),
            "lengths": list(self._lengths),
            "window": torch.cat(self._window) if self._window else None,
            "names": self._names,
            "solved_at": self.solved_at,
            "files": [self._metrics.size(), self._episodes.size()],
        }

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Continues from a checkpoint: truncates what the files hold beyond it, which the resumed run writes again."""
        self._returns.extend(cast("list[float]", state["returns"]))
        self._lengths.extend(cast("list[int]", state["lengths"]))
        window = cast("Tensor | None", state["window"])
        self._window = [] if window is None else [window]
        self._names = cast("list[str]", state["names"])
        self.solved_at = cast("int | None", state["solved_at"])
        for table, size in zip((self._metrics, self._episodes), cast("list[int]", state["files"]), strict=True):
            table.cut(size)


def lock(directory: Path) -> TextIO:
    """Locks a run directory while the file is open. Raises ConfigError if another process has locked it."""
    file = (directory / ".lock").open("w", encoding="utf-8")
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise ConfigError(f"another process is training in {directory}") from None
    return file


class _Table:
    """A CSV file that rows are appended to; numbers to nine significant digits, NaN as an empty cell."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO = path.open("a", encoding="utf-8", newline="")
        self._empty = path.stat().st_size == 0
        self._writer = csv.writer(self._file, lineterminator="\n")

    def header(self, columns: list[str]) -> None:
        """Written once, when the file is new."""
        if self._empty:
            self._writer.writerow(columns)
            self._empty = False

    def row(self, values: list[float | int]) -> None:
        self._writer.writerow([_cell(value) for value in values])

    def size(self) -> int:
        self._file.flush()
        return self._file.seek(0, io.SEEK_END)

    def cut(self, size: int) -> None:
        if self.size() < size:
            raise CheckpointError(f"{self._path} is shorter than when the checkpoint was written; the run cannot go on")
        self._file.truncate(size)
        self._file.seek(0, io.SEEK_END)
        self._empty = size == 0

    def close(self) -> None:
        self._file.close()


def _cell(value: float | int) -> str:
    if isinstance(value, int):
        return str(value)
    return "" if np.isnan(value) else f"{value:.9g}"
