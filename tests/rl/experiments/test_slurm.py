"""SLURM jobs, with submitit's local executor."""

import os
import signal
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
import submitit
from submitit.core.utils import FailedJobError

import rl.run.parts
from agents import A2C
from agents.hooks import Checkpoints, Status, Training
from agents.settings.recipes import recipe_file
from agents.settings.run import RunSettings
from agents.settings.values import ConfigError
from rl.experiments.executors.base import Job, WorkerLost
from rl.experiments.executors.slurm import Slurm, parameters_of
from rl.experiments.executors.workplace import Workplace
from rl.experiments.parallel import _unfinished, finished, prepare
from rl.run.terminal import RunFailed
from rl.train import main

SETTINGS = ["num_envs=2", "n_steps=4", "eval_episodes=1", "engine=torch", "checkpoint_interval=80"]
LINE = prepare("line", "a2c", "CartPole-v1", (A2C, RunSettings), recipe_file("CartPole-v1"), SETTINGS, "400")


class Preempted(Checkpoints):
    """Checkpoints of a run that receives SLURM's signal once, between two checkpoints."""

    def on_update(self, training: Training, status: Status) -> None:
        mark = self.directory.parent / "preempted"
        if status.step == 200 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGUSR2)


def train_preempted(argv: list[str]) -> int:
    rl.run.parts.Checkpoints = Preempted  # type: ignore[misc]  # inside the job's process
    return main(argv)


@pytest.mark.slow
def test_a_preempted_job_goes_on_and_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    argv = ["CartPole-v1", "--seed", "3", *LINE.arguments]
    find = partial(_unfinished, "CartPole-v1", LINE, 3, tmp_path)
    with closing(Slurm(1, {"timeout_min": 60}, "local")) as executor:
        executor.run(Job(train_preempted, argv, tmp_path, find))
    assert main([*argv, "--out", str(tmp_path / "alone")]) == 0
    run, alone = (finished("CartPole-v1", LINE, 3, out) for out in (tmp_path, tmp_path / "alone"))
    assert run
    assert alone
    assert "interrupted at step 200" in "".join(file.read_text() for file in tmp_path.glob("slurm/*.out"))
    assert run.summary["eval_mean"] == alone.summary["eval_mean"]
    ours, theirs = run.episodes(), alone.episodes()
    for name in ("step", "return", "length"):
        assert ours[name].tolist() == theirs[name].tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("partition", "--slurm takes sbatch options such as partition=cpu,time=120, not 'partition'"),
        ("partitio=x", "not 'partitio=x'; did you mean 'partition'"),
        ("time=1:00", "time is a whole number of minutes"),
        ("partition=cpu", "there is no sbatch here"),
    ],
)
def test_options_are_checked_before_anything_starts(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Workplace(slurm=text).open()


def test_options_of_sbatch_reach_submitit() -> None:
    assert parameters_of("partition=cpu,time=90,mem=4GB", 2, 1) == {
        "name": "actor-critic", "cpus_per_task": 2, "gpus_per_node": 1, "slurm_partition": "cpu", "timeout_min": 90,
        "slurm_mem": "4GB",
    }  # fmt: skip


def test_options_with_leading_zeros_stay_text() -> None:
    assert parameters_of("account=0012,nodes=12,time=090", 1, 0) == {
        "name": "actor-critic", "cpus_per_task": 1, "gpus_per_node": 0, "slurm_account": "0012", "slurm_nodes": 12,
        "timeout_min": 90,
    }  # fmt: skip


def break_down(argv: list[str], hooks: object = ()) -> int:
    raise ZeroDivisionError("a bug in the environment")


def test_a_job_that_raises_is_a_failure_and_not_a_lost_worker(tmp_path: Path) -> None:
    job = Job(break_down, [], tmp_path, lambda: None)
    with (
        closing(Slurm(1, {"timeout_min": 60}, "local")) as executor,
        pytest.raises(RunFailed, match="ZeroDivisionError: a bug in the environment; see ") as caught,
    ):
        executor.run(job)
    assert not isinstance(caught.value, WorkerLost)


def test_a_refusal_of_sbatch_fails_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object) -> None:
        raise FailedJobError("error: invalid partition specified: nowhere")

    monkeypatch.setattr(submitit.AutoExecutor, "submit", refuse)
    with (
        closing(Slurm(1, {"timeout_min": 60}, "local")) as executor,
        pytest.raises(RunFailed, match="invalid partition specified: nowhere"),
    ):
        executor.run(Job(break_down, [], tmp_path, lambda: None))
