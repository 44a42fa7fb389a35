"""Statistics over runs, beside SciPy and cases worked by hand."""

import numpy as np
import pytest
from scipy import stats

from rl.experiments.statistics import (
    Interval,
    area_under_curve,
    bootstrap,
    iqm,
    mean,
    mean_interval,
    normalized,
    on_grid,
    performance_profile,
    probability_of_improvement,
    reached,
)

RUNS = np.random.default_rng(1).normal(100, 30, 20)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(mean, np.mean), (iqm, lambda x, axis: stats.trim_mean(x, 0.25, axis=axis))],
    ids=["mean", "iqm"],
)
def test_intervals_match_scipy(ours: object, theirs: object) -> None:
    options = {"method": "percentile", "n_resamples": 20_000, "rng": 0, "axis": -1}
    expected = stats.bootstrap((RUNS,), theirs, **options).confidence_interval
    value, low, high = bootstrap([RUNS], ours)  # type: ignore[arg-type]
    assert value == pytest.approx(float(theirs(RUNS, axis=-1)))  # type: ignore[operator]
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.5)


def test_stratified_bootstrap_resamples_within_tasks() -> None:
    """Tasks at 0 and at 1,000 whose runs agree: pooled resampling would scatter, stratified resampling cannot."""
    assert bootstrap([[0.0] * 5, [1000.0] * 3]) == Interval(500.0, 500.0, 500.0)
    other = RUNS[:8] + 500

    def both(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
        return (x.mean(axis) + y.mean(axis)) / 2

    expected = stats.bootstrap((RUNS, other), both, method="percentile", n_resamples=20_000, rng=0).confidence_interval
    assert bootstrap([RUNS, other])[1:] == pytest.approx((expected.low, expected.high), abs=0.5)


def test_iqm_by_hand() -> None:
    assert float(iqm([np.array([100.0, 1, 2, 3, 4, 5, 6, -100])])) == 3.5
    assert float(iqm([np.arange(10.0)])) == 4.5  # drops 0, 1, 8, 9
    assert float(iqm([np.array([1.0, 2.0]), np.array([30.0, -9.0])])) == 1.5  # tasks are pooled
    assert float(iqm([np.array([7.0])])) == 7.0


def test_edges() -> None:
    assert mean_interval([3.0]) == (3.0, 3.0, 3.0)
    assert mean_interval([1.0, 5.0]) == mean_interval([1.0, 5.0])
    for broken in ([], [[1.0, 2.0]]):
        with pytest.raises(ValueError, match=r"float\[R\]"):
            mean_interval(broken)
    with pytest.raises(ValueError, match="at least one task"):
        bootstrap([])


def test_probability_of_improvement() -> None:
    assert probability_of_improvement([[2.0, 3.0]], [[1.0, 0.0, 1.5]]) == (1.0, 1.0, 1.0)
    assert probability_of_improvement([[1.0]], [[1.0]]).value == 0.5
    x, y = [1.0, 3.0, 5.0], [2.0, 3.0]  # wins: 0, 1.5, 2 of 2 each
    assert probability_of_improvement([x], [y]).value == pytest.approx((0 + 1.5 + 2) / 6)
    assert probability_of_improvement([x, [9.0]], [y, [0.0]]).value == pytest.approx((3.5 / 6 + 1) / 2)
    other = RUNS[:12] - 10
    u = stats.mannwhitneyu(RUNS, other).statistic
    assert probability_of_improvement([RUNS], [other]).value == pytest.approx(u / (20 * 12))
    with pytest.raises(ValueError, match="same tasks"):
        probability_of_improvement([x], [y, y])


def test_performance_profile() -> None:
    value, low, high = performance_profile([[0.0, 0.5, 1.0, 2.0], [3.0, 3.0]], [-1.0, 0.5, 2.5, 3.0])
    assert value.tolist() == [1.0, 0.75, 0.5, 0.0]
    assert (low <= value).all()
    assert (value <= high).all()


def test_normalized() -> None:
    assert normalized([-500.0, -80.0, 130.0], -500, -80).tolist() == [0.0, 1.0, 1.5]
    with pytest.raises(ValueError, match="above the worst"):
        normalized([1.0], 5, 5)


def test_area_under_curve() -> None:
    assert area_under_curve([0, 1, 3], [0, 2, 2], 3) == pytest.approx((1 + 4) / 3)
    assert area_under_curve([0, 1, 3], [np.nan, 2, 4], 3) == 3.0  # from where it is known
    assert area_under_curve([0, 2], [0, 2], 4) == pytest.approx((2 + 4) / 4)  # holds its last height
    assert area_under_curve([0, 2, 9], [0, 2, 50], 2) == 1.0  # nothing beyond
    assert area_under_curve([5], [7], 5) == 7.0
    assert np.isnan(area_under_curve([1, 2], [np.nan, np.nan], 3))


def test_runs_that_never_reach_the_threshold_count() -> None:
    assert reached([10, 30, 20]) == (3, 3, 20.0)
    assert reached([10, 30, None, 20]) == (3, 4, 25.0)
    assert reached([10, None]) == (1, 2, np.inf)
    assert reached([10, 20, None, None]) == (2, 4, np.inf)
    assert reached([None, None]) == (0, 2, np.inf)


def test_runs_of_unequal_length_and_steps() -> None:
    short = {"x": np.array([0.0, 10.0, 20.0]), "y": np.array([np.nan, 1.0, 3.0])}
    long = {"x": np.array([5.0, 15.0, 45.0]), "y": np.array([0.0, 2.0, 2.0])}
    grid, curves = on_grid([short, long], "x", "y", points=3)
    assert grid.tolist() == [10.0, 15.0, 20.0]  # where both are known
    assert curves.tolist() == [[1.0, 2.0, 3.0], [1.0, 2.0, 2.0]]
    with pytest.raises(ValueError, match="no x in common"):
        on_grid([short, {"x": np.array([30.0, 40.0]), "y": np.array([1.0, 2.0])}], "x", "y")
    with pytest.raises(ValueError, match="holds no y"):
        on_grid([{"x": np.array([30.0]), "y": np.array([np.nan])}], "x", "y")
