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


@pytest.mark.slow
def test_lines_side_by_side(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("n_steps: 5\nnum_envs: 8\n")
    lines = [
        "--line",
        "recipe",
        "--line",
        "slow",
        "learning_rate=1e-5",
        "--line",
        "from a file",
        str(other),
        "gamma=0.9",
    ]
    assert compare(monkeypatch, tmp_path, *ARGUMENTS, "--name", "rates", *lines) == 0
    written = json.loads((tmp_path / "results/CartPole-v1/rates.json").read_text())["lines"]
    assert [line["label"] for line in written] == ["recipe", "slow", "from a file"]
    assert [[run["seed"] for run in line["runs"]] for line in written] == [[0, 1]] * 3
    assert [line["settings"]["learning_rate"] for line in written] == [7e-4, 1e-5, 7e-4]
    assert [(line["settings"]["n_steps"], line["settings"]["num_envs"]) for line in written] == [
        (1, 16),
        (1, 16),
        (5, 8),
    ]
    table = (tmp_path / "results/CartPole-v1/rates.md").read_text().splitlines()
    assert (
        "Settings of all lines that differ from the defaults: `total_timesteps: 3000`, `eval_episodes: 2`." in table[2]
    )
    settings = [row.split(" | ")[1] for row in table if row.startswith("| ")][1:]
    recipe = "`rms_prop_eps: 0.001`, `critic_lr_scale: 3.0`, `normalize_observations: True`, `normalize_rewards: True`"
    assert settings[:2] == [f"`num_envs: 16`, {recipe}", f"`num_envs: 16`, `learning_rate: 1e-05`, {recipe}"]
    assert settings[2] == "`num_envs: 8`, `n_steps: 5`, `gamma: 0.9`"
    assert (tmp_path / "results/CartPole-v1/rates.png").stat().st_size > 20_000


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["CartPole-v1", "--line", "a", "--line", "a", "gamma=0.9"], "every --line needs a label of its own"),
        (["CartPole-v1", "--line", "a", "--line", "b", "gamma=0.99"], "every --line needs settings of its own"),
        (["CartPole-v1", "--line", "a", "gama=0.9"], "did you mean 'gamma'?"),
        (["CartPole-v1", "--line", "a", "x.yaml"], "cannot read x.yaml"),
        (["CartPole-v1", "--line", "a", "x.yaml", "y.yaml"], "--line a: one YAML file at most"),
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
