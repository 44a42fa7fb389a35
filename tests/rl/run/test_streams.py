"""A command never fails because of its output: any encoding, closed streams, a reader that has ended."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.runs import run_of

TRAIN = [sys.executable, "-m", "rl.train", "CartPole-v1", "--total-timesteps", "2000", "--set", "eval_episodes=2",
         "--out"]  # fmt: skip


def shell(text: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Runs the command with this redirection in a shell."""
    argv = ["bash", "-c", f'"$@" {text}', "bash", *TRAIN, str(tmp_path)]
    return subprocess.run(argv, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_an_encoding_without_arrows(encoding: str, tmp_path: Path) -> None:
    done = shell("", tmp_path, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"float32) \\u2192 Discrete(2)" in done.stdout
    assert (run_of(tmp_path) / "summary.json").exists()


@pytest.mark.slow
def test_an_environment_that_closes_standard_output(tmp_path: Path) -> None:
    """It ended the command with a traceback after training, without an evaluation."""
    argv = [*TRAIN[:3], "tests.broken:ClosesOutput", *TRAIN[4:], str(tmp_path)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"written to" in done.stdout
    assert (run_of(tmp_path) / "summary.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("redirection", [">&-", "<&- >&- 2>&-", ">/dev/full 2>/dev/full", "| true"])
def test_streams_that_take_nothing(redirection: str, tmp_path: Path) -> None:
    """The run is complete; its files contain rows and no output."""
    done = shell(f"{redirection}; exit ${{PIPESTATUS[0]}}", tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    run = run_of(tmp_path)
    assert (run / "summary.json").exists()
    for name in ("metrics.csv", "episodes.csv"):
        lines = (run / name).read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith("step,")
        assert all(line[0].isdigit() for line in lines[1:])


def test_a_mistake_has_its_status_without_streams(tmp_path: Path) -> None:
    assert shell("--seed x <&- >&- 2>&-", tmp_path).returncode == 2
