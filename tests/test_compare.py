"""`python -m rl.compare`: many seeds, taken up where they were left."""

import json
import sys
from pathlib import Path

import pytest

import rl.command
import rl.compare

ARGUMENTS = ["CartPole-v1", "--seeds", "0-1", "--total-timesteps", "3000", "--set", "eval_episodes=2"]


def compare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *argv: str) -> int:
    where = ["--out", str(tmp_path / "runs"), "--results", str(tmp_path / "results")]
    monkeypatch.setattr(sys, "argv", ["rl.compare", *argv, *where])
    with pytest.raises(SystemExit) as exit_:
        rl.command.run(rl.compare.main)
    return int(exit_.value.code or 0)


@pytest.mark.slow
def test_table_and_reuse(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(monkeypatch, tmp_path, *ARGUMENTS) == 0
    table = (tmp_path / "results/CartPole-v1/a2c.md").read_text()
    assert table in capsys.readouterr().out
    assert "| 0 | " in table
    assert "| 1 | " in table
    assert "at least 475 in" in table
    runs = sorted((tmp_path / "runs").glob("*/*/*"))
    summaries = [json.loads((run / "summary.json").read_text()) for run in runs]
    written = json.loads((tmp_path / "results/CartPole-v1/a2c.json").read_text())
    assert written["runs"] == summaries
    assert (tmp_path / "results/CartPole-v1/a2c.png").stat().st_size > 10_000

    assert compare(monkeypatch, tmp_path, *ARGUMENTS) == 0
    assert sorted((tmp_path / "runs").glob("*/*/*")) == runs, "finished runs are not run again"

    (runs[1] / "summary.json").unlink()
    for checkpoint in (runs[1] / "checkpoints").glob("*.pt"):
        checkpoint.unlink()
    assert compare(monkeypatch, tmp_path, *ARGUMENTS) == 0
    assert len(list((tmp_path / "runs").glob("*/*/*"))) == 3, "one without a checkpoint begins anew"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["CartPole-v9"], "did you mean 'CartPole-v1'?"),
        (["CartPole-v1", "--seeds", "0-"], "--seeds takes a range"),
        (["CartPole-v1", "--jobs", "x"], "--jobs must be a whole number"),
        (["CartPole-v1", "--set", "gama=1"], "did you mean 'gamma'?"),
    ],
)
def test_usage_errors(
    argv: list[str], words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(monkeypatch, tmp_path, *argv) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert words in err
    assert not list(tmp_path.iterdir())
