"""Statistics over runs, compared with SciPy and with cases worked by hand."""

import numpy as np
import pytest
from scipy import stats

from rl.experiments.curves import area_under_curve
from rl.experiments.statistics import (
    Interval,
    bootstrap,
    caveat,
    iqm,
    mean,
    mean_interval,
    normalized,
    performance_profile,
    probability_of_improvement,
    reached,
    student_t,
)

RUNS = np.random.default_rng(1).normal(100, 30, 20)


def _normal(runs: int) -> np.ndarray:
    return np.random.default_rng(runs).normal(100, 30, runs)


def _skewed(runs: int) -> np.ndarray:
    return np.random.default_rng(runs).gamma(4, 25, runs)


def _bimodal(runs: int) -> np.ndarray:
    rng = np.random.default_rng(runs)
    return np.where(np.arange(runs) % 5 == 0, rng.normal(30, 10, runs), rng.normal(450, 30, runs))


SAMPLES = [*(draw(n) for draw in (_normal, _skewed, _bimodal) for n in (20, 35, 50)), np.repeat([9.0, 500.0], [6, 14])]


@pytest.mark.parametrize("sample", SAMPLES, ids=range(len(SAMPLES)))
def test_ends_match_those_of_scipy_bca(sample: np.ndarray) -> None:
    """Within 15 % of the width of SciPy's interval. BCa corrects bias and skewness; our interval corrects the width,
    which at 20 runs is t / z √(n / (n − 1)) = 1.10 times that of a percentile interval: 5 % of the width at either
    end."""
    expected = stats.bootstrap((sample,), np.mean, method="BCa", n_resamples=10_000, rng=0).confidence_interval
    width = expected.high - expected.low
    value, low, high = mean_interval(sample)
    assert value == pytest.approx(sample.mean())
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.15 * width)
    assert width < high - low < 1.2 * width


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(mean, np.mean), (iqm, lambda x, axis: stats.trim_mean(x, 0.25, axis=axis))],
    ids=["mean", "iqm"],
)
def test_expanded_interval_is_scipys_percentile_interval_at_a_higher_level(ours: object, theirs: object) -> None:
    """Quantiles Φ(∓ √(n / (n − 1)) t) instead of 2.5 and 97.5 %."""
    tail = stats.norm.cdf(-np.sqrt(20 / 19) * stats.t.ppf(0.975, 19))
    expected = _percentile((RUNS,), theirs, 1 - 2 * tail)
    value, low, high = bootstrap([RUNS], ours)  # type: ignore[arg-type]
    assert value == pytest.approx(float(theirs(RUNS, axis=-1)))  # type: ignore[operator]
    assert (low, high) == pytest.approx(expected, abs=0.6)


def _percentile(samples: tuple[np.ndarray, ...], statistic: object, level: float) -> tuple[float, float]:
    options = {"method": "percentile", "n_resamples": 20_000, "rng": 0, "axis": -1, "confidence_level": level}
    found = stats.bootstrap(samples, statistic, **options).confidence_interval
    return found.low, found.high


