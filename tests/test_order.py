"""Every process begins with slow tests, and every test runs once."""

import pytest

from tests.order import balanced


def test_every_share_begins_with_slow_tests() -> None:
    assert balanced("ABCDE", "uvwxyz", 3) == [*"ADu", *"BEvw", *"Cxyz"]
    assert balanced("AB", "xyz", 1) == [*"ABxyz"]


@pytest.mark.parametrize(("slow", "fast", "processes"), [(0, 5, 3), (7, 0, 3), (5, 1, 2), (1, 9, 4)])
def test_every_test_runs_once(slow: int, fast: int, processes: int) -> None:
    assert sorted(balanced(range(slow), range(slow, slow + fast), processes)) == list(range(slow + fast))
