"""Numbers and straight lines."""

import pytest

from rl.schedules import Linear, Schedule, lowest, value_at


@pytest.mark.parametrize(
    ("schedule", "progress", "expected"),
    [
        (7e-4, 0.0, 7e-4),
        (7e-4, 0.9, 7e-4),
        (Linear(7e-4, 0.0), 0.0, 7e-4),
        (Linear(7e-4, 0.0), 0.5, 3.5e-4),
        (Linear(1.0, 3.0), 0.25, 1.5),
        (Linear(2.0, 2.0), 0.3, 2.0),
    ],
)
def test_value_at(schedule: Schedule, progress: float, expected: float) -> None:
    assert value_at(schedule, progress) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(("schedule", "expected"), [(0.1, 0.1), (Linear(1.0, 0.5), 0.5), (Linear(-1.0, 2.0), -1.0)])
def test_lowest(schedule: Schedule, expected: float) -> None:
    assert lowest(schedule) == expected


def test_text() -> None:
    assert str(Linear(7e-4, 0.0)) == "linear(0.0007, 0.0)"