def test_stratified_bootstrap_resamples_within_tasks() -> None:
    """Tasks at 0 and at 1,000, each with equal runs: pooled resampling would scatter, stratified resampling cannot.

    With two tasks, the level is that of Welch's t, and w lies between those of 8 and of 20 runs.
    """
    assert bootstrap([[0.0] * 5, [1000.0] * 3]) == Interval(500.0, 500.0, 500.0)
    other = RUNS[:8] + 500

    def both(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
        return (x.mean(axis) + y.mean(axis)) / 2

    v, n = np.array([RUNS.var(ddof=1) / 20, other.var(ddof=1) / 8]), np.array([20, 8])
    t = stats.ttest_ind(RUNS, other, equal_var=False)
    w = np.sqrt(v.sum() / (v * (n - 1) / n).sum())
    assert np.sqrt(20 / 19) < w < np.sqrt(8 / 7)
    tail = stats.norm.cdf(-w * stats.t.ppf(0.975, t.df))
    assert bootstrap([RUNS, other])[1:] == pytest.approx(_percentile((RUNS, other), both, 1 - 2 * tail), abs=0.6)


@pytest.mark.parametrize("degrees", [1, 2, 4, 7.3, 19, 98])
def test_student_t(degrees: float) -> None:
    for probability in (0.9, 0.975, 0.9985):
        assert student_t(probability, degrees) == pytest.approx(stats.t.ppf(probability, degrees), rel=1e-4)


def test_iqm_by_hand() -> None:
    assert float(iqm([np.array([100.0, 1, 2, 3, 4, 5, 6, -100])])) == 3.5
    assert float(iqm([np.arange(10.0)])) == 4.5  # drops 0, 1, 8, 9
    assert float(iqm([np.array([1.0, 2.0]), np.array([30.0, -9.0])])) == 1.5  # tasks are pooled
    assert float(iqm([np.array([7.0])])) == 7.0


def test_one_run_has_no_interval_to_show() -> None:
    for one in (mean_interval([12.6]), bootstrap([[12.6]], iqm), bootstrap([[10.0], [15.2]])):
        assert (str(one), f"{one:.2f}", one.written("{:g}".format)) == ("12.6", "12.60", "12.6")
    assert str(mean_interval([500.0, 500.0])) == "500.0 [500.0, 500.0]"
    assert "[" in str(bootstrap([[3.0], RUNS]))


def test_the_interval_of_few_runs_is_their_range() -> None:
    """The range of n scores lies below or above their median with probability 2 · 2⁻ⁿ."""
    for runs, share in ((2, "50 %"), (3, "75 %"), (4, "87.5 %")):
        assert mean_interval(RUNS[:runs])[1:] == pytest.approx((RUNS[:runs].min(), RUNS[:runs].max()))
        assert f"Of {runs} runs, this is their range" in caveat(runs)
        assert f"only {share}." in caveat(runs)
    assert caveat(0) == caveat(1) == caveat(5) == ""


def test_edges() -> None:
    assert mean_interval([3.0]) == (3.0, 3.0, 3.0)
    assert bootstrap([[3.0], RUNS]).low < bootstrap([[3.0], RUNS]).value  # the variance of one run is unknown
    assert mean_interval([1.0, 5.0]) == mean_interval([1.0, 5.0])
    for broken in ([], [[1.0, 2.0]]):
        with pytest.raises(ValueError, match=r"float\[R\]"):
            mean_interval(broken)
    with pytest.raises(ValueError, match="at least one task"):
        bootstrap([])


def test_probability_of_improvement() -> None:
    assert probability_of_improvement([[2.0, 3.0]], [[1.0, 0.0, 1.5]]).value == 1.0
    assert probability_of_improvement([[1.0]], [[1.0]]).value == 0.5
    x, y = [1.0, 3.0, 5.0], [2.0, 3.0]  # wins: 0, 1.5, 2 of 2 each
    assert probability_of_improvement([x], [y]).value == pytest.approx((0 + 1.5 + 2) / 6)
    assert probability_of_improvement([x, [9.0]], [y, [0.0]]).value == pytest.approx((3.5 / 6 + 1) / 2)
    other = RUNS[:12] - 10
    u = stats.mannwhitneyu(RUNS, other).statistic
    assert probability_of_improvement([RUNS], [other]).value == pytest.approx(u / (20 * 12))
    with pytest.raises(ValueError, match="same tasks"):
        probability_of_improvement([x], [y, y])


def test_probability_of_improvement_of_scores_that_are_not_finite() -> None:
    inf = float("inf")
    assert probability_of_improvement([[inf, inf]], [[inf, 1.0]]).value == 0.75  # two ties of four
    assert np.isnan(probability_of_improvement([[float("nan"), 1.0]], [[0.0, 1.0]])).all()
    assert f"{probability_of_improvement([[float('nan')]], [[0.0]]):.2f}" == "–"


def test_interval_of_the_probability_does_not_collapse() -> None:
    """All 20 runs win: Wilson's interval for 20 of 20 trials, with t at 19 degrees of freedom."""
    t2 = stats.t.ppf(0.975, 19) ** 2
    above = probability_of_improvement([RUNS + 500], [RUNS])
    assert above == pytest.approx((1.0, 20 / (20 + t2), 1.0), rel=1e-4)
    assert probability_of_improvement([RUNS], [RUNS + 500]) == pytest.approx((0.0, 0.0, 1 - above.low))
    low, high = probability_of_improvement([[500.0] * 20], [[500.0] * 20])[1:]  # all tie
    assert (low, high) == (pytest.approx(1 - high), pytest.approx(0.5 + 0.5 / np.sqrt(1 + 40 / t2), rel=1e-4))
    assert probability_of_improvement([[1.0]], [[0.0]]).low < 0.01


def test_interval_of_the_probability_is_near_brunner_munzel_in_the_middle() -> None:
    """For P near ½, where its normal approximation is good; four equal tasks halve the width."""
    x, y = _normal(50), _skewed(50)
    wins = (x[:, None] > y) * 1.0
    p, low, high = probability_of_improvement([x], [y])
    error = np.sqrt(wins.mean(1).var(ddof=1) / 50 + wins.mean(0).var(ddof=1) / 50)
    t = stats.t.ppf(0.975, 96)
    assert (low, high) == pytest.approx((p - t * error, p + t * error), abs=0.02)
    together = probability_of_improvement([x] * 4, [y] * 4)
    assert together == pytest.approx((p, p - (p - low) / 2, p + (high - p) / 2))


def test_performance_profile() -> None:
    tasks = [[0.0, 0.5, 1.0, 2.0], [3.0, 3.0]]
    value, low, high = performance_profile(tasks, [-1.0, 0.5, 2.5, 3.0])
    assert value.tolist() == [1.0, 0.75, 0.5, 0.0]
    wilson = stats.binomtest(2, 4).proportion_ci(method="wilson")  # for the first task; in the other, 2 of 2 win
    other = stats.binomtest(2, 2).proportion_ci(method="wilson")
    below = np.hypot(0.5 - wilson.low, 1 - other.low) / 2
    assert (low[1], high[1]) == pytest.approx((0.75 - below, 0.75 + (wilson.high - 0.5) / 2))
    assert low[0] < value[0] == high[0] == 1


def test_normalized() -> None:
    assert normalized([-500.0, -80.0, 130.0], -500, -80).tolist() == [0.0, 1.0, 1.5]
    with pytest.raises(ValueError, match="above the worst"):
        normalized([1.0], 5, 5)


def test_area_under_curve() -> None:
    assert area_under_curve([0, 1, 3], [0, 2, 2], 3) == pytest.approx((1 + 4) / 3)
    assert area_under_curve([0, 1, 3], [np.nan, 2, 4], 3) == 3.0  # from the first known point
    assert area_under_curve([0, 2], [0, 2], 4) == pytest.approx((2 + 4) / 4)  # keeps its last height
    assert area_under_curve([0, 2, 9], [0, 2, 50], 2) == 1.0  # ignores the rest
    assert area_under_curve([5], [7], 5) == 7.0
    assert np.isnan(area_under_curve([1, 2], [np.nan, np.nan], 3))


def test_runs_that_never_reach_the_threshold_count() -> None:
    assert reached([10, 30, 20]) == (3, 3, 20.0)
    assert reached([10, 30, None, 20]) == (3, 4, 25.0)
    assert reached([10, None]) == (1, 2, np.inf)
    assert reached([10, 20, None, None]) == (2, 4, np.inf)
    assert reached([None, None]) == (0, 2, np.inf)


def test_an_unknown_score_has_no_interval() -> None:
    interval = mean_interval([1.0, np.nan])
    assert np.isnan(interval).all()
    assert str(interval) == "–"
    assert np.isnan(bootstrap([[np.nan, 1.0, 2.0, 3.0]], iqm)).all()  # a NaN is not the highest score


@pytest.mark.parametrize("scale", [1e-200, 1e-100, 1e100, 1e200])
def test_intervals_of_scores_of_any_size(scale: float) -> None:
    wanted = mean_interval(RUNS)
    assert mean_interval(RUNS * scale) == pytest.approx(tuple(x * scale for x in wanted), rel=1e-9)
