"""`python -m rl.train`: its run directory, its exit statuses, and its failures."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import rl.evaluate
import rl.train
from agents import checkpoint
from agents.logger import Logger
from rl.run.recorder import Recorder
from tests import ROOT
from tests.conftest import Command
from tests.full_disk import full_disk
from tests.runs import run_of, table

SHORT = ["--total-timesteps", "2000", "--set", "eval_episodes=2"]
IN_EVALUATION = ["--num-envs", "1", "--total-timesteps", "40", "--set", "eval_episodes=120", "--engine", "torch"]
"""Environments of `tests.broken` are sound for 50 steps; each of 20 plays six episodes of 10 steps in evaluation."""


def test_run_directory(train: Command, tmp_path: Path) -> None:
    status, out, err = train("CartPole-v1", "--seed", "3", *SHORT, "--set", "learning_rate=1e-3")
    assert (status, err) == (0, "")
    run = run_of(tmp_path)
    assert {path.name for path in run.iterdir()} - {".lock"} == {
        "config.yaml", "versions.json", "metrics.csv", "episodes.csv", "checkpoints", "summary.json",
        "learning_curve.png",
    }  # fmt: skip
    summary = json.loads((run / "summary.json").read_text())
    assert summary.keys() >= {
        "env", "agent", "engine", "seed", "total_timesteps", "wall_seconds", "steps_per_second", "solved_at",
        "eval_mean", "eval_std", "eval_episodes", "eval_stochastic_mean", "eval_stochastic_std",
    }  # fmt: skip
    assert (summary["env"], summary["seed"], summary["total_timesteps"]) == ("CartPole-v1", 3, 2000)
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert (config["learning_rate"], config["n_steps"], config["total_timesteps"]) == (1e-3, 1, 2000)
    for word in ("CartPole-v1", "Discrete(2)", "RMSprop", "fused", "native", "thread", "seed", str(run)):
        assert word in out
    rows = table(run / "episodes.csv")
    assert rows[0] == ["step", "return", "length"]
    assert all(row[1] == row[2] for row in rows[1:]), "CartPole pays 1 a step"
    assert table(run / "metrics.csv")[-1][0] == "2000"


def test_the_header_says_why_auto_is_not_fused(train: Command) -> None:
    _, out, _ = train("CartPole-v1", *SHORT, "--total-timesteps", "16", "--set", "threads=2")
    assert "torch" in out
    assert "not fused: it runs on one thread, threads is 2" in out


def test_fused_is_refused_where_it_does_not_fit(train: Command) -> None:
    status, _, err = train("CartPole-v1", *SHORT, "--engine", "fused", "--set", "threads=2")
    assert (status, err.count("\n")) == (2, 1)
    assert "fused does not fit: it runs on one thread" in err


def test_an_id_without_a_version_has_its_recipe(train: Command, tmp_path: Path) -> None:
    status, out, err = train("CartPole", *SHORT)
    assert (status, err) == (0, "")
    assert "environment  CartPole-v1, 16 in parallel (native)" in out
    assert "configs/CartPole-v1.yaml" in out
    assert run_of(tmp_path).parts[-3] == "CartPole-v1"


def test_the_final_evaluation_is_bounded(train: Command, command: Command, tmp_path: Path) -> None:
    endless = ["tests.toys:Counter", "--set", "env_kwargs={length: null}", "--total-timesteps", "80"]
    status, out, _ = train(*endless, "--set", "eval_episodes=2", "--set", "eval_max_steps=10")
    assert status == 0
    assert "eval_max_steps=10: evaluation cuts off each of 4 episodes after 5 steps, unless it ends" in out
    assert json.loads((run_of(tmp_path) / "summary.json").read_text())["eval_cut"] == 4
    assert command(rl.evaluate, run_of(tmp_path))[1].count("; 2 cut off after 5 steps)") == 2


def test_same_seed_same_bytes(train: Command, tmp_path: Path) -> None:
    metrics = []
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        status, _, _ = train("CartPole-v1", "--seed", seed, *SHORT, "--out", str(tmp_path / name))
        assert status == 0
    metrics = [table(run_of(tmp_path / name) / "metrics.csv") for name in "abc"]
    assert metrics[0] == metrics[1] != metrics[2]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["CartPole-v9"], "unknown environment 'CartPole-v9'; did you mean 'CartPole-v1'?"),
        (["cartpole"], "did you mean 'CartPole-v1'?"),
        (["no_such_module:Env-v0"], "cannot import 'no_such_module'"),
        (["CartPole-v1", "--set", "learnin_rate=1"], "unknown setting 'learnin_rate'; did you mean 'learning_rate'?"),
        (["CartPole-v1", "--set", "n_steps=many"], "n_steps must be a whole number, got 'many'"),
        (["CartPole-v1", "--set", "n_steps"], "--set takes key=value"),
        (["CartPole-v1", "--set", "gamma=2"], "gamma must lie between 0 and 1"),
        (["CartPole-v1", "--total-timesteps", "0"], "total_timesteps must be at least 1"),
        (["CartPole-v1", "--total-timesteps", "3"], "less than one step of every environment"),
        (["CartPole-v1", ""], "unrecognized arguments"),
        (["CartPole-v1", "--set", "net_arch=[1e15]"], "net_arch must be a list, each item at most 65,536"),
        (["CartPole-v1", "--sed", "1"], "did you mean '--seed'?"),
        (["CartPole-v1", "--engine", "warp"], "--engine: engine must be one of auto, torch, fused, got 'warp'"),
        (["CartPole-v1", "--gama", "0.98"], "unrecognized arguments: --gama 0.98; did you mean '--gamma'?"),
        (["CartPole-v1", "--lr=1e-3"], "did you mean '--learning-rate'?"),
        (["CartPole-v1", "--gamma", "2"], "gamma must lie between 0 and 1"),
        (["CartPole-v1", "--gamma"], "argument --gamma: expected one argument"),
        (
            ["--normalize-observations", "CartPole-v1"],
            "name an environment, such as CartPole-v1: python -m rl.train CartPole-v1; in '--normalize-observations "
            "CartPole-v1' it is taken for the flag's value, so put it first",
        ),
        (["CartPole-v1", "--config", "missing.yaml"], "cannot read missing.yaml"),
        (["CartPole-v1", "--config", "broken.yaml"], "broken.yaml is not YAML"),
        (["CartPole-v1", "--config", "list.yaml"], "must contain settings"),
        (["CartPole-v1", "--config", "other.yaml"], "its env is not CartPole-v1"),
        (["CartPole-v1", "--config", "other.yaml", "--agent", "ppo"], "its env is not CartPole-v1"),
        (["tests.broken:TextSpace-v0"], "Text observations in its part ['note']"),
        ([], "name an environment"),
        (["Blackjack-v1", "--set", "use_sde=true"], "use_sde is for Box actions"),
        (["--resume", "nowhere"], "cannot read nowhere/config.yaml"),
    ],
)  # fmt: skip
def test_usage_errors(
    argv: list[str], words: str, train: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit status 2, one line, and nothing written."""
    monkeypatch.chdir(tmp_path)
    Path("broken.yaml").write_text("gamma: [0.9\nlr: 1")
    Path("list.yaml").write_text("- 1\n- 2\n")
    Path("other.yaml").write_text("env: Acrobot-v1\nppo: {gamma: 0.6}\n")
    status, out, err = train(*argv)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("error: ")
    assert words in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.yaml", "list.yaml", "other.yaml"]


