"""Algorithms around an agent on the command line: training, comparing, resuming, and one-line errors."""

import json
import os
import shutil
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import rl.compare
import rl.plot
import rl.run.terminal
import rl.train
from agents import A2C, checkpoint, registry
from agents.settings.run import RunSettings
from agents.settings.values import text_of
from rl.experiments.parallel import finished, prepare
from tests.agents.imitation.conftest import FEW, Given
from tests.agents.imitation.test_base import AROUND, parameters
from tests.agents.recorded import made
from tests.conftest import Command
from tests.runs import run_of, table


def flags(settings: Mapping[str, object]) -> list[str]:
    return [part for key, value in settings.items() for part in ("--set", f"{key}={text_of(value)}")]


@pytest.mark.parametrize("name", AROUND)
def test_a_run(name: str, given: Given, command: Command, tmp_path: Path) -> None:
    """Runs at once; killed between two checkpoints and resumed; evaluated; drawn."""
    steps = ["--total-timesteps", 800, "--set", "checkpoint_interval=200", "--set", "log_interval=7"]
    argv = ["CartPole-v1", "--agent", name, *steps, *flags({"eval_episodes": 3, **FEW, **given[name]})]
    argv += [] if name != "gail" else ["--config", os.devnull]  # instead of the recipe
    assert command(rl.train, *argv, "--out", tmp_path / "a")[0] == 0
    run = run_of(tmp_path / "a")
    assert run.parent.name == name
    settings = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    assert registry.load(run).settings.keys() < settings.keys()

    killed = tmp_path / "b" / "CartPole-v1" / name / run.name
    shutil.copytree(run, killed)
    (killed / "summary.json").unlink()
    checkpoint.newest(killed / "checkpoints").unlink()
    assert command(rl.train, "--resume", killed)[::2] == (0, "")
    for file in ("metrics.csv", "episodes.csv"):
        assert table(killed / file) == table(run / file)
    for x, y in zip(parameters(registry.load(killed)), parameters(registry.load(run)), strict=True):
        assert torch.equal(x, y)
    first, second = (json.loads((path / "summary.json").read_text(encoding="utf-8")) for path in (run, killed))
    assert {key for key in first if first[key] != second[key]} <= {"wall_seconds", "train_seconds", "steps_per_second"}

    own = [f"{key}={text_of(value)}" for key, value in {**FEW, **given[name]}.items()]
    own += ["eval_episodes=3", "checkpoint_interval=200", "log_interval=7"]
    line = prepare(name, name, "CartPole-v1", (*registry.kinds(name), RunSettings), None, own, "800")
    assert finished("CartPole-v1", line, 0, tmp_path / "a").directory == run  # type: ignore[union-attr]
    other = prepare(name, name, "CartPole-v1", (*registry.kinds(name), RunSettings), None, own, "801")
    assert finished("CartPole-v1", other, 0, tmp_path / "a") is None

    status, out, err = command(import_module("rl.evaluate"), run)
    assert (status, err) == (0, "")
    assert f"{first['eval_mean']:.2f} ± {first['eval_std']:.2f}" in out
    assert f"{first['eval_stochastic_mean']:.2f} ± {first['eval_stochastic_std']:.2f}" in out


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_they_are_compared_and_drawn(given: Given, command: Command, tmp_path: Path) -> None:
    """Lines of different agents with their own settings give a table, and a figure of all runs."""
    lines = [
        part for name in ("gail", "clone") for part in ("--line", name, f"agent={name}", *flags(given[name])[1::2])
    ]
    argv = [
        "CartPole-v1", "--seeds", "0-1", "--total-timesteps", "400", "--jobs", "1", "--out", tmp_path / "runs",
        "--results", tmp_path / "results", *flags({**FEW, "eval_episodes": 2}), *lines, "--line", "plain", "gamma=0.9",
    ]  # fmt: skip
    status, out, err = command(rl.compare, *argv)
    assert (status, err) == (0, "")
    for name, agent in (("gail", "gail"), ("clone", "clone"), ("plain", "a2c")):
        assert f"| {name} | `agent: {agent}`, " in out
    assert "nan" not in out, "a clone has no training returns"
    written = json.loads((tmp_path / "results" / "CartPole-v1" / "comparison.json").read_text(encoding="utf-8"))
    assert [line["agent"] for line in written["lines"]] == ["gail", "clone", "a2c"]
    status, out, _ = command(rl.plot, tmp_path / "runs", "--out", tmp_path / "drawn")
    assert status == 0
    assert out.count(": 2 runs") == 3
    assert (tmp_path / "drawn.png").stat().st_size > 10_000


