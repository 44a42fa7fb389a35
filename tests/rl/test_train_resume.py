"""`python -m rl.train --resume`: exact, or refused in one line."""

import json
from pathlib import Path

import pytest
import yaml

from tests.conftest import Command
from tests.rl.test_train import SHORT
from tests.runs import run_of, table


@pytest.mark.parametrize(("first", "second"), [("torch", "fused"), ("fused", "torch")])
def test_a_run_goes_on_under_the_other_engine(train: Command, first: str, second: str, tmp_path: Path) -> None:
    """Optimizer state, normalizers and environments carry over: one update later, nothing has jumped."""
    assert train("CartPole-v1", *SHORT, "--engine", first)[0] == 0
    run = run_of(tmp_path)
    assert train("--resume", str(run), "--total-timesteps", "4000", "--engine", second)[0] == 0
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    assert (summary["engine"], summary["total_timesteps"]) == (second, 4000)
    assert yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))["engine"] == second
    assert train("CartPole-v1", "--total-timesteps", "4000", "--set", "eval_episodes=2", "--engine", first,
                   "--out", str(tmp_path / "whole"))[0] == 0  # fmt: skip
    rows, whole = (table(path / "metrics.csv") for path in (run, run_of(tmp_path / "whole")))
    assert [row[0] for row in rows] == [row[0] for row in whole]
    mean = rows[0].index("rollout/ep_rew_mean")
    assert float(rows[-1][mean]) == pytest.approx(float(whole[-1][mean]), rel=0.3)


@pytest.mark.slow
def test_resume_gives_the_same_metrics(train: Command, tmp_path: Path) -> None:
    """50,000 steps, a stop, and a resume to 100,000 give the same files as 100,000 steps at once."""
    few = ["--set", "eval_episodes=2", "--set", "log_interval=64"]
    assert train("CartPole-v1", "--total-timesteps", "100000", *few, "--out", str(tmp_path / "a"))[0] == 0
    assert train("CartPole-v1", "--total-timesteps", "50000", *few, "--out", str(tmp_path / "b"))[0] == 0
    run = run_of(tmp_path / "b")
    assert train("--resume", str(run), "--total-timesteps", "100000")[0] == 0
    for name in ("metrics.csv", "episodes.csv"):
        assert table(run_of(tmp_path / "a") / name) == table(run / name)


def test_resume_refuses_other_settings(train: Command, tmp_path: Path) -> None:
    assert train("CartPole-v1", *SHORT)[0] == 0
    run = str(run_of(tmp_path))
    for argv, words in (
        (["--resume", run, "--seed", "1"], "--resume uses the run's own settings"),
        (["--resume", run], "has 2,000 steps already"),
        (["--resume", run, "--out", "x"], "--resume uses the run's own settings"),
        (["Acrobot-v1", "--resume", run], "is a run of CartPole-v1"),
    ):
        status, _, err = train(*argv)
        assert (status, err.count("\n")) == (2, 1)
        assert words in err
    checkpoint = sorted(Path(run).glob("checkpoints/*.pt"))[-1]
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    status, _, err = train("--resume", run, "--total-timesteps", "4000")
    assert (status, err.count("\n")) == (2, 1)
    assert "not a readable checkpoint" in err


@pytest.mark.parametrize(
    ("env_id", "resume", "inexact"), [("LunarLander-v3", "replay", 0), ("tests.odd:Opaque-v0", "new episodes", 1)]
)
def test_a_run_says_how_it_resumes(env_id: str, resume: str, inexact: int, train: Command, tmp_path: Path) -> None:
    """At the start if it cannot resume exactly, and in the summary; a later resume keeps the count of earlier ones."""
    few = ["--total-timesteps", "64", "--set", "eval_episodes=2"]
    out = train(env_id, *few)[1]
    run = run_of(tmp_path)
    for total in ("96", "128"):
        assert ("if interrupted, this run resumes in new episodes" in out) == bool(inexact)
        summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
        assert (summary["resume"], summary["inexact_resumes"]) == (resume, inexact * (total == "128"))
        out = train("--resume", str(run), "--total-timesteps", total)[1]
        assert ("could not be restored: they begin new episodes" in out) == bool(inexact)
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    assert summary["inexact_resumes"] == 2 * inexact


def test_resume_after_the_last_step_makes_the_summary(train: Command, tmp_path: Path) -> None:
    """As after a crash during the evaluation: same summary and same last row."""
    assert train("CartPole-v1", *SHORT)[0] == 0
    run = run_of(tmp_path)
    metrics, summary = table(run / "metrics.csv"), json.loads((run / "summary.json").read_text())
    (run / "summary.json").unlink()
    assert train("--resume", str(run))[0] == 0
    assert table(run / "metrics.csv") == metrics
    again = json.loads((run / "summary.json").read_text())
    assert {**again, "wall_seconds": 0} == {**summary, "wall_seconds": 0}


def test_resume_refuses_fewer_steps_than_were_done(train: Command, tmp_path: Path) -> None:
    """Even if the evaluation was interrupted, so that there is no summary; the run does not change."""
    assert train("CartPole-v1", *SHORT)[0] == 0
    run = run_of(tmp_path)
    (run / "summary.json").unlink()
    config = (run / "config.yaml").read_text()
    status, out, err = train("--resume", str(run), "--total-timesteps", "5")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "has 2,000 steps already; give a larger --total-timesteps" in err
    assert (run / "config.yaml").read_text() == config
    assert train("--resume", str(run), "--total-timesteps", "2000")[0] == 0
    assert (run / "summary.json").exists()


def test_resume_refuses_a_config_that_was_edited(train: Command, tmp_path: Path) -> None:
    assert train("CartPole-v1", *SHORT)[0] == 0
    file = run_of(tmp_path) / "config.yaml"
    file.write_text(file.read_text().replace("gamma: 0.99", "gamma: 0.9"))
    status, _, err = train("--resume", str(file.parent), "--total-timesteps", "4000")
    assert (status, err.count("\n")) == (2, 1)
    assert "gamma is not what the run was trained with" in err


def test_a_run_older_than_a_setting_goes_on_with_its_default(train: Command, tmp_path: Path) -> None:
    assert train("CartPole-v1", *SHORT, "--set", "n_steps=2")[0] == 0
    file = run_of(tmp_path) / "config.yaml"
    settings = yaml.safe_load(file.read_text())
    for newer in ("frame_stack", "reward_clip", "log_interval"):
        del settings[newer]
    file.write_text(yaml.safe_dump(settings))
    assert train("--resume", str(file.parent), "--total-timesteps", "4000")[0] == 0
    del settings["n_steps"]
    file.write_text(yaml.safe_dump(settings))
    status, _, err = train("--resume", str(file.parent), "--total-timesteps", "6000")
    assert status == 2
    assert "n_steps is not what the run was trained with" in err


def test_resume_refuses_a_run_whose_episodes_are_missing(train: Command, tmp_path: Path) -> None:
    """A new, empty table was left behind, as if no episode had ended."""
    assert train("CartPole-v1", *SHORT)[0] == 0
    run = run_of(tmp_path)
    (run / "episodes.csv").unlink()
    status, _, err = train("--resume", str(run), "--total-timesteps", "3000")
    assert (status, err.count("\n")) == (2, 1)
    assert "episodes.csv is missing, so the run cannot go on" in err
    assert not (run / "episodes.csv").exists()
