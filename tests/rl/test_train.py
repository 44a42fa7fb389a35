"""`python -m rl.train`: its run directory, its exit statuses, and what survives an interruption."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from signal import SIGINT, SIGTERM

import pytest
import torch
import yaml

import rl.evaluate
import rl.train
from agents import A2C, checkpoint
from agents.logger import Logger
from rl.run.recorder import Recorder
from tests import ROOT
from tests.conftest import Command, Process, Start
from tests.full_disk import full_disk
from tests.runs import run_of, table

SHORT = ["--total-timesteps", "2000", "--set", "eval_episodes=2"]


@pytest.fixture
def train(command: Command, tmp_path: Path) -> Command:
    out = ["--out", str(tmp_path)]
    return lambda *argv: command(rl.train, *argv, *([] if {"--out", "--resume"} & {*argv} else out))


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


def test_same_seed_same_bytes(train: Command, tmp_path: Path) -> None:
    metrics = []
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        status, _, _ = train("CartPole-v1", "--seed", seed, *SHORT, "--out", str(tmp_path / name))
        assert status == 0
    metrics = [table(run_of(tmp_path / name) / "metrics.csv") for name in "abc"]
    assert metrics[0] == metrics[1] != metrics[2]


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
    Path("other.yaml").write_text("env: Acrobot-v1\n")
    status, out, err = train(*argv)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("error: ")
    assert words in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.yaml", "list.yaml", "other.yaml"]


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
    ("env_id", "resume", "inexact"), [("LunarLander-v3", "replay", 0), ("tests.toys:Opaque-v0", "new episodes", 1)]
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


IN_EVALUATION = ["--num-envs", "1", "--total-timesteps", "40", "--set", "eval_episodes=120", "--engine", "torch"]
"""Environments of `tests.broken` are sound for 50 steps; each of 20 plays six episodes of 10 steps in evaluation."""


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
    assert (status, err.count("\n")) == (1, 1)
