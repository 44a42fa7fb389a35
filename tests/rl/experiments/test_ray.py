"""Runs on a Ray cluster with two raylets on this machine."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import pytest
from ray.cluster_utils import Cluster

import rl.run.summary
from agents import A2C, checkpoint
from agents.settings.recipes import recipe_file
from agents.settings.run import RunSettings
from agents.settings.values import ConfigError
from rl.experiments import parallel
from rl.experiments.executors.base import Job
from rl.experiments.executors.ray import Copy
from rl.experiments.executors.workplace import Workplace
from rl.experiments.parallel import finished, prepare, train_all
from rl.run.terminal import RunFailed
from rl.run.training import main
from tests.full_disk import full_disk
from tests.rl.experiments import peril
from tests.runs import table

SETTINGS = ["num_envs=2", "n_steps=4", "eval_episodes=1", "engine=torch", "checkpoint_interval=80"]
LINE = prepare("line", "a2c", "CartPole-v1", (A2C, RunSettings), recipe_file("CartPole-v1"), SETTINGS, "400")
SEEDS = range(13)


class Raylets(NamedTuple):
    cluster: Cluster
    marks: Path  # written by `peril`


@pytest.fixture(scope="module")
def raylets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Raylets]:
    with pytest.MonkeyPatch.context() as patch:
        marks = tmp_path_factory.mktemp("marks")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv(peril.MARKS, str(marks))
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        cluster.add_node(num_cpus=1)
        (marks / "head").write_text(cluster.head_node.node_id)
        os.mkfifo(marks / "pipe")
        yield Raylets(cluster, marks)
        cluster.shutdown()


@contextmanager
def once_asked(raylets: Raylets, do: Callable[[], object]) -> Iterator[None]:
    """Does it once `peril` asks for it."""

    def wait() -> None:
        (raylets.marks / "pipe").read_text()
        do()

    thread = Thread(target=wait, daemon=True)
    thread.start()
    yield
    thread.join()


@pytest.mark.slow
def test_runs_outlive_a_worker_a_raylet_a_poisoned_run_and_ctrl_c(
    raylets: Raylets, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(parallel, "train_command", peril.train)
    monkeypatch.setattr(rl.run.summary, "learning_curve", peril.no_figure)
    monkeypatch.chdir(tmp_path)
    cluster, marks = raylets
    out, where = Path("runs"), Workplace(2, address=cluster.address)
    (other,) = cluster.worker_nodes
    with (
        once_asked(raylets, lambda: cluster.remove_node(other, allow_graceful=False)),
        pytest.raises(RunFailed, match=r"^CartPole-v1, line, seed 99: WorkerCrashedError: [^;]*$"),
    ):
        train_all("CartPole-v1", [LINE], [*SEEDS[:-1], peril.POISONED], out, where)
    assert not [*out.glob(f"*/*/{peril.POISONED}-*")]
    assert not cluster.worker_nodes
    assert (marks / "worker").exists()
    finished_runs = times(out)
    (marks / "ctrl-c").touch()
    with once_asked(raylets, lambda: os.kill(os.getpid(), signal.SIGINT)), pytest.raises(KeyboardInterrupt):
        train_all("CartPole-v1", [LINE], SEEDS, out, where)
    assert "ending 1 Ray tasks, which save checkpoints; the same command goes on" in capsys.readouterr().out
    (interrupted,) = out.glob(f"*/*/{SEEDS[-1]}-*")
    assert checkpoint.newest(interrupted / "checkpoints").name == "step-000000000240.pt"
    (results,) = train_all("CartPole-v1", [LINE], SEEDS, out, where)
    assert len([*out.glob("*/*/*")]) == len(SEEDS)
    assert times(out).items() >= finished_runs.items(), "nothing is trained twice"
    for seed, run in zip(SEEDS, results, strict=True):
        assert main(["CartPole-v1", "--seed", str(seed), *LINE.arguments, "--out", "alone"]) == 0
        alone = finished("CartPole-v1", LINE, seed, Path("alone"))
        assert alone
        for name in ("episodes.csv", "metrics.csv"):
            assert table(run.directory / name) == table(alone.directory / name)
        assert (run.directory / "config.yaml").read_bytes() == (alone.directory / "config.yaml").read_bytes()
        assert run.summary["eval_mean"] == alone.summary["eval_mean"]
        assert files(run.directory) == files(alone.directory)


def files(directory: Path) -> list[str]:
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*"))


def times(out: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file() and path.name != ".lock"}


def job(out: Path, *files: str) -> Job:
    return Job(main, ["CartPole-v1"], out, lambda: None, files)


def test_the_driver_says_why_it_cannot_keep_a_run(tmp_path: Path) -> None:
    copy = Copy(job(tmp_path))
    copy.take("CartPole-v1/a2c/0-1", ({"config.yaml": (0, b"seed: 0\n")}, ["config.yaml"]))
    with full_disk():
        copy.take("CartPole-v1/a2c/0-1", ({"metrics.csv": (0, b"step\n")}, ["config.yaml", "metrics.csv"]))
    assert copy.problem is not None
    assert copy.problem.startswith("the driver cannot keep its run: [Errno 27] File too large: ")
    copy.close()


def test_two_new_runs_of_one_name_are_two_runs(tmp_path: Path) -> None:
    """Workers name runs by their own clocks, and each sees only its own run."""
    copies = [Copy(job(tmp_path)) for _ in range(2)]
    for i, copy in enumerate(copies):
        copy.take("CartPole-v1/a2c/0-1", ({"config.yaml": (0, b"%d" % i)}, ["config.yaml"]))
        copy.close()
    assert [(tmp_path / "CartPole-v1/a2c" / name / "config.yaml").read_text() for name in ("0-1", "0-1-2")] == [
        "0",
        "1",
    ]


def test_files_that_workers_cannot_find_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"workers cannot find \.\./teacher, .*: move it inside"):
        Copy(job(tmp_path, "../teacher")).parcel(job(tmp_path, "../teacher"))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("nowhere", "--address is auto or host:port of a Ray cluster, got 'nowhere'"),
        ("127.0.0.1:1", "--address 127.0.0.1:1: no Ray cluster answers there"),
    ],
)
def test_an_address_is_checked_before_anything_starts(address: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Workplace(address=address).open()
