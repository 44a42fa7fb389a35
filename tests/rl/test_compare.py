"""`python -m rl.compare`: many seeds, resumed where they stopped."""

import fcntl
import json
import time
from pathlib import Path

import pytest

import rl.compare
import rl.index
from rl.compare import _parser
from rl.experiments.comparison import chosen_lines, chosen_presets
from tests.conftest import Command, Start
from tests.runs import run_of

ARGUMENTS = ["CartPole-v1", "--seeds", "0-1", "--set", "total_timesteps=3000", "--set", "eval_episodes=2"]
FIVE = "configs/sb3-defaults.yaml"


@pytest.fixture
def compare(command: Command, tmp_path: Path) -> Command:
    return lambda *argv: command(rl.compare, *argv, "--out", tmp_path / "runs", "--results", tmp_path / "results")


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_ours_beside_sb3(compare: Command, command: Command, tmp_path: Path) -> None:
    arguments = [*ARGUMENTS, "--agents", "sb3-5", "recipe", "--line", "a third", "n_steps=3", "agent=sb3", FIVE]
    status, out, _ = compare(*arguments)
    table = (tmp_path / "results/CartPole-v1/comparison.md").read_text()
    assert status == 0
    assert table in out
    for words in ("| SB3, 5 steps |", "| ours, recipe |", "| a third |", "475 reached by", "0 of 2 | – |"):
        assert words in table
    assert "| ours, recipe | SB3, 5 steps |" in table
    assert "| ours, recipe | a third |" in table
    runs = sorted((tmp_path / "runs").glob("*/*/*"))
    written = json.loads((tmp_path / "results/CartPole-v1/comparison.json").read_text())
    assert [(line["agent"], line["settings"]["n_steps"]) for line in written["lines"]] == [
        ("sb3", 5), ("a2c", 1), ("sb3", 3),
    ]  # fmt: skip
    summaries = [json.loads((run / "summary.json").read_text()) for run in runs]
    assert sorted(map(str, summaries)) == sorted(str(run) for line in written["lines"] for run in line["runs"])
    assert 15 < written["random"] < 30
    assert (tmp_path / "results/CartPole-v1/comparison.png").stat().st_size > 50_000
    assert (tmp_path / "results/CartPole-v1/comparison.pdf").read_bytes().startswith(b"%PDF")

    assert compare(*arguments)[0] == 0
    assert sorted((tmp_path / "runs").glob("*/*/*")) == runs, "finished runs are not run again"

    (runs[1] / "summary.json").unlink()  # our run
    for checkpoint in (runs[1] / "checkpoints").glob("*.pt"):
        checkpoint.unlink()
    (runs[-1] / "summary.json").unlink()  # SB3's run
    assert compare(*arguments)[0] == 0
    assert len(list((tmp_path / "runs").glob("*/*/*"))) == len(runs) + 2, "what cannot be gone on with begins anew"

    assert command(rl.index, "--results", tmp_path / "results")[0] == 0
    index = (tmp_path / "results/README.md").read_text()
    assert "What each line trains: CartPole-v1: 2 seeds, 3,000 steps." in " ".join(index.split())
    assert "| line | [CartPole-v1](CartPole-v1/comparison.md) |" in index
    assert "## Comparison" in index


def test_recipe_trains_for_its_own_number_of_steps() -> None:
    args = _parser().parse_args(["LunarLander-v3", "--total-timesteps", "7000", "--line", "mine", "n_steps=3"])
    lines = chosen_lines(args, ["sb3-1", "ours-5", "recipe"])
    steps = {line.label: line.settings["total_timesteps"] for line in lines}
    assert steps == {"SB3, 1 step": 7000, "ours, 5 steps": 7000, "ours, recipe": 200_000, "mine": 7000}
    args = _parser().parse_args(["LunarLander-v3"])  # one budget for all lines: the recipe's
    assert {line.settings["total_timesteps"] for line in chosen_lines(args, chosen_presets(args))} == {200_000}


