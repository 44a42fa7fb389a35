"""`python -m rl.demos`: what it records, and its one-line errors."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rl.demos
from agents import A2C, checkpoint
from agents import episodes as play
from agents.demonstrations import load
from rl import evaluate
from tests import ROOT
from tests.agents.demonstrations.test_recording import same
from tests.conftest import Command

pytestmark = pytest.mark.filterwarnings("ignore:.*share an object, therefore:UserWarning")  # in the probes


@pytest.fixture
def demos(command: Command) -> Command:
    return lambda *argv: command(rl.demos, *argv)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory with everything that the command reads."""
    agent = A2C("CartPole-v1", num_envs=2, seed=3, engine="torch").learn(20)
    agent.save(tmp_path / "run/checkpoints/step-000000000020.pt")
    return tmp_path / "run"


def test_the_command_records_the_final_evaluation(run: Path) -> None:
    argv = [sys.executable, "-m", "rl.demos", str(run), "--episodes", "21"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    file = run / "demonstrations.npz"
    agent = A2C.load(checkpoint.newest(run / "checkpoints"))
    expected = evaluate(agent, "CartPole-v1", 21, seed=3)
    d = load(file, obs_space=agent.obs_space, action_space=agent.worlds.env_action_space, env_id="CartPole-v1")
    np.testing.assert_array_equal(d.returns, expected.returns)
    assert {key: d.metadata[key] for key in ("run", "checkpoint", "step", "seed", "deterministic")} == {
        "run": str(run), "checkpoint": "step-000000000020.pt", "step": 20, "seed": 3, "deterministic": True,
    }  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines()[1:] == [
        str(expected), f"{d.transitions:,} transitions, {file}, {file.stat().st_size:,} bytes",
    ]  # fmt: skip


def test_the_same_command_writes_the_same_bytes(demos: Command, run: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert demos(run, "--episodes", 3, "--stochastic", "--seed", 4, "--out", tmp_path / f"{name}.npz")[0] == 0
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert demos(run, "--episodes", 3, "--stochastic", "--seed", 5, "--out", tmp_path / "c.npz")[0] == 0
    a, c = load(tmp_path / "a.npz"), load(tmp_path / "c.npz")
    assert (a.metadata["deterministic"], a.metadata["seed"], c.metadata["seed"]) == (False, 4, 5)
    assert not same(a, c)


def test_a_checkpoint_file_and_a_least_return(demos: Command, run: Path) -> None:
    file = run / "checkpoints/step-000000000020.pt"
    assert demos(file, "--episodes", "8", "--stochastic")[0] == 0
    everything = load(run / "checkpoints/demonstrations.npz")
    least = float(np.median(everything.returns))
    status, out, _ = demos(file, "--episodes", "8", "--stochastic", "--min-return", least)
    kept = load(run / "checkpoints/demonstrations.npz")
    assert status == 0
    assert kept.returns.tolist() == [ret for ret in everything.returns if ret >= least]
    assert f"{len(kept.returns)} of 8 episodes returned at least {least:g}" in out
    assert (kept.metadata["min_return"], kept.metadata["played"]) == (least, 8)


def test_the_command_counts_what_was_cut_off(demos: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "CUTOFF_STEPS", 2)
    agent = A2C("tests.toys:Counter-v0", num_envs=1, engine="torch", env_kwargs={"length": None})
    status, out, _ = demos(agent.save(tmp_path / "endless"), "--episodes", "3")
    assert status == 0
    assert "3.00 ± 0.00 (mean ± std of 3 deterministic episodes; 3 cut off after 2 steps)" in out


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "the following arguments are required: --episodes"),
        (["--episodes", "0"], "--episodes must be at least 1"),
        (["--episodes", "many"], "--episodes must be a whole number, got 'many'"),
        (["--episodes", "1", "--seed", "-1"], "--seed must be at least 0, got -1"),
        (["--episodes", "2", "--min-return", "1e9"], "the best of 2 episodes returned"),
        (["--episodes", "2", "--min-return", "nan"], "--min-return must be a number"),
        (["--episodes", "1", "--outfile", "x"], "did you mean '--out'"),
        (["--episodes", "1", "--out", "."], "is a directory; name a file in it"),
    ],
)
def test_mistakes_are_one_line(demos: Command, run: Path, flags: list[str], words: str) -> None:
    status, _, err = demos(run, *flags)
    assert (status, err.count("\n")) == (2, 1)
    assert re.search(re.escape(words), err)
    assert not (run / "demonstrations.npz").exists()


def test_a_run_that_is_not_there(demos: Command, tmp_path: Path) -> None:
    for run in (tmp_path, tmp_path / "missing"):
        status, _, err = demos(run, "--episodes", "1")
        assert (status, err.count("\n")) == (2, 1)
        assert "no checkpoint" in err


def test_nowhere_to_write(demos: Command, run: Path) -> None:
    status, _, err = demos(run, "--episodes", "1", "--out", "/dev/null/x.npz")
    assert (status, err.count("\n")) == (1, 1)
