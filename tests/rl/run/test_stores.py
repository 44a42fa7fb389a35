"""Every sink's own store after two real kills and resumes: nothing is lost, nothing is duplicated.

Only in `make test-long`, which installs W&B, MLflow and trackio: a hundred packages.
"""

import os
import signal
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import pytest

from agents.training import Hook, Training
from rl.run.results import read_columns
from rl.run.training import main
from tests.runs import run_of

TAGS = ("train/entropy", "eval/mean_ep_length")
LOGS = ("tensorboard", "wandb", "mlflow", "trackio")
SETTINGS = [
    "CartPole-v1", "--engine", "torch", "--backend", "sync", "--num-envs", "2", "--n-steps", "5",
    "--log-interval", "10", "--total-timesteps", "3000", "--eval-interval", "500", "--checkpoint-interval", "400",
    "--set", "eval_episodes=1",
    "--set", "eval_interval_episodes=1", "--log", ",".join(LOGS),
]  # fmt: skip


class Kill(Hook):
    def __init__(self, step: int) -> None:
        self.step_interval = step

    def on_steps(self, training: Training) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def train_until_killed(argv: list[str], step: int) -> None:
    main(argv, [Kill(step)])


def killed(argv: list[str], step: int) -> None:
    process = get_context("spawn").Process(target=train_until_killed, args=(argv, step))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


@pytest.fixture(scope="module")
def run(long: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if not long:
        pytest.skip("make test-long runs it")
    folder = tmp_path_factory.mktemp("stores")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRACKIO_DIR", str(folder / "trackio"))
        patch.setenv("WANDB_MODE", "offline")
        killed([*SETTINGS, "--out", str(folder / "runs")], 1250)
        run = run_of(folder / "runs")
        killed(["--resume", str(run)], 2350)
        process = get_context("spawn").Process(target=main, args=(["--resume", str(run)],))
        process.start()
        process.join()
        assert process.exitcode == 0
        yield run


def steps_of(run: Path, name: str) -> list[int]:
    return [int(step) for step in read_columns(run / name)["step"]]


def check(run: Path, rows: list[int], evaluations: list[int]) -> None:
    assert steps_of(run, "metrics.csv") == [*range(100, 3001, 100)]
    assert rows == steps_of(run, "metrics.csv")
    assert evaluations == steps_of(run, "evaluations.csv") == [*range(500, 3001, 500)]


def test_tensorboard(run: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(run / "tensorboard"), {"scalars": 0})
    read.Reload()
    check(run, *([event.step for event in read.Scalars(tag)] for tag in TAGS))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # from MLflow's imports
def test_mlflow(run: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{run / 'mlflow' / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name = 'CartPole-v1'")
    (one,) = client.search_runs([experiment.experiment_id])
    check(
        run,
        *(sorted(metric.step for metric in client.get_metric_history(one.info.run_id, tag)) for tag in TAGS),
    )
    assert one.info.status == "FINISHED"


def test_trackio(run: Path) -> None:
    from trackio.sqlite_storage import SQLiteStorage

    rows = SQLiteStorage.get_logs("actor-critic", f"CartPole-v1/a2c/{run.name}")
    check(run, *(sorted(row["step"] for row in rows if tag in row) for tag in TAGS))


def test_wandb(run: Path) -> None:
    from rl.run.sinks.wandb import rows

    files = sorted((run / "wandb").glob("offline-run-*/*.wandb"))
    assert len(files) == 3
    found = [row for file in files for row in rows(file)]
    check(run, *([step for step, tags in found if tag in tags] for tag in TAGS))
