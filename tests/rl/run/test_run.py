"""What is saved when training fails, even if the run directory itself causes the failure."""

import math
import os
import shutil
from pathlib import Path

import pytest

import rl.run.run
import rl.train
from agents import A2C, checkpoint
from agents.checkpoints import Checkpoints
from agents.events import Status
from agents.training import Training
from rl.run import files, summary
from rl.run.run import ProgressBar
from tests.conftest import Command
from tests.runs import run_of

SHORT = ["--total-timesteps", "2000", "--num-envs", "2", "--set", "eval_episodes=2", "--engine", "torch"]


def test_checkpoints_are_ordered_by_step_beyond_twelve_digits(command: Command, tmp_path: Path) -> None:
    assert command(rl.train, "CartPole-v1", *SHORT, "--out", tmp_path)[0] == 0
    folder = run_of(tmp_path) / "checkpoints"
    agent = A2C.load(folder.parent)
    for file in folder.iterdir():
        file.unlink()
    for step in (9 * 10**11, 10**12, 10**12 + 1):
        agent.loop.step = step
        Checkpoints(folder.parent).save(agent)
    assert sorted(file.name for file in folder.iterdir()) == ["step-1000000000000.pt", "step-1000000000001.pt"]
    assert checkpoint.newest(folder).name == "step-1000000000001.pt"


def test_a_failure_whose_words_are_not_text(command: Command, tmp_path: Path) -> None:
    """A lone surrogate, as in a file name: checkpoint, report and message are written nevertheless."""
    status, _, err = command(rl.train, "tests.broken:Surrogate-v0", *SHORT, "--out", tmp_path)
    assert (status, err.count("\n")) == (1, 1)
    run = run_of(tmp_path)
    assert "kept a checkpoint at step 100;" in err
    assert f"traceback in {run / 'error.txt'}" in err
    assert checkpoint.newest(run / "checkpoints").name == "step-000000000100.pt"
    assert "no file \\udcff" in (run / "error.txt").read_text(encoding="utf-8")


def test_the_checkpoint_comes_before_the_report(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk_full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(rl.run.run, "write_text", disk_full)
    status, _, err = command(rl.train, "tests.broken:RaiseInStep-v0", *SHORT, "--out", tmp_path)
    assert (status, err.count("\n")) == (1, 1)
    assert "raised RuntimeError in step" in err
    assert "no traceback: [Errno 28] No space left on device" in err
    assert checkpoint.newest(run_of(tmp_path) / "checkpoints").name == "step-000000000100.pt"


@pytest.mark.parametrize("lost", ["metrics.csv", "."])
def test_files_deleted_in_mid_run(lost: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next checkpoint notices it: one line; the checkpoint is beside the run, whose folder is not made again."""

    def delete(bar: ProgressBar, training: Training, status: Status) -> None:
        if status.step == 600:
            run = run_of(tmp_path)
            shutil.rmtree(run) if lost == "." else (run / lost).unlink()

    monkeypatch.setattr(ProgressBar, "on_update", delete)
    monkeypatch.setattr(files, "_LAG", math.inf)  # otherwise earlier rows would notice it
    argv = ["CartPole-v1", *SHORT, "--set", "checkpoint_interval=1000", "--out", tmp_path]
    status, _, err = command(rl.train, *argv)
    assert (status, err.count("\n")) == (1, 1)
    assert "deleted or replaced while the run was writing it" in err
    (kept,) = (tmp_path / "CartPole-v1" / "a2c").glob("*.pt")
    assert f"kept a checkpoint at step 1,000 in {kept}" in err
    assert A2C.load(kept).loop.step == 1000
    assert (kept.parent / kept.name.removeprefix("CartPole-v1-a2c-")[:17]).exists() == (lost != ".")


def test_a_run_killed_while_its_figure_is_drawn_is_completed(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> Path:
        raise SystemExit("killed")

    with monkeypatch.context() as patch:
        patch.setattr(summary, "learning_curve", killed)
        with pytest.raises(SystemExit):
            rl.train.main(["CartPole-v1", *SHORT, "--out", str(tmp_path)])
    run = run_of(tmp_path)
    assert not (run / "summary.json").exists()
    settings = (run / "config.yaml").read_bytes()
    assert command(rl.train, "--resume", run)[0] == 0
    assert (run / "config.yaml").read_bytes() == settings, "in the same order"
    assert {"summary.json", "learning_curve.png"} <= set(os.listdir(run))
    status, _, err = command(rl.train, "--resume", run)
    assert (status, err.count("\n")) == (2, 1)
    (run / "learning_curve.png").unlink()
    assert command(rl.train, "--resume", run)[0] == 0, "what a run owes is derived again"
    assert (run / "learning_curve.png").exists()


def test_ctrl_c_in_an_import_of_the_figure_is_no_failure(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.11 turns it into RuntimeError during class creation."""

    def importing(*_: object) -> Path:
        raise RuntimeError("Error calling __set_name__") from KeyboardInterrupt()

    monkeypatch.setattr(summary, "learning_curve", importing)
    status, out, err = command(rl.train, "CartPole-v1", *SHORT, "--out", tmp_path / "my runs")
    assert (status, err) == (130, "")
    assert f"resume with: python -m rl.train --resume '{run_of(tmp_path / 'my runs')}'\n" in out
