"""Curves of several runs on a common grid, worked by hand."""

import numpy as np
import pytest

from rl.experiments.curves import mean_curve, on_grid
from rl.experiments.statistics import mean_interval


def test_runs_of_unequal_length_and_steps() -> None:
    short = {"x": np.array([0.0, 10.0, 20.0]), "y": np.array([np.nan, 1.0, 3.0])}
    long = {"x": np.array([5.0, 15.0, 45.0]), "y": np.array([0.0, 2.0, 2.0])}
    grid, curves = on_grid([short, long], "x", "y", points=3)
    assert grid.tolist() == [10.0, 15.0, 20.0]  # where both are known
    assert curves.tolist() == [[1.25, 2.0, 2.75], [1.25, 1.875, 2.0]]  # means up to halfway to the next points
    with pytest.raises(ValueError, match="no x in common"):
        on_grid([short, {"x": np.array([30.0, 40.0]), "y": np.array([1.0, 2.0])}], "x", "y")
    with pytest.raises(ValueError, match="holds no y"):
        on_grid([{"x": np.array([30.0]), "y": np.array([np.nan])}], "x", "y")


def test_a_logarithmic_grid_averages_up_to_halfway_to_the_next_points() -> None:
    ramp = {"x": np.array([0.0, 1.0, 1.0, 2.0, 16.0]), "y": np.array([9.0, 1.0, 7.0, 2.0, 16.0])}
    grid, (means,) = on_grid([ramp], "x", "y", points=3, logarithmic=True)
    np.testing.assert_allclose(grid, [1, 4, 16])
    np.testing.assert_allclose(means, [1.5, 5, 12])  # of y = x over [1, 2], [2, 8] and [8, 16]
    _, (constant,) = on_grid([{"x": np.arange(900.0), "y": np.full(900, 3.0)}], "x", "y", logarithmic=True)
    np.testing.assert_allclose(constant, 3)


def test_the_mean_of_curves_has_the_interval_of_each_point() -> None:
    curves = np.array([[1.0, 2.0, 3.0], [1.0, 4.0, 8.0]])
    middle, low, high = mean_curve(curves, resamples=100)
    assert middle.tolist() == [1.0, 3.0, 5.5]
    assert (low[1], high[1]) == mean_interval([2.0, 4.0], resamples=100)[1:]
