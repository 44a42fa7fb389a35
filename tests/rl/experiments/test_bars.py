"""The bar for a recipe, published or trained here, and whether reaching it is informative."""

from typing import cast

import pytest

from agents.settings.recipes import shipped_file
from agents.settings.run import settings_for
from rl.experiments.parallel import BASELINE
from rl.experiments.suites.bars import Trivial, aggregate, bar, baseline_line, empty, normalized_scores, trivial
from rl.experiments.suites.published import PUBLISHED
from rl.experiments.suites.suite import Entry
from rl.experiments.suites.zoo import zoo
from tests.rl.experiments.suites import played, result

MUJOCO = [env for env in PUBLISHED if env.endswith("-v5") and not env.startswith("ALE/")]


def trained(*theirs: float, ours: float, random: float, still: float) -> Entry:
    """An environment whose bar is trained here."""
    runs = [result(seed, mean, steps=1_000_000) for seed, mean in enumerate(theirs)]
    return Entry("Ant-v5", {}, [result(0, ours)], played(random), "", played(still), {}, runs)


def test_mujoco_has_settings_of_rl_zoo_and_nothing_else_has() -> None:
    lines = {env: baseline_line(env, []) for env in PUBLISHED}
    assert [env for env, line in lines.items() if line] == MUJOCO
    for env in MUJOCO:
        line = lines[env]
        assert line is not None
        assert line.agent == BASELINE
        changed = {
            "num_envs": 1, "n_steps": 5, "normalize_observations": True, "normalize_rewards": True,
            "total_timesteps": PUBLISHED[env].timesteps,
        }  # fmt: skip
        file = shipped_file(f"rl-zoo/{env}.yaml")
        assert file is not None
        assert settings_for("a2c", file) == changed | ({"gamma": 0.9999} if env == "Swimmer-v5" else {})
    short = cast("dict[str, object]", baseline_line("Ant-v5", ["total_timesteps=2000"])._asdict()["settings"])  # type: ignore[union-attr]
    assert (short["total_timesteps"], short["n_steps"]) == (2000, 5)


def test_ppo_is_held_to_ppo() -> None:
    """Its bar is trained here if the rewards of versions 5 and 3 differ; nothing of A2C's is used."""
    suite = zoo("ppo")
    assert suite.baseline is not None
    lines = {env: suite.baseline(env, []) for env in suite.envs}
    assert {env for env, line in lines.items() if line} == {"Ant-v5", "Humanoid-v5"}
    ant = lines["Ant-v5"]
    assert ant is not None
    assert (ant.agent, ant.settings["n_steps"], ant.settings["n_epochs"]) == ("sb3-ppo", 2048, 10)
    hopper = Entry("Hopper-v5", {}, [result(0, 2_000.0)], played(20.0), "", published=suite.published["Hopper-v5"])
    reference = bar(hopper)
    assert reference is not None
    assert (reference.score.value, reference.timesteps) == (2410.435, 1_000_000)
    assert bar(hopper._replace(env="Humanoid-v5", published=suite.published.get("Humanoid-v5"))) is None


def test_a_published_bar() -> None:
    of = Entry("LunarLander-v3", {}, [result(0, 200.0)], played(-170.0), "", published=PUBLISHED["LunarLander-v3"])
    reference = bar(of)
    assert reference is not None
    assert (reference.score, reference.spread, reference.timesteps, reference.seeds) == (
        (155.751, 155.751, 155.751), 80.419, 200_000, 0
    )  # fmt: skip
    assert empty(of) is None


def test_a_bar_that_is_trained_here() -> None:
    of = trained(900.0, 1000.0, 1100.0, ours=1_500.0, random=-50.0, still=400.0)
    reference = bar(of)
    assert reference is not None
    assert reference.score.value == 1000.0
    assert 900.0 <= reference.score.low < 1000.0 < reference.score.high <= 1100.0
    assert reference.spread == reference.score.value - reference.score.low
    assert (reference.timesteps, reference.seeds) == (1_000_000, 3)
    scores = normalized_scores(of)
    assert scores is not None
    assert scores.tolist() == pytest.approx([1550 / 1050])
    assert bar(of._replace(baseline=[])) is None
    assert normalized_scores(of._replace(baseline=[])) is None


def test_a_bar_that_standing_still_reaches_says_nothing() -> None:
    of = trained(900.0, 1000.0, 1100.0, ours=1_500.0, random=-50.0, still=995.0)
    assert empty(of) == trivial(of) == Trivial("standing still", 995.0)
    assert normalized_scores(of) is None
    below = of._replace(still=played(200.0))
    assert empty(below) is None
    assert aggregate([of, below]) == aggregate([below])
    assert empty(below._replace(random=played(950.0))) == Trivial("random actions", 950.0), "within its spread"
    unknown = of._replace(still=None, random=None)
    assert trivial(unknown) is empty(unknown) is None