MISTAKES = [
    (["--agent", "gail"], "name the file to learn from, demonstrations=FILE; python -m rl.demos RUN makes one"),
    (["--agent", "clone", "--set", "demonstrations=nowhere.npz"], "nowhere.npz: no such file"),
    (["--agent", "clone", "--set", "demonstrations=text.npz"], "text.npz: not an .npz file"),
    (
        ["--agent", "clone", "--set", "demonstrations=other.npz"],
        "recorded in Acrobot-v1, not in CartPole-v1; record",
    ),
    (["--agent", "gail", "--set", "demonstrations=third.npz"], "third.npz: action 2 in row 0 is outside its choices"),
    (["--agent", "clone", *(GIVEN := ["--set", "demonstrations=d.npz"]), "--set", "gru_size=4"], "leave gru_size out"),
    (
        ["--agent", "clone", *GIVEN, "--set", "normalize_rewards=true"],
        "cloning uses no rewards and samples no actions: leave normalize_rewards out",
    ),
    (["--agent", "clone", *GIVEN, "--engine", "fused"], "engine fused does not fit: cloning learns from recorded"),
    (["--agent", "clone", *GIVEN], "batch_size is 64, there are 48 transitions to learn from"),
    (["--agent", "clone", *GIVEN, "--set", "batch_size=12"], "batch_size must be a multiple of num_envs 8, got 12"),
    (
        ["--agent", "clone", *GIVEN, "--set", "batch_size=8", "--set", "patience=0"],
        "patience must be at least 1, got 0",
    ),
    (["--agent", "clone", *GIVEN, "--set", "batch_size=8", "--set", "validation_fraction=1"], "between 0 and 1, got 1"),
    (["--agent", "clone", *GIVEN, "--set", "episode=3"], "unknown setting 'episode'; did you mean 'episodes'?"),
    (["--set", "patience=3"], "unknown setting 'patience'"),
    (["--agent", "distill"], "distillation needs teachers, a list of run directories: teachers=[RUN]"),
    (["--agent", "distill", "--set", "teachers=[nowhere]"], "no checkpoint at nowhere.pt"),
    (["--agent", "distill", "--set", "teachers=[.]"], "no checkpoint in checkpoints"),
    (["--agent", "distill", "--set", "teachers=[acrobot.pt]"], "acrobot.pt was trained on"),
    (["--agent", "distill", "--set", "teachers=[damaged.pt]"], "damaged.pt is not a readable checkpoint"),
    (["--agent", "distill", *(TAUGHT := ["--set", "teachers=[t.pt]"]), "--set", "temperature=0"], "must be positive"),
    (["--agent", "distill", *TAUGHT, "--set", "rl_coef=-1"], "rl_coef must be at least 0, got -1"),
    (["--agent", "distill", *TAUGHT, *GIVEN, "--set", "rl_coef=1"], "rl_coef and gru_size need the student's own"),
    (
        ["--agent", "distill", *TAUGHT, *GIVEN, "--set", "normalize_rewards=true"],
        "recorded states uses no rewards: leave normalize_rewards out",
    ),
    (["--agent", "mutual", "--set", "peers=0"], "peers must be at least 2, got 0"),
    (["--agent", "mutual", "--set", "mutual_coef=linear(1, -1)"], "mutual_coef must be at least 0"),
    (["--agent", "mutual", "--set", "gru_size=4"], "leave gru_size and use_sde out"),
    (["--agent", "mutual", "--total-timesteps", "15"], "less than one step of every environment"),
    (["--set", "warm_start=nowhere"], "no checkpoint at nowhere.pt"),
    (["--set", "warm_start=acrobot.pt"], "the networks of acrobot.pt, trained on Acrobot-v1, have other shapes"),
    (["--set", "warm_start=t.pt"], "warm_start: net_arch is (4,) in t.pt and (64, 64) here; make them equal"),
    (["--agent", "gial"], "got 'gial'; did you mean 'gail'?"),
]


