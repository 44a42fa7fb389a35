"""`python -m rl.baseline` and `python -m rl.plot`."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import stable_baselines3 as sb3

import rl.baseline
import rl.plot
from agents.settings.files import read_yaml, write_yaml
from agents.settings.values import ConfigError
from rl.experiments.curves import first_reached
from rl.run.results import Result, read_columns, read_result
from tests.conftest import Command
from tests.full_disk import full_disk

SHORT = ["--total-timesteps", "2400", "--set", "eval_episodes=3", "--set", "log_interval=20"]


def test_a_run_of_sb3_is_a_run(command: Command, tmp_path: Path) -> None:
    assert command(rl.baseline, "CartPole-v1", *SHORT, "--seed", "3", "--out", tmp_path)[0] == 0
    (directory,) = (tmp_path / "CartPole-v1" / "sb3").iterdir()
    assert directory.name.startswith("3-")
    settings = read_yaml(directory / "config.yaml")
    assert (settings["agent"], settings["n_steps"], settings["seed"]) == ("sb3", 1, 3)
    summary = json.loads((directory / "summary.json").read_text())
    assert summary["total_timesteps"] == 2400
    assert summary["engine"] == "stable-baselines3"
    assert summary["steps_per_second"] > 100
    metrics, episodes = read_columns(directory / "metrics.csv"), read_columns(directory / "episodes.csv")
    assert metrics["step"].tolist() == [160.0 * i for i in range(1, 16)]
    for name in ("entropy", "policy_loss", "value_loss", "policy_shift_kl", "policy_shift_kl_max", "learning_rate"):
        assert (abs(metrics[f"train/{name}"]) > 0).all()
    assert 0 <= episodes["length"].sum() - 2400 + 8 * 500 <= 8 * 500
    assert sb3.A2C.load(directory / "model.zip", device="cpu").num_timesteps == 2400

    again = subprocess.run([sys.executable, "-m", "rl.evaluate", directory], capture_output=True, text=True, check=True)
    assert f"{summary['eval_mean']:.2f} ± " in again.stdout, "the checkpoint is the model, as ours"

    status, out, _ = command(rl.plot, tmp_path, "--out", tmp_path / "drawn" / "curves")
    assert status == 0
    assert "SB3: 1 run\n" in out
    assert (tmp_path / "drawn" / "curves.png").stat().st_size > 20_000
    assert (tmp_path / "drawn" / "curves.pdf").is_file()
    (directory / "summary.json").unlink()
    assert command(rl.plot, directory, "--out", tmp_path / "unfinished")[0] == 0


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["CartPole-v9"], "did you mean 'CartPole-v1'?"),
        (["CartPole-v1", "--set", "target_entropy=0.1", "--set", "ent_coef=0.1"], "no counterpart of target_entropy"),
        (["CartPole-v1", "--set", "stop_at=400", "--set", "eval_interval=100"], "no counterpart of eval_interval"),
        (["CartPole-v1", "--set", "log=[tensorboard]"], "no counterpart of log"),
        (["CartPole-v1", "--set", "n_step=1"], "did you mean 'n_steps'?"),
        (["Blackjack-v1"], "observations Tuple(Discrete(32)"),
    ],
)
def test_usage_errors(argv: list[str], words: str, command: Command, tmp_path: Path) -> None:
    status, _, err = command(rl.baseline, *argv, "--out", tmp_path)
    assert status == 2
    assert err.count("\n") == 1
    assert words in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "words"), [("RaiseInStep", "the simulator lost its connection"), ("NanReward", "ValueError: ")]
)
def test_environments_that_fail(kind: str, words: str, command: Command, tmp_path: Path) -> None:
    status, _, err = command(rl.baseline, f"tests.broken:{kind}-v0", *SHORT, "--out", tmp_path)
    assert status == 1
    assert err.count("\n") == 1
    assert words in err
    assert list(tmp_path.glob("*/sb3/*/error.txt"))


def test_a_full_disk_is_one_line_that_names_the_file(command: Command, tmp_path: Path) -> None:
    argv = ["CartPole-v1", "--total-timesteps", "8", "--set", "log_interval=1", "--out", tmp_path]
    with full_disk(20_000):
        status, _, err = command(rl.baseline, *argv)
    assert status == 1
    assert re.fullmatch(r"error: \[Errno \d+\] [^\n]+/model\.zip'\n", err)
    assert not list(tmp_path.rglob("*model.zip*")), "half a model is none"


def test_environment_settings_reach_the_evaluation(command: Command, tmp_path: Path) -> None:
    argv = ["CartPole-v1", *SHORT, "--set", "max_episode_steps=7", "--set", "env_kwargs={sutton_barto_reward: true}"]
    assert command(rl.baseline, *argv, "--out", tmp_path)[0] == 0
    (summary,) = tmp_path.glob("*/sb3/*/summary.json")
    assert json.loads(summary.read_text())["eval_mean"] == 0.0  # no episode is long enough to fail


def test_what_cannot_be_drawn(command: Command, tmp_path: Path) -> None:
    for env in ("A-v0", "B-v0"):
        (tmp_path / env).mkdir()
        write_yaml(tmp_path / env / "config.yaml", {"env": env, "agent": "a2c", "seed": 0})
    for argv, words in (
        ([str(tmp_path)], "the runs are of A-v0 and B-v0; take one environment at a time"),
        ([str(tmp_path / "A-v0")], "nothing to draw yet: "),
        ([str(tmp_path), "--out", ".."], "--out takes the path of a file, got '..'"),
        ([str(tmp_path / "C-v0")], "holds no run: there is no config.yaml"),
    ):
        status, _, err = command(rl.plot, *argv)
        assert status == 2
        assert words in err


def test_first_reached(tmp_path: Path) -> None:
    rows = [f"{10 * i},{100 if i > 50 else 0},10,{i / 10}" for i in range(1, 301)]
    (tmp_path / "episodes.csv").write_text("step,return,length,time/seconds\n" + "\n".join(rows) + "\n")
    run = Result(tmp_path, {})
    assert first_reached(run, 100) == 1500  # episodes 51 to 150
    assert first_reached(run, 50) == 1000
    assert first_reached(run, 101) is None
    (tmp_path / "episodes.csv").write_text("step,return,length,time/seconds\n" + "\n".join(rows[:99]) + "\n")
    assert first_reached(run, 0) is None, "fewer than a hundred episodes have no such mean"
    with pytest.raises(ConfigError, match="no finished run"):
        read_result(tmp_path)
