"""The sentence that ranks lines says which intervals overlap and where the means disagree."""

from pathlib import Path

import pytest

from rl.experiments.compared import steps_of
from rl.experiments.comparison_page import Comparison, comparison_page, ranked, sweep_page
from rl.experiments.parallel import Line
from rl.experiments.statistics import Interval
from rl.run.results import read_result
from tests.runs import finished_run

LOW, MIDDLE, HIGH = Interval(1, 0, 2), Interval(3, 1.5, 5), Interval(9, 8, 10)


@pytest.mark.parametrize(
    ("iqms", "text"),
    [
        ({"a": LOW, "b": HIGH}, "Highest interquartile mean: b. No other line's interval overlaps."),
        ({"a": LOW, "b": MIDDLE}, "Highest interquartile mean: b. Every other line's interval overlaps."),
        ({"a": LOW, "b": MIDDLE, "c": Interval(4, 3, 6)}, "Highest interquartile mean: c. Overlapping intervals: b."),
        ({"a": HIGH, "b": HIGH, "c": LOW}, "Highest interquartile mean: a; b. No other line's interval overlaps."),
        ({"a": HIGH, "b": HIGH}, "All lines have the same interquartile mean."),
    ],
)
def test_ranks(iqms: dict[str, Interval], text: str) -> None:
    assert ranked(iqms, iqms) == text


def test_the_mean_disagrees() -> None:
    """If a quarter of the runs fails, the mean changes, but not the interquartile mean."""
    assert ranked({"a": LOW, "b": MIDDLE}, {"a": MIDDLE, "b": LOW}).endswith("overlaps. Highest mean: a.")


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    settings = {"total_timesteps": 300}
    lines = [Line(label, "a2c", settings, [], settings) for label in ("a", "b")]
    results = [[read_result(finished_run(tmp_path / label, score))] for label, score in (("a", 12.6), ("b", 15.0))]
    comparison = Comparison("title", "name", "command", "machine", lines, results, None, None)
    page = str(comparison_page(comparison))
    assert "| a | 12.6 | 12.6 | 12.6 | 12.6 | 66.7 |" in page
    assert "| b | a | – | 1.00 [" in page
    text = " ".join(page.split())
    assert "each agent plays 1 episode with its most likely actions" in text
    assert "One seed has no interval." in text
    assert "Highest interquartile mean: b.\n" in page
    assert "| a | none | 12.6 | 12.6 | 12.6 | 12.6 | 66.7 |" in str(sweep_page(comparison))


def test_a_comparison_of_a_user_does_not_begin_with_our_sentence(tmp_path: Path) -> None:
    settings = {"total_timesteps": 300}
    runs = [read_result(finished_run(tmp_path / "run", 12.0))]
    for labels, sentence in ((("ours, PPO", "SB3, PPO"), True), (("mine", "theirs"), False)):
        lines = [Line(label, "ppo", settings, [], settings) for label in labels]
        page = str(comparison_page(Comparison("title", "ppo", "command", "machine", lines, [runs] * 2, None, None)))
        assert ("Our PPO and Stable-Baselines3's" in page) is sentence


def test_each_line_plays_its_own_number_of_episodes(tmp_path: Path) -> None:
    settings = {"total_timesteps": 300}
    lines = [Line(label, "a2c", settings, [], settings) for label in ("a", "b")]
    results = [[read_result(finished_run(tmp_path / label, 12.0))] for label in "ab"]
    results[1][0].summary["eval_episodes"] = 7
    page = str(comparison_page(Comparison("title", "name", "command", "machine", lines, results, None, None)))
    assert "each agent plays 1 (b: 7) episodes with" in " ".join(page.split())


def test_a_figure_with_seconds_is_not_called_one_without(tmp_path: Path) -> None:
    settings = {"total_timesteps": 300}
    lines, results = [Line("a", "a2c", settings, [], settings)], [[read_result(finished_run(tmp_path / "run", 12.0))]]
    for timed in (False, True):
        comparison = Comparison("title", "name", "command", "machine", lines, results, None, None, timed)
        page = " ".join(str(comparison_page(comparison)).split())
        assert ("Speed is not compared" in page) is not timed
        assert ("Seconds are those of training" in page) is timed


def test_two_seeds_have_their_range_for_an_interval(tmp_path: Path) -> None:
    settings = {"total_timesteps": 300}
    results = [read_result(finished_run(tmp_path / str(score), score)) for score in (12.0, 18.0)]
    comparison = Comparison(
        "title", "name", "command", "machine", [Line("a", "a2c", settings, [], settings)], [results], None, None
    )
    text = " ".join(str(comparison_page(comparison)).split())
    assert "intervals over 2 seeds. Of 2 runs, this is their range, and" in text
    assert "15.0 [12.0, 18.0]" in text


def test_steps_of_lines() -> None:
    assert steps_of({"a": 1000, "b": 1000}) == "1,000"
    assert steps_of({"a": 1000, "b": 2000, "c": 1000}) == "1,000 (b: 2,000)"
    assert steps_of({"a": 1000, "b": 20, "c": 1000, "d": 30, "e": 20}) == "1,000 (b, e: 20; d: 30)"
