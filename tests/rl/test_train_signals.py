"""`python -m rl.train` is killed or interrupted, at every stage."""

import os
import signal
from pathlib import Path
from signal import SIGINT, SIGTERM

import pytest
import torch

from agents import A2C, checkpoint
from tests.conftest import Command, Process, Start
from tests.rl.test_train import IN_EVALUATION, SHORT
from tests.runs import run_of, table


def step_of(file: Path) -> int:
    return int(file.stem.removeprefix("step-"))


def trained(process: Process, parent: Path) -> None:
    """Waits for a checkpoint after the first one."""
    process.wait_for("run  ")
    while not any(map(step_of, parent.glob("*/*/*/checkpoints/step-*.pt"))):
        assert process.poll() is None, process.communicate()
        os.sched_yield()


ENDLESS = ["--total-timesteps", "1000000000", "--set", "eval_episodes=2", "--set", "checkpoint_interval=2000"]


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "number", "expected"), [("torch", SIGINT, 130), ("fused", SIGTERM, 143)])
def test_ctrl_c_then_resume(
    train: Command, start: Start, engine: str, number: int, expected: int, tmp_path: Path
) -> None:
    """Exit status 130 or 143 and a checkpoint; then the same metrics and parameters as an undisturbed run."""
    process = start("rl.train", "CartPole-v1", *ENDLESS, "--engine", engine, "--out", tmp_path / "a")
    trained(process, tmp_path / "a")
    process.send_signal(number)
    out, err = process.communicate()
    assert (process.returncode, err) == (expected, "")
    run = run_of(tmp_path / "a")
    assert f"python -m rl.train --resume {run}" in out
    steps = str(step_of(checkpoint.newest(run / "checkpoints")) + 4_000)
    whole = [*ENDLESS, "--engine", engine, "--total-timesteps", steps]
    assert train("--resume", str(run), "--total-timesteps", steps)[0] == 0
    assert train("CartPole-v1", *whole, "--out", str(tmp_path / "b"))[0] == 0
    other = run_of(tmp_path / "b")
    for name in ("metrics.csv", "episodes.csv"):
        assert table(run / name) == table(other / name)
    states = [A2C.load(checkpoint.newest(directory / "checkpoints")).learner.state_dict() for directory in (run, other)]
    assert states[0]["policy"].keys() == states[1]["policy"].keys()
    for part in ("policy", "value"):
        for name, tensor in states[0][part].items():
            assert torch.equal(tensor, states[1][part][name])


@pytest.mark.slow
def test_kill_then_resume(train: Command, start: Start, tmp_path: Path) -> None:
    """A process killed at any moment leaves a checkpoint that resumes to the same metrics."""
    process = start("rl.train", "CartPole-v1", *ENDLESS, "--out", tmp_path / "a")
    trained(process, tmp_path / "a")
    process.kill()
    process.communicate()
    run = run_of(tmp_path / "a")
    steps = str(step_of(checkpoint.newest(run / "checkpoints")) + 4_000)
    assert train("--resume", str(run), "--total-timesteps", steps)[0] == 0
    assert train("CartPole-v1", *ENDLESS, "--total-timesteps", steps, "--out", str(tmp_path / "b"))[0] == 0
    for name in ("metrics.csv", "episodes.csv"):
        assert table(run / name) == table(run_of(tmp_path / "b") / name)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGALRM")
def test_ctrl_c_while_an_environment_hangs(start: Start, tmp_path: Path) -> None:
    process = start("rl.train", "tests.broken:Hang-v0", "--num-envs", 2, "--out", tmp_path)
    process.wait_for("hanging")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate()
    assert process.returncode == 130
    assert "interrupted at step" in out
    assert list(run_of(tmp_path).glob("checkpoints/step-*.pt"))


@pytest.mark.parametrize("module", ["rl.train", "rl.compare", "rl.information"])
def test_ctrl_c_while_a_command_imports(start: Start, module: str, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("import threading\nprint('importing', flush=True)\nthreading.Event().wait()\n")
    process = start(module, "CartPole-v1", PYTHONPATH=str(tmp_path))
    process.wait_for("importing")
    process.send_signal(signal.SIGINT)
    assert process.communicate() == ("", "interrupted\n")
    assert process.returncode == 130


ENDS = [(SIGINT, 130, "interrupted\n"), (SIGTERM, 143, "terminated\n")]


@pytest.mark.parametrize(("number", "expected", "words"), ENDS)
def test_a_signal_while_an_environment_is_built(
    number: int, expected: int, words: str, start: Start, tmp_path: Path
) -> None:
    """At once, in one line, with nothing written."""
    process = start("rl.train", "tests.broken:HangInInit-v0", "--num-envs", 2, "--out", tmp_path)
    process.wait_for("hanging")
    process.send_signal(number)
    _, err = process.communicate()
    assert (process.returncode, err) == (expected, words)
    assert not list(tmp_path.iterdir())


def test_ctrl_c_before_training_leaves_a_run_that_can_be_resumed(
    train: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        os.kill(os.getpid(), SIGTERM)

    with monkeypatch.context() as while_it_compiles:
        while_it_compiles.setattr(A2C, "compile", interrupt)
        status, out, err = train("CartPole-v1", *SHORT)
    assert (status, err) == (143, "")
    run = run_of(tmp_path)
    assert f"interrupted at step 0; resume with: python -m rl.train --resume {run}" in out
    assert train("--resume", str(run))[0] == 0


@pytest.mark.parametrize(("number", "expected", "words"), ENDS)
def test_a_signal_during_evaluation(number: int, expected: int, words: str, start: Start, tmp_path: Path) -> None:
    process = start("rl.train", "tests.broken:Hang-v0", *IN_EVALUATION, "--out", tmp_path)
    process.wait_for("trained  ")
    process.wait_for("hanging")
    process.send_signal(number)
    out, err = process.communicate()
    assert (process.returncode, err) == (expected, "")
    run = run_of(tmp_path)
    assert f"interrupted at step 40; resume with: python -m rl.train --resume {run}" in out
    assert checkpoint.newest(run / "checkpoints").name == "step-000000000040.pt"
    process = start("rl.evaluate", run)
    process.wait_for("hanging")
    process.send_signal(number)
    _, err = process.communicate()
    assert (process.returncode, err) == (expected, words)
