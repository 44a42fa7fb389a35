"""Writes a run directory: settings, versions, metrics, episodes. Never overwrites one; a resumed run appends."""

import math
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from tqdm import tqdm

from agents.checkpoint import CheckpointError
from agents.evaluation import summarize
from agents.events import Evaluated, Log
from agents.logger import LATEST, Logger
from agents.machine import versions
from agents.rollout import Episode
from agents.settings.files import directory_name, write_yaml
from agents.training import Hook, Training
from envs import saved
from rl.run.files import Table, lock
from rl.run.results import write_json


def create_run_directory(out: Path, env_id: str, agent: str, seed: int, settings: Mapping[str, object]) -> Path:
    """Creates `out/<env>/<agent>/<seed>-<time>/` with config.yaml and versions.json; returns it."""
    parent = out / directory_name(env_id) / directory_name(agent)
    directory = new_directory(parent / f"{seed}-{datetime.now().strftime('%Y%m%d-%H%M%S')}")
    write_yaml(directory / "config.yaml", settings)
    write_json(directory / "versions.json", versions())
    return directory


def new_directory(path: Path) -> Path:
    """Creates the directory, or `path`-2, `path`-3, … if it exists; returns it."""
    directory = path
    for attempt in range(2, 1000):
        try:
            directory.mkdir(parents=True)
            break
        except FileExistsError:
            directory = path.with_name(f"{path.name}-{attempt}")
    return directory


class Follower(Hook):
    """Replaces the recorder on ranks that record nothing; handles the same events."""

    defers_log = True

    def on_log(self, training: Training, log: Log) -> None: ...
    def close(self) -> None: ...

    def state_dict(self) -> dict[str, object]:
        return {}


class Recorder(Hook):
    """Writes metrics.csv, one row per `log_interval` updates; episodes.csv, one row per episode; and evaluations.csv,
    one row per evaluation during training.

    A metric is the mean over those of the row's updates that measured it; for the policy shift, the largest value is
    recorded too. The first row decides the columns. rollout/* are means over the last 100 episodes. Wall-clock columns,
    time/*, come last. `solved_at` is the step at which the mean return of the last 100 episodes first reached the
    environment's reward threshold.
    """

    defers_log = True

    def __init__(
        self, directory: Path, logger: Logger, reward_threshold: float | None, evaluates: bool = False
    ) -> None:
        """logger: the training loop's. evaluates: whether there are evaluations during training."""
        self.logger, self._threshold = logger, reward_threshold
        self.solved_at: int | None = None
        self._directory, self._lock = directory, lock(directory)
        self._metrics = Table(directory / "metrics.csv")
        self._episodes = Table(directory / "episodes.csv")
        self._episodes.header(["step", "return", "length", "time/seconds"])
        self._evaluations = Table(directory / "evaluations.csv") if evaluates else None
        self._late = list[str]()  # metrics that metrics.csv has no column for

    @property
    def _tables(self) -> list[Table]:
        return [table for table in (self._metrics, self._episodes, self._evaluations) if table is not None]

    def on_episode(self, training: Training, episode: Episode) -> None:
        self._episodes.row([episode.step, episode.ret, episode.length, round(training.seconds, 3)])
        full = len(self.logger.returns) == LATEST
        if self.solved_at is None and self._threshold is not None and full:
            self.solved_at = episode.step if self.logger.mean_return >= self._threshold else None

    def on_log(self, training: Training, log: Log) -> None:
        self._write_row(log.step, log.iteration, log.scalars)

    def on_evaluation(self, training: Training, evaluated: Evaluated) -> None:
        if self._evaluations is not None:
            row = {"step": evaluated.step, **summarize(evaluated.deterministic, evaluated.stochastic)}
            row["eval_length"] = float(evaluated.deterministic.lengths.mean())
            row["time/seconds"] = round(evaluated.seconds, 3)
            self._evaluations.header(list(row))
            self._evaluations.row(list(row.values()))

    def flush(self, step: int, iteration: int, seconds: float) -> None:
        """Writes a row for the updates since the last row. Called at the end of a run, after its checkpoint."""
        if self.logger.pending:
            self._write_row(step, iteration, self.logger.row(step, seconds))

    def _write_row(self, step: int, iteration: int, scalars: Mapping[str, float]) -> None:
        row = {"step": step, "iteration": iteration, **scalars}
        self._metrics.header([*row])
        columns = self._metrics.columns
        if late := [name for name in row if name not in {*columns, *self._late}]:
            self._late += late
            tqdm.write(f"note: metrics.csv leaves out {', '.join(late)}: its columns are those of its first row")
        self._metrics.row([row.get(name, math.nan) for name in columns])

    def close(self) -> None:
        """Closes all files, even if the last rows of one cannot be written."""
        with ExitStack() as stack:
            stack.callback(self._lock.close)
            for table in self._tables:
                stack.callback(table.close)

    def state_dict(self) -> dict[str, object]:
        """The logger's state, and the length of each file."""
        sizes = [table.size() for table in self._tables]
        return {**self.logger.state_dict(), "solved_at": self.solved_at, "files": sizes}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Restores a checkpoint's state: truncates the files to their length at the checkpoint.

        Deletes the summary, which no longer describes the files, and the report of an earlier failure. Raises Misfit or
        CheckpointError, and leaves every file unchanged, if the state does not match the files.
        """
        given = saved.mapping(state, "recorder", self.state_dict())
        solved_at, files = given.pop("solved_at"), given.pop("files")
        tables = self._tables
        sizes = [saved.whole(x, "files") for x in saved.sequence(files, "files", len(tables))]
        try:
            for table, size in zip(tables, sizes, strict=True):
                table.check_size(size)
        except CheckpointError:
            for table in tables:
                table.discard()
            raise
        self.solved_at = None if solved_at is None else saved.whole(solved_at, "solved_at")
        self.logger.load_state_dict(given)
        for outdated in ("summary.json", "error.txt"):
            (self._directory / outdated).unlink(missing_ok=True)
        for table, size in zip(tables, sizes, strict=True):
            table.cut(size)