@pytest.mark.slow
def test_lines_side_by_side(compare: Command, tmp_path: Path) -> None:
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
    assert compare(*ARGUMENTS, "--name", "rates", *lines)[0] == 0
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
    shared = "Settings that all lines share and that differ from the defaults:"
    assert f"{shared} `total_timesteps: 3000`, `eval_episodes: 2`." in table
    assert "![CartPole-v1: rates, 2 seeds](rates.png)" in table
    settings = [row.split(" | ")[1] for row in table if row.startswith("| ")][1:]
    scaled = "`num_envs: 16`, `normalize_observations: True`, `normalize_rewards: True`"
    steps = "`rms_prop_eps: 0.001`, `critic_lr_scale: 3.0`"
    assert settings[:2] == [f"{scaled}, {steps}", f"{scaled}, `learning_rate: 1e-05`, {steps}"]
    assert settings[2] == "`num_envs: 8`, `n_steps: 5`, `gamma: 0.9`"
    assert (tmp_path / "results/CartPole-v1/rates.png").stat().st_size > 20_000


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["CartPole-v1", "--line", "a", "--line", "a", "gamma=0.9"], "every line needs its own label: two are 'a'"),
        (
            ["CartPole-v1", "--line", "a", "--line", "b", "gamma=0.99"],
            "every line needs its own settings: 'b' has those of another",
        ),
        (["CartPole-v1", "--line", "a", "agent=trpo"], "mutual-ppo, sb3, sb3-ppo, got 'trpo'"),
        (["CartPole-v1", "--agents", "ours-1", "sb3-1", "--set", "max_seconds=9"], "no counterpart of max_seconds"),
        (["CartPole-v1", "--agents", "sb4"], "argument --agents: invalid choice: 'sb4'"),
        (["CartPole-v1", "--line", "a", "agent=gail"], "a: name the file to learn from, demonstrations=FILE"),
        (["CartPole-v1", "--line", "a", "warm_start=nowhere"], "no checkpoint at nowhere.pt"),
        (["FrozenLake-v1", "--agents", "recipe"], "no recipe ships for 'FrozenLake-v1'"),
        (
            ["CartPole-v1", "--set", "critic_lr_scale=2"],
            "no counterpart of critic_lr_scale",
        ),
        (["CartPole-v1", "--name", "a/b"], "--name is the name of files"),
        (["CartPole-v1", "--name", "."], "--name is the name of files, got '.'"),
        (["CartPole-v1", "--name", "a" * 201], "--name is the name of files, of at most 200 bytes"),
        (["CartPole-v1", "--threshold", "high"], "--threshold must be a number"),
        (["CartPole-v1", "--line", "a", "gama=0.9"], "did you mean 'gamma'?"),
        (["CartPole-v1", "--line", "a", "x.yaml"], "cannot read x.yaml"),
        (["CartPole-v1", "--line", "gamma=0.9", "n_steps=5"], "--line begins with a label, but gamma=0.9 is a setting"),
        (["CartPole-v1", "--line", "a", "n_steps=5", "n_steps=6"], "--line a gives n_steps twice"),
        (["CartPole-v1", "--set", "n_steps=5", "--set", "n_steps=6"], "--set gives n_steps twice"),
        (["CartPole-v1", "--line", "a", "x.yaml", "y.yaml"], "--line a: one YAML file at most"),
        (["CartPole-v1", "--max-episode-steps", "9"], "; write --set max_episode_steps=VALUE"),
        (["CartPole-v9"], "did you mean 'CartPole-v1'?"),
        (["CartPole-v1", "--seeds", "0-"], "--seeds takes a range"),
        (["CartPole-v1", "--set", "seed=3"], "ours, 1 step: the seeds of its runs are those of --seeds"),
        (["CartPole-v1", "--line", "a", "seed=3"], "a: the seeds of its runs are those of --seeds"),
        (["--suite", "unseen", "--timed"], "--timed does not go with --suite"),
        (["CartPole-v1", "--threshold", "-1e3", "--jobs", "x"], "--jobs must be a whole number"),
        (["CartPole-v1", "--jobs", "x"], "--jobs must be a whole number"),
        (["CartPole-v1", "--set", "gama=1"], "did you mean 'gamma'?"),
    ],
)
def test_usage_errors(argv: list[str], words: str, compare: Command, tmp_path: Path) -> None:
    status, _, err = compare(*argv)
    assert status == 2
    assert err.count("\n") == 1
    assert words in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("flag", "other"), [("--out", "--results"), ("--results", "--out")])
def test_a_file_in_place_of_a_folder(flag: str, other: str, command: Command, tmp_path: Path) -> None:
    """Everything was trained before the page could not be written."""
    status, _, err = command(rl.compare, "CartPole-v1", flag, __file__, other, tmp_path)
    assert (status, err.count("\n")) == (2, 1)
    assert "test_compare.py is a file, where a folder is needed" in err


@pytest.mark.slow
def test_workers_end_if_their_command_is_killed(start: Start, tmp_path: Path) -> None:
    """A worker went on, and held the run directory's lock for as long as it trained."""
    steps = ["--total-timesteps", "100000000", "--set", "engine=torch"]
    argv = ["CartPole-v1", "--line", "a", "--seeds", "0", "--jobs", "1", *steps, "--out", tmp_path / "runs"]
    process = start("rl.compare", *argv, "--results", tmp_path / "results")
    while not list(tmp_path.glob("runs/*/*/*/checkpoints/*.pt")):
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    with (run_of(tmp_path / "runs") / ".lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # waits until the worker has ended
    assert process._watchdog.is_alive(), "it ended by itself"
