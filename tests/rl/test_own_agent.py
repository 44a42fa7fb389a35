"""A user's algorithm, --agent module:Class: the commands use only the interface of `agents.Agent`."""

import json
from pathlib import Path

import pytest
import torch

import rl.compare
import rl.evaluate
import rl.plot
import rl.train
from agents import checkpoint, registry
from tests.agents.reinforce import Reinforce
from tests.conftest import Command
from tests.runs import run_of, table

NAME = "tests.agents.reinforce:Reinforce"
STEPS = ("--total-timesteps", 20_480, "--set", "eval_episodes=5", "--set", "log_interval=2")


def test_it_is_trained_resumed_evaluated_compared_and_drawn(command: Command, tmp_path: Path) -> None:
    source = Path(__file__).parents[1] / "agents/reinforce.py"
    assert len(source.read_text(encoding="utf-8").splitlines()) < 60

    argv = ["CartPole-v1", "--agent", NAME, *STEPS, "--set", "checkpoint_interval=5120"]
    status, out, err = command(rl.train, *argv, "--out", tmp_path / "a")
    assert (status, err) == (0, "")
    assert f"agent  {NAME}" in out
    run = run_of(tmp_path / "a")
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    assert (summary["agent"], summary["engine"]) == (NAME, "torch")
    assert summary["eval_mean"] > 100, "it learns"
    assert (run / "learning_curve.png").is_file()

    (run / "summary.json").unlink()  # as if killed between its last two checkpoints
    metrics, episodes = table(run / "metrics.csv"), table(run / "episodes.csv")
    before = registry.load(run).state_dict()
    checkpoint.newest(run / "checkpoints").unlink()
    assert command(rl.train, "--resume", run)[::2] == (0, "")
    assert (table(run / "metrics.csv"), table(run / "episodes.csv")) == (metrics, episodes)
    for name, tensor in registry.load(run).policy.state_dict().items():
        assert torch.equal(tensor, before["policy"][name])

    status, out, err = command(rl.evaluate, run)
    assert (status, err) == (0, "")
    assert f"{summary['eval_mean']:.2f} ± {summary['eval_std']:.2f}" in out

    figure = tmp_path / "curves"
    assert command(rl.plot, run, "--out", figure)[::2] == (0, "")
    assert figure.with_suffix(".png").is_file()


@pytest.mark.usefixtures("in_process")
def test_it_is_a_line_of_a_comparison(command: Command, tmp_path: Path) -> None:
    argv = ["CartPole-v1", "--seeds", "0-1", "--total-timesteps", 512, "--set", "eval_episodes=2", "--jobs", 1]
    lines = ["--line", "REINFORCE", f"agent={NAME}", "n_steps=8", "--line", "A2C", "n_steps=5"]
    where = ["--out", tmp_path / "runs", "--results", tmp_path / "results"]
    status, out, err = command(rl.compare, *argv, *lines, *where)
    assert (status, err) == (0, "")
    assert f"| REINFORCE | `agent: {NAME}`, `n_steps: 8`" in out


def test_settings_of_the_class_are_settings_of_the_command(command: Command, tmp_path: Path) -> None:
    for argv, words in (
        (("--set", "gama=0.9"), "unknown setting 'gama'; did you mean 'gamma'?"),
        (("--set", "n_steps=0"), "n_steps must be at least 1, got 0"),
        (("--engine", "fused"), "unrecognized arguments: --engine fused"),
        (("--gama", "0.9"), "unrecognized arguments: --gama 0.9; did you mean '--gamma'?"),
        (("--n-steps", "0"), "--n-steps: n_steps must be at least 1, got 0"),
    ):
        status, _, err = command(rl.train, "CartPole-v1", "--agent", NAME, "--out", tmp_path, *argv)
        assert status == 2
        assert words in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere:Agent", "cannot import agent 'nowhere:Agent': No module named 'nowhere'"),
        ("tests.agents.reinforce:Nothing", "has no attribute 'Nothing'"),
        ("collections:OrderedDict", "is not a subclass of agents.Agent"),
    ],
)
def test_what_is_no_agent(name: str, words: str, command: Command, tmp_path: Path) -> None:
    status, _, err = command(rl.train, "CartPole-v1", "--agent", name, "--out", tmp_path)
    assert status == 2
    assert words in err


def test_it_is_used_from_python(tmp_path: Path) -> None:
    agent = Reinforce("CartPole-v1", seed=1, num_envs=4, n_steps=16).learn(640)
    again = Reinforce.load(agent.save(tmp_path / "agent"))
    assert again.loop.step == 640
    assert again.n_steps == 16
    obs = again.worlds.reset()[0]
    assert (again.predict(obs, deterministic=True)[0] == agent.predict(obs, deterministic=True)[0]).all()
