"""`python -m rl.compare --suite unseen`: environments without a recipe, against random actions plus a margin."""

import json
from pathlib import Path

import gymnasium as gym
import pytest

import rl.compare
import rl.index
from agents.settings.recipes import recipe_file
from agents.settings.values import ConfigError
from envs import UnknownEnvironment
from rl.experiments.statistics import Interval
from rl.experiments.suites import training as suites
from rl.experiments.suites.suite import Entry, Report, page, statistics
from rl.experiments.suites.unseen import TASKS, UNSEEN, goal, line
from tests.conftest import Command
from tests.rl.experiments.suites import played, result, rows

GRID, MINIGRID = "envs.probes:GridWorld-v0", "minigrid:MiniGrid-Empty-5x5-v0"
RECIPE, PLAY_RANDOMLY = recipe_file, suites.evaluate_uniform


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite of three environments, one of which lacks its package."""

    def play_randomly(env_id: str, *episodes: int, **more: object) -> object:
        if env_id == MINIGRID:
            raise UnknownEnvironment("cannot import 'minigrid'")
        return PLAY_RANDOMLY(env_id, *episodes, **more)

    monkeypatch.setitem(rl.compare.SUITES, "unseen", UNSEEN._replace(envs=("FrozenLake-v1", GRID, MINIGRID)))
    monkeypatch.setattr(suites, "evaluate_uniform", play_randomly)


@pytest.mark.slow
@pytest.mark.usefixtures("three", "in_process")
def test_suite(command: Command, tmp_path: Path) -> None:
    arguments = ["--suite", "unseen", "--seeds", "0", "--set", "total_timesteps=2000", "--set", "eval_episodes=2"]
    arguments += ["--out", str(tmp_path / "runs"), "--results", str(tmp_path / "results")]
    status, out, _ = command(rl.compare, *arguments)
    assert status == 0
    assert f"note: {MINIGRID} is left out: cannot import 'minigrid'\n" in out
    directory = tmp_path / "results/unseen"
    assert (directory / "unseen.md").read_text() in out
    assert (directory / "unseen.png").stat().st_size > 20_000
    assert (directory / "unseen.pdf").read_bytes().startswith(b"%PDF")
    written = json.loads((directory / "unseen.json").read_text())["environments"]
    assert {of["env"]: [run["seed"] for run in of["runs"]] for of in written} == {
        "FrozenLake-v1": [0], GRID: [0], MINIGRID: []
    }  # fmt: skip
    assert written[1]["random"] == pytest.approx(0.23, abs=0.15)
    assert written[1]["statistics"]["goal"] == written[1]["random"] + 0.2
    assert written[2]["missing"] == "seed 0 not finished; cannot import 'minigrid'"
    cells = rows((directory / "unseen.md").read_text().partition("| environment | why")[0])
    assert cells[MINIGRID][:3] == ["images of 7 × 7 × 3", "`wrappers=[minigrid.wrappers:ImgObsWrapper]`", "not run"]
    runs = sorted((tmp_path / "runs").glob("*/*/*"))
    assert command(rl.compare, *arguments)[0] == 0
    assert sorted((tmp_path / "runs").glob("*/*/*")) == runs, "finished runs are not trained again"


def test_index_links_to_it_and_takes_it_for_no_comparison(command: Command, tmp_path: Path) -> None:
    line = {"label": "recipe", "settings": {"total_timesteps": 500_000}, "runs": [result(0, 500.0).summary]}
    comparison = {"command": "", "random": 20.0, "lines": [line]}
    for file, content in (("CartPole-v1/comparison.json", comparison), ("unseen/unseen.json", {})):
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).write_text(json.dumps(content))
    (tmp_path / "unseen/unseen.md").touch()
    assert command(rl.index, "--results", tmp_path)[0] == 0
    assert "| [unseen/unseen.md](unseen/unseen.md) |" in (tmp_path / "README.md").read_text()


def test_a_recipe_that_ships_is_not_passed_by(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("rl.experiments.suites.unseen.recipe_file", lambda env: RECIPE("CartPole-v1"))
    with pytest.raises(ConfigError, match=r"Reacher-v5 is left out: a recipe ships for it"):
        suites.survey(UNSEEN, ["Reacher-v5"], [], [0], tmp_path, tmp_path / "unseen.json")


@pytest.mark.parametrize("env_id", TASKS)
def test_defaults_but_for_how_the_environment_is_built(env_id: str) -> None:
    settings = line(env_id, [])
    assert settings is not None, "no recipe ships"
    defaults = line("FrozenLake-v1", [])
    assert defaults is not None
    changed = {key for key, value in settings.settings.items() if value != defaults.settings[key]}
    assert changed <= {"wrappers", "env_kwargs"}
    assert changed == set(settings.variant.changes)
    assert TASKS[env_id].margin > 0
    module, _, bare = env_id.rpartition(":")
    if module in ("", "gymnasium"):
        assert bare in gym.registry


def test_settings_of_the_command_go_over_those_of_the_suite() -> None:
    of = line("gymnasium:LunarLander-v3", ["gamma=0.9", "env_kwargs={continuous: true, gravity: -9.0}"])
    assert of is not None
    assert of.settings["gamma"] == 0.9
    assert of.variant.env_kwargs == {"continuous": True, "gravity": -9.0}


def test_verdicts() -> None:
    of = Report("command", "machine", [0, 1], [
        Entry("FrozenLake-v1", {}, [result(0, 0.0, 0.3), result(1, 0.0, 0.1)], played(0.0), ""),
        Entry("Reacher-v5", {}, [result(0, -10.0, -40.0), result(1, -10.0, -31.0)], played(-42.0), ""),
        Entry("InvertedPendulum-v5", {}, [result(0, 900.0)], None, "seed 1 failed"),
        Entry("Blackjack-v1", {}, [result(0, 0.0, cut=3), result(1, 0.0, cut=1)], played(-0.4, cut=7), ""),
        Entry(GRID, {}, [], played(0.25), "seeds 0, 1 not finished"),
        Entry(MINIGRID, None, [], None, "no package"),
    ])  # fmt: skip
    assert goal(of.entries[1]) == Interval(-32.0, -32.0, -32.0)
    assert statistics(UNSEEN, of.entries[0]).reaches
    assert statistics(UNSEEN, of.entries[2]).reaches is None
    cells = rows(str(page(UNSEEN, of)).partition("| environment | why")[0])
    assert {env: row[2] for env, row in cells.items()} == {
        "FrozenLake-v1": "improves",
        "Reacher-v5": "**falls short**",
        "InvertedPendulum-v5 (1 of 2 seeds)": "no random actions",
        "Blackjack-v1": "improves",
        GRID: "not run",
        MINIGRID: "not run",
    }
    assert cells["Reacher-v5"][3:] == [
        "-42.0 [-42.0, -42.0]", "10.0", "-35.5 [-40.0, -31.0]", "-40.0", "-10.0 [-10.0, -10.0]", "500,000",
    ]  # fmt: skip
    assert cells["FrozenLake-v1"][5] == "0.20 [0.10, 0.30]"
    text = " ".join(str(page(UNSEEN, of)).split())
    for words in (
        "by the margin in 2 of 3 environments. The interval reaches below random actions plus the margin in "
        "FrozenLake-v1. Falls short:",
        "Falls short: Reacher-v5 (-35.5 against -32.0; the intervals overlap).",
        "Cut off after 30,000 steps, having no time limit: Blackjack-v1 (7 of 100 episodes of random actions); "
        "Blackjack-v1 (4 of 400 episodes of ours).",
        "Actions have no bounds between which to be random: InvertedPendulum-v5.",
        "| Reacher-v5 | a quarter of the way to -3.75, its reward threshold |",
        f"InvertedPendulum-v5 (seed 1 failed); {GRID} (seeds 0, 1 not finished); {MINIGRID} (no package).",
    ):
        assert words in text, words
    numbers = page(UNSEEN, of).numbers
    assert json.loads(json.dumps(numbers, allow_nan=False)) == json.loads(json.dumps(numbers))


def test_an_environment_that_was_not_run_has_a_row_as_wide_as_the_others() -> None:
    entry = Entry(GRID, None, [], None, "cannot be trained here")
    assert len(UNSEEN.cells(Report("command", "machine", [0], [entry]), entry, None)) == len(UNSEEN.heads)
