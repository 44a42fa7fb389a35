"""MLflow: a database and files in the run's mlflow/ unless MLFLOW_TRACKING_URI names another store."""

import logging
import os
import time
from collections.abc import Mapping

from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from agents.settings.values import text_of
from rl.run.sinks.base import EVALUATIONS, ROWS, Described, Pixels, as_gif

logging.getLogger("mlflow").setLevel(logging.WARNING)  # keeps its messages out of our output

_NAME = "actor_critic.run"  # tag that identifies a run when it is resumed
_BATCH = 100  # settings per request
_METRICS = 1000  # metrics per request
_WAIT = 1.0  # seconds between requests: a request costs more than its rows
_LONGEST = 500  # characters per setting


class MLflow:
    """A resumed run continues the same MLflow run."""

    def __init__(self, run: Described) -> None:
        store, elsewhere = (run.directory / "mlflow").absolute(), os.environ.get("MLFLOW_TRACKING_URI")
        if elsewhere is None:
            store.mkdir(exist_ok=True)
        self._client = MlflowClient(elsewhere or f"sqlite:///{store / 'mlflow.db'}")
        known = self._client.get_experiment_by_name(run.env)
        files = None if elsewhere else (store / "files").as_uri()
        experiment = known.experiment_id if known else self._client.create_experiment(run.env, files)
        found = self._client.search_runs([experiment], f"tags.`{_NAME}` = '{run.name}'") if run.step else []
        self.held: dict[str, int] = {}
        self._waiting, self._sent = list[Metric](), 0.0
        if found:
            self._id = found[0].info.run_id
            histories = {tag: self._client.get_metric_history(self._id, tag) for tag in (ROWS, EVALUATIONS)}
            self.held = {tag: max(metric.step for metric in of) for tag, of in histories.items() if of}
        else:
            self._id = self._client.create_run(experiment, tags={_NAME: run.name}, run_name=run.name).info.run_id
            settings = [Param(name, text_of(value)[:_LONGEST]) for name, value in run.settings.items()]
            for i in range(0, len(settings), _BATCH):
                self._client.log_batch(self._id, params=settings[i : i + _BATCH])

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        now = int(1000 * time.time())
        self._waiting += [Metric(tag, value, now, step) for tag, value in scalars.items()]
        if len(self._waiting) >= _METRICS or time.monotonic() - self._sent > _WAIT:
            self._send()

    def _send(self) -> None:
        for i in range(0, len(self._waiting), _METRICS):
            self._client.log_batch(self._id, self._waiting[i : i + _METRICS])
        self._waiting, self._sent = [], time.monotonic()

    def show(self, step: int, tag: str, pixels: Pixels) -> None:
        if pixels.ndim == 3:
            self._client.log_image(self._id, pixels, key=tag.replace("/", "-"), step=step)
            return
        with as_gif(pixels) as file:
            named = file.rename(file.with_name(f"{tag.replace('/', '-')}-{step:012}.gif"))
            self._client.log_artifact(self._id, str(named), "films")

    def finish(self, summary: Mapping[str, float]) -> None:
        self.log(int(summary.get("total_timesteps", 0)), {f"final/{name}": value for name, value in summary.items()})
        self._send()
        self._client.set_terminated(self._id)

    def close(self) -> None:
        self._send()
