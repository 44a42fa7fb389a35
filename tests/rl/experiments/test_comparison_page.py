"""The sentence that ranks lines says which intervals overlap and where the means disagree."""

import pytest

from rl.experiments.compared import steps_of
from rl.experiments.comparison_page import ranked
from rl.experiments.statistics import Interval

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


def test_steps_of_lines() -> None:
    assert steps_of({"a": 1000, "b": 1000}) == "1,000"
    assert steps_of({"a": 1000, "b": 2000, "c": 1000}) == "1,000 (b: 2,000)"