@pytest.fixture(scope="module")
def mistaken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with valid files and with files that are not what they should be."""
    folder = tmp_path_factory.mktemp("mistaken")
    rows = np.zeros((60, 4), np.float32)
    made(folder / "d", "CartPole-v1", rows, np.zeros(60, np.int64), length=6)
    made(folder / "other", "Acrobot-v1", rows, np.zeros(60, np.int64))
    made(folder / "third", "CartPole-v1", rows, np.full(60, 2))
    (folder / "text.npz").write_text("demonstrations")
    A2C("CartPole-v1", net_arch=(4,)).save(folder / "t")
    A2C("Acrobot-v1", normalize_observations=True).save(folder / "acrobot")
    (folder / "damaged.pt").write_bytes((folder / "t.pt").read_bytes()[:-100])
    return folder


@pytest.mark.parametrize(("argv", "words"), MISTAKES)
def test_mistakes(
    argv: list[str], words: str, command: Command, mistaken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit status 2 and a one-line instruction, before anything is trained or written."""
    monkeypatch.chdir(mistaken)
    before = sorted(mistaken.iterdir())
    status, out, err = command(rl.train, "CartPole-v1", *argv)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("error: ")
    assert words in err
    assert sorted(mistaken.iterdir()) == before


def test_resume_notices_other_demonstrations(given: Given, command: Command, tmp_path: Path) -> None:
    for name in ("clone", "gail"):
        argv = ["--agent", name, "--total-timesteps", 80, *flags({"eval_episodes": 1, **FEW, **given[name]})]
        assert command(rl.train, "CartPole-v1", *argv, "--out", tmp_path / name)[0] == 0
    rows = np.ones((120, 4), np.float32)
    made(Path(str(given["gail"]["demonstrations"])), "CartPole-v1", rows, np.ones(120, np.int64), length=6)
    for name in ("clone", "gail"):
        run = run_of(tmp_path / name)
        status, _, err = command(rl.train, "--resume", run, "--total-timesteps", 160)
        assert (status, err.count("\n")) == (2, 1)
        assert "the demonstrations are not those that the checkpoint was trained on" in err
        assert (run / "summary.json").exists(), "nothing is lost"


@pytest.mark.parametrize("name", ["gail", "distill", "mutual"])
@pytest.mark.parametrize(
    ("world", "words"), [("NanReward", "non-finite reward"), ("RaiseInStep", "raised RuntimeError")]
)
def test_a_failing_environment(name: str, world: str, words: str, command: Command, tmp_path: Path) -> None:
    """Exit status 1 and one line; what was learned is saved and can be resumed."""
    env_id = f"tests.broken:{world}-v0"
    teacher = A2C(env_id, **FEW).save(tmp_path / "t")
    file = made(tmp_path / "d", f"{world}-v0", np.zeros((20, 2), np.float32), np.zeros(20, np.int64))
    own = {"gail": {"demonstrations": file}, "distill": {"teachers": [str(teacher)]}, "mutual": {}}[name]
    argv = [env_id, "--agent", name, "--total-timesteps", 1000, *flags({**FEW, "log_interval": 3, **own})]
    status, _, err = command(rl.train, *argv, "--out", tmp_path / "runs")
    assert (status, err.count("\n")) == (1, 1)
    assert words in err
    run = run_of(tmp_path / "runs")
    assert (run / "error.txt").is_file()
    assert registry.load(run).loop.step > 100
