"""Writes a run directory: settings, versions, metrics, episodes. Never overwritten; continued on resume."""

from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from agents.loop import Status
from agents.machine import versions
from agents.settings.files import directory_name, write_yaml
from envs import saved
from rl.run.files import Table, lock
from rl.run.results import write_json

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
        self._lock, self._summary = lock(directory), directory / "summary.json"
        self._metrics = Table(directory / "metrics.csv")
        self._episodes = Table(directory / "episodes.csv")
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
        """Closes the files, all of them even if the last rows of one cannot be written."""
        with ExitStack() as stack:
            for file in (self._lock, self._episodes, self._metrics):
                stack.callback(file.close)

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
        """Continues from a checkpoint: truncates what the files hold beyond it, which the resumed run writes again.

        Deletes the summary, which no longer describes the files. Raises Misfit or CheckpointError, with every file as
        it was, if the state is not that of these files.
        """
        given = saved.mapping(state, "recorder", self.state_dict())
        returns = [saved.number(x, "returns") for x in saved.sequence(given["returns"], "returns")]
        lengths = [saved.whole(x, "lengths") for x in saved.sequence(given["lengths"], "lengths", len(returns))]
        names = [saved.text(name, "names") for name in saved.sequence(given["names"], "names")]
        window, solved_at = given["window"], given["solved_at"]
        if window is not None:  # NaN: not measured in this update
            dtype = window.dtype if isinstance(window, Tensor) and window.is_floating_point() else torch.float32
            window = saved.tensor_with_nan(window, "window", dtype, (None, len(names)))
        tables = (self._metrics, self._episodes)
        sizes = [saved.whole(x, "files") for x in saved.sequence(given["files"], "files", len(tables))]
        for table, size in zip(tables, sizes, strict=True):
            table.check_size(size)
        self.solved_at = None if solved_at is None else saved.whole(solved_at, "solved_at")
        self._returns.extend(returns)
        self._lengths.extend(lengths)
        self._window, self._names = [] if window is None else [window], names
        self._summary.unlink(missing_ok=True)
        for table, size in zip(tables, sizes, strict=True):
            table.cut(size)
