"""The verdicts and numbers of a suite's page."""

import json

import pytest

from rl.experiments.suites.bars import aggregate, normalized_scores
from rl.experiments.suites.looks import Look
from rl.experiments.suites.published import Published
from rl.experiments.suites.suite import Entry, Report, page, shortfalls, statistics
from rl.experiments.suites.zoo import ZOO, share
from tests.rl.experiments.suites import played, result, rows
from tests.rl.experiments.test_zoo import entry

COSTS = "| environment | our steps"


def several() -> Report:
    """A suite with an environment of every verdict."""
    ant = entry("Ant-v5", 900.0, 900.0, 900.0, 900.0, random=-47.5)._replace(
        still=played(995.0), baseline_settings={}, baseline=[result(seed, 800.0 + 10 * seed) for seed in range(2)]
    )
    return Report("command", "machine", [0, 1, 2, 3], [
        entry("CartPole-v1", 500.0, 500.0, 500.0, 500.0),
        entry("Acrobot-v1", -80.0, -80.0, -90.0, -90.0, random=-500.0, steps=600_000)._replace(
            pages=["../Acrobot-v1/search.md"], still=played(-499.0)
        ),
        entry("Pendulum-v1", -150.0, -160.0, random=-1_300.0, missing="seed 2 failed; seed 3 not finished"),
        Entry("Hopper-v5", {}, [], None, "seeds 0 to 3 not finished"),
        Entry("Walker2d-v5", None, [], None, "no recipe ships for it"),
        entry("ALE/Pong-v5", random=-20.0)._replace(runs=[result(seed, 20.0, 10.0 + seed) for seed in range(4)]),
        ant,
        entry("Swimmer-v5", 250.0)._replace(baseline_settings={}),
    ], [Look("Pendulum-v1", {"gamma": gamma}, [0, 1]) for gamma in (0.9, 0.95)])  # fmt: skip


def test_verdicts() -> None:
    text = str(page(ZOO, several()))
    scores, _, costs = text.partition(COSTS)
    cells = rows(scores)
    assert {env: row[0] for env, row in cells.items()} == {
        "CartPole-v1": "≥",
        "Acrobot-v1": "falls short, intervals overlap",
        "Pendulum-v1 (2 of 4 seeds)": "≥; **seeds used up**",
        "Hopper-v5": "not run",
        "Walker2d-v5": "no recipe",
        "ALE/Pong-v5": "falls short (stochastic)",
        "Ant-v5": "≥; **the bar is uninformative**: standing still scores 995.0; **below standing still**",
        "Swimmer-v5 (1 of 4 seeds)": "no bar yet",
    }
    assert cells["Acrobot-v1"][1:] == [
        "-85.0 [-90.0, -80.0]", "-85.0 [-90.0, -80.0]", "-90.0", "-85.0 [-90.0, -80.0]", "-83.4", "-83.4 ± 17.2",
        "-500.0", "-499.0",
    ]  # fmt: skip
    assert cells["Ant-v5"][5:] == ["805.0 [800.0, 810.0] (SB3, 2 seeds)", "-44.0 ± 63.2 (Ant-v3)", "-47.5", "995.0"]
    spent = rows(COSTS + costs)
    assert spent["Acrobot-v1"] == ["600,000", "500,000", "**120 %, more**", "500,000"]
    assert spent["Ant-v5"] == ["500,000", "500,000", "100 %", "1,000,000"]
    assert spent["Swimmer-v5 (1 of 4 seeds)"][1:] == ["", "", "1,000,000"]


def test_the_verdicts_in_words_and_in_numbers() -> None:
    written = page(ZOO, several())
    text = " ".join(str(written).split())
    for words in (
        "At least the bar in 2 of 4 environments that were run.",
        "Acrobot-v1 (-85.0 against -83.4; the intervals overlap)",
        "ALE/Pong-v5 (11.5 against 17.3; the intervals do not overlap)",
        "Not counted, because the bar is uninformative: Ant-v5.",
        "What was tried in these environments: Acrobot-v1 ([search](../Acrobot-v1/search.md)).",
        "of all seeds in 4 environments is 0.98",
        "trained here from seeds 0, 1, and evaluated as ours is",
        "Hopper-v5 (seeds 0 to 3 not finished); Walker2d-v5 (no recipe ships for it)",
        "evaluated on 100 episodes each",
        "More than one recipe was evaluated in Pendulum-v1 (2 recipes): these seeds are used up there.",
    ):
        assert words in text, words
    numbers = written.numbers
    assert json.loads(json.dumps(numbers, allow_nan=False)) == json.loads(json.dumps(numbers))


def test_numbers() -> None:
    of = entry("LunarLander-v3", 100.0, 150.0, 160.0, 170.0, 200.0, random=-170.0, steps=50_000)
    ours = statistics(ZOO, of)
    assert ours.iqm.value == 160.0
    assert ours.mean.value == 156.0
    assert ours.reaches
    assert not statistics(ZOO, of._replace(runs=of.runs[:4])).reaches
    assert (ours.timesteps, share(of, ours)) == (50_000, 0.25)
    (numbers,) = page(ZOO, Report("command", "machine", range(5), [of])).numbers["environments"]  # type: ignore[misc]
    assert numbers["statistics"]["worst"] == 100.0
    assert numbers["bar"]["score"]["value"] == 155.751
    task = normalized_scores(of)
    assert task is not None
    assert task[3] == pytest.approx(340 / 325.751)
    assert normalized_scores(of._replace(random=None)) is None
    overall = aggregate([of, of._replace(random=None), of._replace(runs=[])])
    assert overall is not None
    assert overall.value == pytest.approx(330 / 325.751)
    assert aggregate([]) is None


def test_one_run_has_no_interval_that_could_overlap() -> None:
    """Acrobot-v1's falls short of a published score; Ant-v5's lies inside the interval of Stable-Baselines3's two."""
    ant = entry("Ant-v5", 600.0)._replace(baseline_settings={}, baseline=[result(0, 500.0), result(1, 800.0)])
    each = [entry("Acrobot-v1", -90.0, random=-500.0), ant]
    found = {of.env: statistics(ZOO, of) for of in each}
    expected = " Falls short: Acrobot-v1 (-90.0 against -83.4); Ant-v5 (600.0 against 650.0)."
    assert shortfalls(found, "{:.1f}".format) == (0, 2, expected)
    cells = rows(str(page(ZOO, Report("command", "machine", [0], each))).partition(COSTS)[0])
    assert [row[0] for row in cells.values()] == ["falls short", "falls short"]


def test_nothing_to_normalize_by_where_random_actions_are_as_good() -> None:
    published = Published("X-v0", 10.0, 5.0, 1)
    assert published.normalize([10.0], 5.0) is None
    scores = published.normalize([10.0, 4.9, 0.0], 4.9)
    assert scores is not None
    assert scores.tolist() == pytest.approx([1.0, 0.0, -4.9 / 5.1])
