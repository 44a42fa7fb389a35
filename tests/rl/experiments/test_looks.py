"""The record of which recipe was evaluated on which seeds; the committed record is respected."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from rl.experiments.pages import spelled
from rl.experiments.suites.candidates import Runs
from rl.experiments.suites.looks import Look, described, looks_at, read_looks, with_look, write_looks
from rl.experiments.suites.suite import Suite
from rl.experiments.suites.unseen import UNSEEN
from rl.experiments.suites.zoo import ZOO, zoo
from rl.run.terminal import parse_seeds

RESULTS = Path(__file__).parents[3] / "results"
FAST, SLOW = {"learning_rate": 0.01}, {"learning_rate": 0.001}


def test_the_same_recipe_adds_seeds_and_a_changed_one_is_another_look(tmp_path: Path) -> None:
    looks: list[Look] = []
    for env, recipe, seeds in (
        ("A-v0", FAST, [0, 1]), ("A-v0", FAST, [1, 2]), ("B-v0", FAST, [0]), ("A-v0", SLOW, [0, 1, 2])
    ):  # fmt: skip
        looks = with_look(looks, Look(env, recipe, seeds))
    assert looks == [Look("A-v0", FAST, [0, 1, 2]), Look("B-v0", FAST, [0]), Look("A-v0", SLOW, [0, 1, 2])]
    assert looks_at(looks, "A-v0", [2, 3]) == [looks[0], looks[2]]
    assert looks_at(looks, "A-v0", [3]) == looks_at(looks, "B-v0", [1]) == []
    write_looks(tmp_path / "looks.json", looks)
    assert read_looks(tmp_path / "looks.json") == looks
    assert (tmp_path / "looks.json").read_text().count("\n") == 5
    assert read_looks(tmp_path / "absent.json") == []


def test_what_the_page_says_of_them() -> None:
    once = [Look("A-v0", FAST, [10_000, 10_001, 10_002]), Look("B-v0", SLOW, [10_000])]
    seeds = [10_000, 10_001, 10_002]
    text = described(once, seeds, ["A-v0", "B-v0"])
    assert text == "Evaluations on test seeds: on seeds 10,000 to 10,002, one recipe in 2 of 2 environments."
    before = [Look("A-v0", SLOW, [0, 1]), Look("A-v0", FAST, [0, 1]), Look("B-v0", SLOW, [0])]
    assert described([*before, *once], seeds, ["A-v0", "B-v0"]).removeprefix(text) == (
        " Other evaluations, on seeds 0, 1: 3 recipes in 2 environments. After them, recipes changed: A-v0."
    )
    assert described([before[0], *once], seeds, ["A-v0", "B-v0"]).endswith("After them, recipes changed: A-v0."), (
        "the recipe of the test seeds is another one"
    )
    assert described([*once, Look("A-v0", SLOW, [10_002])], seeds, ["A-v0"]) == (
        "Evaluations on test seeds: on seeds 10,000 to 10,002, one recipe in 0 of 1 environment. "
        "More than one recipe was evaluated in A-v0 (2 recipes): these seeds are used up there. "
        "Other evaluations, on seeds 10,000: 1 recipe in 1 environment."
    )


@pytest.mark.parametrize(
    ("seeds", "text"), [([], ""), ([3], "3"), ([3, 4], "3, 4"), ([0, 1, 5, 6, 7, 9], "0, 1, 5 to 7, 9")]
)
def test_seeds_in_words(seeds: Sequence[int], text: str) -> None:
    assert spelled(seeds) == text


@pytest.mark.parametrize("suite", [ZOO, zoo("ppo"), zoo("stream"), UNSEEN], ids=lambda suite: suite.name)
def test_a_recipe_that_changed_after_a_look_needs_new_seeds(suite: Suite) -> None:
    looks, seeds = read_looks(RESULTS / suite.name / "looks.json"), parse_seeds(suite.seeds)
    for env in suite.envs:
        line = suite.line(env, [])
        assert line is not None
        seen = looks_at(looks, env, seeds)
        assert all(look.recipe == Runs(line, seeds, {}).recipe for look in seen), (
            f"the settings for {env} are not those that were evaluated on seeds {spelled(seeds)}: these are used up; "
            f"choose new ones in rl/experiments/suites/{suite.name}.py and make the page again"
        )


def test_the_record_holds_the_looks_at_the_first_seeds() -> None:
    """Recipes changed after these looks, so scores on those seeds no longer count."""
    looks = read_looks(RESULTS / "zoo/looks.json")
    counts = {env: len(looks_at(looks, env, range(5))) for env in ZOO.envs}
    assert {env: count for env, count in counts.items() if count > 1} == {
        "Pendulum-v1": 3, "LunarLander-v3": 2, "BipedalWalker-v3": 2, "Swimmer-v5": 2, "HalfCheetah-v5": 2
    }  # fmt: skip
