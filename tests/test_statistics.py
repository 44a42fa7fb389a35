import numpy as np
import pytest
from scipy.stats import bootstrap

from rl.statistics import mean_interval


def test_matches_scipy() -> None:
    values = np.random.default_rng(1).normal(100, 30, 20)
    expected = bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=0).confidence_interval
    mean, low, high = mean_interval(values)
    assert mean == pytest.approx(values.mean())
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.5)


def test_edges() -> None:
    assert mean_interval([3.0]) == (3.0, 3.0, 3.0)
    assert mean_interval([1.0, 5.0]) == mean_interval([1.0, 5.0])
    for broken in ([], [[1.0, 2.0]]):
        with pytest.raises(ValueError, match=r"float\[S\]"):
            mean_interval(broken)