@pytest.mark.parametrize(
    ("env_id", "words"),
    [
        ("tests.broken:NanReward-v0", "non-finite reward"),
        ("tests.broken:RaiseInStep-v0", "raised RuntimeError in step"),
    ],
)
def test_a_failing_environment(env_id: str, words: str, train: Command, tmp_path: Path) -> None:
    """Exit status 1, one line, and what was learned is saved."""
    status, _, err = train(env_id, *SHORT, "--num-envs", "2")
    assert (status, err.count("\n")) == (1, 1)
    assert words in err
    run = run_of(tmp_path)
    assert (run / "error.txt").is_file()
    assert list(run.glob("checkpoints/step-*.pt"))
    assert not (run / "summary.json").exists()


def test_an_environment_without_a_time_limit_is_announced(train: Command) -> None:
    words = "no time limit: evaluation cuts off each of 4 episodes after 30,000 steps"
    endless, limited = ("tests.broken:Exit-v0", "CartPole-v1")
    assert words in train(endless, *SHORT)[1]
    assert words not in train(limited, *SHORT)[1]


def test_a_failure_in_evaluation_loses_nothing(train: Command, tmp_path: Path) -> None:
    status, _, err = train("tests.broken:RaiseInStep-v0", *IN_EVALUATION)
    run = run_of(tmp_path)
    assert (status, err.count("\n")) == (1, 1)
    assert "after training: environment 0 (tests.broken:RaiseInStep-v0) raised RuntimeError in step" in err
    assert f"(step 40; kept a checkpoint at step 40; traceback in {run / 'error.txt'})" in err
    assert f"complete the run with: python -m rl.train --resume {run}" in err
    assert checkpoint.newest(run / "checkpoints").name == "step-000000000040.pt"
    assert not (run / "summary.json").exists()


@pytest.mark.slow
def test_evaluate_repeats_the_summary(train: Command, tmp_path: Path) -> None:
    assert train("CartPole-v1", *SHORT)[0] == 0
    run = run_of(tmp_path)
    summary = json.loads((run / "summary.json").read_text())
    argv = [sys.executable, "-m", "rl.evaluate", str(run)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"{summary['eval_mean']:.2f} ± {summary['eval_std']:.2f}" in done.stdout
    assert f"{summary['eval_stochastic_mean']:.2f} ± {summary['eval_stochastic_std']:.2f}" in done.stdout
    assert done.stderr == ""


def test_one_process_a_run(train: Command, tmp_path: Path) -> None:
    assert train("CartPole-v1", *SHORT)[0] == 0
    run = run_of(tmp_path)
    before = (run / "config.yaml").read_text()
    holder = Recorder(run, Logger(), None)
    status, _, err = train("--resume", str(run), "--total-timesteps", "4000")
    holder.close()
    assert (status, err.count("\n")) == (2, 1)
    assert "another process is training" in err
    assert (run / "config.yaml").read_text() == before


def test_an_environment_that_exits(train: Command, tmp_path: Path) -> None:
    status, _, err = train("tests.broken:Exit-v0", *SHORT)
    assert (status, err.count("\n")) == (1, 1)
    assert "raised SystemExit in step" in err


def test_a_full_disk_at_the_start(train: Command) -> None:
    """One line; no file stays open, which would cause a warning here."""
    with full_disk(4_096):
        status, _, err = train("CartPole-v1", *SHORT, "--engine", "torch")
    assert (status, err.count("\n")) == (1, 1)


def test_unwritable_output(train: Command) -> None:
    status, _, err = train("CartPole-v1", *SHORT, "--engine", "torch", "--out", "/dev/null/x")
    assert (status, err.count("\n")) == (2, 1)
