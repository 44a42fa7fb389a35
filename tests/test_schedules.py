"""Numbers, and ramps between two of them."""

import math

import numpy as np
import pytest

from rl.schedules import Cosine, Exponential, Linear, Ramp, Schedule, highest, lowest, numbers_of, stays_below, value_at
from rl.typed import ConfigError, convert, plain

SHAPES = (Linear, Cosine, Exponential)


@pytest.mark.parametrize(
    ("schedule", "progress", "expected"),
    [
        (7e-4, 0.0, 7e-4),
        (7e-4, 0.9, 7e-4),
        (Linear(7e-4, 0.0), 0.0, 7e-4),
        (Linear(7e-4, 0.0), 0.5, 3.5e-4),
        (Linear(1.0, 3.0), 0.25, 1.5),
        (Linear(2.0, 2.0), 0.3, 2.0),
        (Linear(1.0, 3.0, 0.5), 0.25, 2.0),
        (Linear(1.0, 3.0, 0.5), 0.75, 3.0),
        (Cosine(1.0, 3.0), 0.5, 2.0),
        (Cosine(2.0, 0.0), 0.25, 1 + math.cos(math.pi / 4)),
        (Cosine(2.0, 0.0, 0.5), 0.25, 1.0),
        (Exponential(1.0, 1e-4), 0.5, 1e-2),
        (Exponential(1e-4, 1.0, 0.2), 0.1, 1e-2),
        (Exponential(1e-300, 1e300), 0.5, 1.0),
    ],
)
def test_value_at(schedule: Schedule, progress: float, expected: float) -> None:
    assert value_at(schedule, progress) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", [1.0, 0.1, 1 / 3])
def test_ramps_go_from_end_to_end_and_stay(shape: type[Ramp], share: float) -> None:
    ramp = shape(0.7, 1e-5, share)
    assert (value_at(ramp, 0.0), value_at(ramp, share), value_at(ramp, 1.0)) == (0.7, 1e-5, 1e-5)
    values = np.array([value_at(ramp, progress) for progress in np.linspace(0, share, 100)])
    assert (np.diff(values) < 0).all()
    assert (lowest(ramp), highest(ramp)) == (values.min(), values.max())


def test_a_whole_line_is_the_plain_formula_to_the_last_bit() -> None:
    for progress in np.random.default_rng(0).random(1000):
        assert value_at(Linear(7e-4, 3e-5), progress) == 7e-4 + (3e-5 - 7e-4) * progress


@pytest.mark.parametrize(("schedule", "expected"), [(0.1, 0.1), (Linear(1.0, 0.5), 0.5), (Linear(-1.0, 2.0), -1.0)])
def test_lowest(schedule: Schedule, expected: float) -> None:
    assert lowest(schedule) == expected


@pytest.mark.parametrize(
    ("schedule", "other", "expected"),
    [
        (1e-3, 2e-3, True),
        (1e-3, 1e-3, False),
        (Linear(1e-2, 1e-4), Linear(2e-2, 2e-4), True),
        (Linear(1e-2, 1e-4), 1e-2, False),
        (Linear(1.0, 0.1), Exponential(1.1, 0.11), False),  # only the ends are in order
        (Exponential(1.0, 0.1), Linear(1.1, 0.11), True),
    ],
)
def test_stays_below(schedule: Schedule, other: Schedule, expected: bool) -> None:
    assert stays_below(schedule, other) == expected


def test_none_is_nan_throughout() -> None:
    assert math.isnan(numbers_of(None)[1])
    assert math.isnan(numbers_of(None)[2])


@pytest.mark.parametrize(
    ("ramp", "text"),
    [
        (Linear(7e-4, 0.0), "linear(0.0007, 0.0)"),
        (Linear(1, 0), "linear(1.0, 0.0)"),
        (Linear(np.float64(1e-20), 1e16, 0.1), "linear(1e-20, 1e+16, 0.1)"),
        (Cosine(0.1 + 0.2, 1 / 3), "cosine(0.30000000000000004, 0.3333333333333333)"),
        (Exponential(7e-4, 7e-6, 1 / 3), "exponential(0.0007, 7e-06, 0.3333333333333333)"),
    ],
)
def test_text_and_back(ramp: Ramp, text: str) -> None:
    assert plain(ramp) == text
    back = convert(text, Schedule | None)
    assert back == ramp
    assert type(back) is type(ramp)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((math.inf, 1.0), "needs finite ends"),
        ((1.0, math.nan), "needs finite ends"),
        ((1.0, 2.0, 0.0), "needs a share of training above 0 and up to 1"),
        ((1.0, 2.0, 1.5), "needs a share of training above 0 and up to 1"),
    ],
)
def test_ramps_that_are_none(shape: type[Ramp], numbers: tuple[float, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        shape(*numbers)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("exponential(1, 0)", r"a number or another schedule \(exponential\(1\.0, 0\.0\) needs ends above 0\) or null"),
        ("linear(1, 0, 2)", r"linear\(1\.0, 0\.0, 2\.0\) needs a share of training"),
        ("linear(1e999, 0)", "needs finite ends"),
        ("linear(1, 0, 0.5, 3)", r"linear\(initial, final\), cosine\(initial, final\) or exponential"),
        ("step(1, 0)", "a number or linear"),
    ],
)
def test_text_that_is_no_schedule(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        convert(text, Schedule | None)
