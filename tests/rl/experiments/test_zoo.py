"""`python -m rl.compare --suite zoo`: every recipe against Stable-Baselines3 with the settings of rl-zoo."""

import json
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

import rl.compare
import rl.index
from agents.settings.recipes import recipe_file
from envs import UnknownEnvironment
from rl.experiments.executors.workplace import Workplace
from rl.experiments.parallel import Line, Train
from rl.experiments.suites import training as suites
from rl.experiments.suites.candidates import Candidate, Runs
from rl.experiments.suites.published import PUBLISHED
from rl.experiments.suites.suite import Entry
from rl.experiments.suites.zoo import ZOO
from rl.run.results import Result
from rl.run.terminal import RunFailed
from tests.conftest import Command
from tests.rl.experiments.suites import played, result

SEVERAL = ("CartPole-v1", "Acrobot-v1", "MountainCar-v0", "Pendulum-v1")
RECIPE, PLAY_RANDOMLY = recipe_file, suites.evaluate_uniform


def entry(env: str, *means: float, random: float = 0.0, missing: str = "", **more: int) -> Entry:
    runs = [result(seed, mean, **more) for seed, mean in enumerate(means)]
    return Entry(env, {}, runs, played(random), missing, published=PUBLISHED[env])


@pytest.fixture
def four(monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite of four environments; one lacks a recipe, one its package."""

    def play_randomly(env_id: str, *episodes: int, **more: object) -> object:
        if env_id == "Acrobot-v1":
            raise UnknownEnvironment("'Acrobot-v1' needs a package that is not installed: pip install acrobatics")
        return PLAY_RANDOMLY(env_id, *episodes, **more)

    monkeypatch.setitem(rl.compare.SUITES, "zoo", ZOO._replace(envs=SEVERAL))
    monkeypatch.setattr(
        "rl.experiments.suites.zoo.recipe_file",
        lambda env, *agent: None if env == "MountainCar-v0" else RECIPE(env, *agent),
    )
    monkeypatch.setattr(suites, "evaluate_uniform", play_randomly)


def pages_of_four(directory: Path) -> list[dict[str, Any]]:
    """The environments in the written numbers, two of which were trained."""
    assert (directory / "zoo.png").stat().st_size > 30_000
    assert (directory / "zoo.pdf").read_bytes().startswith(b"%PDF")
    assert [look["env"] for look in json.loads((directory / "looks.json").read_text())] == [
        "CartPole-v1",
        "Pendulum-v1",
    ]
    written: list[dict[str, Any]] = json.loads((directory / "zoo.json").read_text())["environments"]
    assert {of["env"]: [run["seed"] for run in of["runs"]] for of in written} == {
        "CartPole-v1": [0, 1], "Acrobot-v1": [], "MountainCar-v0": [], "Pendulum-v1": [0, 1],
    }  # fmt: skip
    assert [of["missing"] for of in written[::3]] == [None, None]
    for of in written[::3]:
        assert of["settings"]["total_timesteps"] == 2000
        assert {run["eval_episodes"] for run in of["runs"]} == {2}
        assert of["statistics"]["timesteps"] <= 2000
    return written


@pytest.mark.slow
@pytest.mark.usefixtures("four", "in_process")
def test_suite(command: Command, tmp_path: Path) -> None:
    arguments = ["--suite", "zoo", "--seeds", "0-1", "--set", "total_timesteps=2000", "--set", "eval_episodes=2"]
    arguments += ["--out", str(tmp_path / "runs"), "--results", str(tmp_path / "results")]
    status, out, _ = command(rl.compare, *arguments, "--only", "CartPole-v1", "MountainCar-v0")
    assert status == 0
    assert "note: MountainCar-v0 is left out: no recipe ships for it\n" in out
    first = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert first == ["CartPole-v1"]

    status, out, _ = command(rl.compare, *arguments)
    assert status == 0
    assert "note: Acrobot-v1 is left out: 'Acrobot-v1' needs a package that is not installed" in out
    assert (tmp_path / "results/zoo/zoo.md").read_text() in out
    written = pages_of_four(tmp_path / "results/zoo")
    runs = sorted((tmp_path / "runs").glob("*/*/*"))
    assert len(runs) == 4

    status, out, _ = command(rl.compare, *arguments)
    assert status == 0
    assert "used up" not in out
    assert sorted((tmp_path / "runs").glob("*/*/*")) == runs, "finished runs are not trained again"

    (tmp_path / "results/CartPole-v1").mkdir()
    line = {name: written[0][name] for name in ("settings", "runs")} | {"label": "recipe"}
    page = {"command": "", "random": 20.0, "lines": [line]}
    (tmp_path / "results/CartPole-v1/comparison.json").write_text(json.dumps(page))
    assert command(rl.index, "--results", tmp_path / "results")[0] == 0
    assert "| [zoo/zoo.md](zoo/zoo.md) |" in (tmp_path / "results/README.md").read_text()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "name an environment, such as CartPole-v1, or --suite zoo"),
        (["CartPole-v1", "--suite", "zoo"], "one of them, not both"),
        (["--suite", "atari"], "invalid choice: 'atari'"),
        (["CartPole-v1", "--only", "CartPole-v1"], "give it with --suite"),
        (["--suite", "zoo", "--only", "CartPol-v1"], "'CartPol-v1' is not in the suite; did you mean 'CartPole-v1'?"),
        (["--suite", "zoo", "--total-timesteps", "100"], "--total-timesteps does not go with --suite"),
        (["--suite", "zoo", "--line", "a"], "--line does not go with --suite"),
        (["--suite", "zoo", "--set", "gama=0.9"], "did you mean 'gamma'?"),
        (["--suite", "zoo", "--seeds", "x"], "--seeds takes a range"),
        (["--suite", "zoo", "--jobs", "x"], "--jobs must be a whole number"),
        (["--suite", "zoo", "--only", "MountainCar-v0"], "nothing of the suite can be trained here: MountainCar-v0"),
    ],
)
@pytest.mark.usefixtures("four")
def test_usage_errors(argv: list[str], words: str, command: Command, tmp_path: Path) -> None:
    status, _, err = command(rl.compare, *argv, "--out", tmp_path / "runs", "--results", tmp_path / "results")
    assert status == 2
    assert err.count("\n") == 1
    assert words in err
    assert not list(tmp_path.iterdir())


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, int]]:
    """The simulated runs, in the order in which they start; two of them fail."""
    found: list[tuple[str, str, int]] = []

    @contextmanager
    def training(where: Workplace) -> Iterator[Train]:
        def start(env_id: str, line: Line, seed: int, out: Path) -> "Future[Result]":
            found.append((env_id, line.label, seed))
            future: Future[Result] = Future()
            if line.label == "SB3":
                future.set_exception(RunFailed("it diverged"))
            elif (env_id, seed) == ("Pendulum-v1", 1):
                future.set_exception(RunFailed("the loss is not finite"))
            else:
                future.set_result(result(seed, 1.0))
            return future

        yield start

    monkeypatch.setattr(suites, "training", training)
    return found


def candidate(env: str, *finished: int, seconds: float, baseline: Runs | None = None, chosen: bool = True) -> Candidate:
    """To be trained on seeds 0 to 2, of which some are finished."""
    ours = Runs(Line("recipe", "a2c", {}, [], {}), [0, 1, 2], {seed: result(seed, 1.0) for seed in finished})
    return Candidate(env, ours, baseline, chosen, seconds=seconds)


def test_longest_first_and_failures_lose_nothing(started: list[tuple[str, str, int]]) -> None:
    written: list[int] = []
    theirs = Runs(Line("SB3", "sb3", {}, [], {}), [0], {})
    short = candidate("CartPole-v1", 0, seconds=1.0)
    long = candidate("Pendulum-v1", seconds=2.0, baseline=theirs)
    other = candidate("Acrobot-v1", seconds=3.0, chosen=False)
    absent = Candidate("MountainCar-v0", None, obstacle="no recipe ships for it")
    everything = [short, other, absent, long]
    suites.train(everything, Path(), Workplace(), lambda: written.append(len(started)))
    assert started == [
        ("Pendulum-v1", "SB3", 0),
        ("Pendulum-v1", "recipe", 0),
        ("Pendulum-v1", "recipe", 1),
        ("Pendulum-v1", "recipe", 2),
        ("CartPole-v1", "recipe", 1),
        ("CartPole-v1", "recipe", 2),
    ]
    assert len(written) == 1, "after the first environment that is complete; the end is the caller's"
    assert {each.env: each.entry().missing for each in everything} == {
        "CartPole-v1": "",
        "Acrobot-v1": "seeds 0 to 2 not finished",
        "MountainCar-v0": "no recipe ships for it",
        "Pendulum-v1": "seed 1 failed: the loss is not finite; Stable-Baselines3's seed 0 failed: it diverged",
    }
    assert [run.summary["seed"] for run in long.entry().runs] == [0, 2]
    assert list(long.entry().baseline) == []


@pytest.mark.parametrize("env_id", [env for env in PUBLISHED if not env.startswith("ALE/")])  # not Gymnasium's own
def test_environments_exist(env_id: str) -> None:
    assert gym.spec(env_id).id == env_id


@pytest.mark.usefixtures("four", "in_process")
def test_another_agent_has_its_own_page(command: Command, tmp_path: Path) -> None:
    arguments = [
        "--suite",
        "zoo",
        "--agent",
        "stream",
        "--seeds",
        "0",
        "--only",
        "CartPole-v1",
        "--set",
        "eval_episodes=2",
    ]
    arguments += ["--set", "total_timesteps=300", "--set", "engine=torch"]
    folders = ["--out", str(tmp_path / "runs"), "--results", str(tmp_path / "results")]
    status, out, _ = command(rl.compare, *arguments, *folders)
    assert status == 0
    directory = tmp_path / "results/zoo-stream"
    assert (directory / "zoo-stream.md").read_text() in out
    assert "# --agent stream beside Stable-Baselines3's A2C" in out
    assert "Ours: `--agent stream` with its section of the environment's file" in " ".join(out.split())
    (entry,) = [
        each for each in json.loads((directory / "zoo-stream.json").read_text())["environments"] if each["runs"]
    ]
    assert entry["settings"]["trace_decay"] == 0
    assert [run.name for run in (tmp_path / "runs/CartPole-v1").iterdir()] == ["stream"]


def test_agent_of_a_suite_that_has_none(command: Command) -> None:
    status, _, err = command(rl.compare, "--suite", "unseen", "--agent", "stream")
    assert (status, err.count("\n")) == (2, 1)
    assert "--agent chooses the agent of --suite zoo; unseen trains a2c" in err
    status, _, err = command(rl.compare, "CartPole-v1", "--agent", "stream")
    assert status == 2
    assert "give --line LABEL agent=NAME" in err
