"""Statistics over runs: intervals, aggregates, comparisons. A task's scores are float[R], one per run (seed).

Source of iqm, probability of improvement, performance profiles and the stratified bootstrap: Agarwal et al. 2021,
"Deep reinforcement learning at the edge of the statistical precipice". The intervals differ from theirs and have
better coverage, which `python -m rl.coverage` measures.
"""

from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Scores = NDArray[np.float64]
METHOD = "expanded percentile bootstrap"  # name of `bootstrap` on pages and figures
Statistic = Callable[[Sequence[Scores]], Scores]  # maps tasks, float[..., R] each, to float[...]


def decimals(*scores: float) -> int:
    """Decimals of scores in a table: one if the largest is 10 or more, else two."""
    return 1 if max(map(abs, scores)) >= 10 else 2


def shown(score: float) -> str:
    """A score as shown in a table."""
    return f"{score:.{decimals(score)}f}"


class Interval(NamedTuple):
    """An estimate and its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self:.{decimals(*self)}f}" if np.isfinite(self.value) else "–"

    def __format__(self, spec: str) -> str:
        """ ".2f" → "0.82 [0.64, 0.97]"; a dash for a value that is unknown."""
        return self.written(f"{{:{spec}}}".format) if spec and np.isfinite(self.value) else str(self)

    def written(self, number: Callable[[float], str]) -> str:
        """The estimate and its interval, with the ends in brackets. number: writes a number."""
        return f"{number(self.value)} [{number(self.low)}, {number(self.high)}]"

    def overlaps(self, other: "Interval") -> bool:
        return self.low <= other.high and other.low <= self.high


class Single(Interval):
    """The estimate of one run per task, whose interval is unknown: both ends are the estimate, and are not shown."""

    def written(self, number: Callable[[float], str]) -> str:
        return number(self.value)


def overlapping(x: Interval, y: Interval) -> str:
    """ "overlap" or "do not overlap"; "" if either is of a single run, which has no interval."""
    if isinstance(x, Single) or isinstance(y, Single):
        return ""
    return "overlap" if x.overlaps(y) else "do not overlap"


class Reached(NamedTuple):
    """When runs reached a threshold: how many of them, and the median over all, ∞ where not more than half did."""

    hits: int
    runs: int
    median: float

    @property
    def moment(self) -> str:
        """The median, or a dash if it is ∞."""
        return f"{self.median:,.0f}" if np.isfinite(self.median) else "–"


def as_plain(value: object) -> object:
    """Replaces non-finite numbers by null for JSON: a threshold never reached, an unknown score."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: as_plain(part) for name, part in value._asdict().items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value


def mean(tasks: Sequence[Scores]) -> Scores:
    """The mean over tasks of the mean over runs: float[..., R] each → float[...]."""
    return np.asarray(np.mean([task.mean(-1) for task in tasks], 0))


def iqm(tasks: Sequence[Scores]) -> Scores:
    """The mean of the middle half of all runs of all tasks: float[..., R] each → float[...].

    Cuts off a quarter at each end, rounded down to whole runs: of 10 runs, the two lowest and the two highest. NaN if a
    score is.
    """
    pooled = np.sort(np.concatenate(list(tasks), -1), -1)  # NaN last, where it would be cut off as the highest
    cut = pooled.shape[-1] // 4
    return np.where(np.isnan(pooled[..., -1]), np.nan, pooled[..., cut : pooled.shape[-1] - cut].mean(-1))


def bootstrap(
    tasks: Sequence[ArrayLike], statistic: Statistic = mean, level: float = 0.95, resamples: int = 10_000
) -> Interval:
    """The statistic with its expanded percentile interval from a stratified bootstrap: runs are resampled within tasks.

    The ends are the quantiles Φ(∓ w t) of the resampled statistics. The plain percentile interval has w t = 1.96 at
    95 % and is too narrow for few runs, for two reasons. The variance of a resample is (R − 1)/R times that of the
    sample; w corrects for this. And the variance is itself an estimate; t, Student's quantile with ν degrees of
    freedom, accounts for this. With several tasks, of which task k adds v_k = s_k²/R_k to the variance,
    w² = Σ v_k / Σ v_k (R_k − 1)/R_k, so that the relevant R is the number of runs per task, not of all runs, and
    ν = (Σ v_k)² / Σ v_k²/(R_k − 1) (Welch 1947): for tasks of equal variance, all runs minus the number of tasks.
    All tasks must have the same unit.

    tasks: float[R] each, where R may differ. The generator's seed is fixed, so results are reproducible. The ends are
    NaN if a score is not finite. Returns a `Single` if no task has two runs. Raises ValueError if there is no task, or
    a task without runs.
    Source: Hesterberg 2015, "What teachers should know about the bootstrap", the expanded percentile interval.
    """
    x = [_scores(task) for task in tasks]
    if not x:
        raise ValueError("expected at least one task")
    if not all(np.isfinite(task).all() for task in x):
        return Interval(float(statistic(x)), float("nan"), float("nan"))
    rng = np.random.default_rng(0)
    resampled = [rng.choice(task, (resamples, len(task))) for task in x]
    tail = NormalDist().cdf(-_expanded(x, level))
    low, high = np.quantile(statistic(resampled), [tail, 1 - tail])
    kind = Interval if any(len(task) > 1 for task in x) else Single
    return kind(float(statistic(x)), float(low), float(high))


def _expanded(x: Sequence[Scores], level: float) -> float:
    """w t of `bootstrap`. A task with one run, whose variance is unknown, counts as having none."""
    several = [task for task in x if len(task) > 1]
    largest = max((float(np.abs(task).max()) for task in several), default=0.0) or 1.0  # keeps v² from overflowing
    runs = np.array([len(task) for task in several])
    v = np.array([(task / largest).var(ddof=1) / len(task) for task in several])
    if not v.any():
        return 0.0  # all resamples are equal
    w = float(np.sqrt(v.sum() / (v * (runs - 1) / runs).sum()))
    return w * student_t((1 + level) / 2, _degrees(v, runs))


def _degrees(v: Scores, runs: NDArray[np.int_]) -> float:
    return float(v.sum() ** 2 / (v**2 / (runs - 1)).sum())


def student_t(probability: float, degrees: float) -> float:
    """Quantile of Student's t: t = √ν tan φ, where φ has density ∝ cos^(ν−1) φ on (−π/2, π/2)."""
    phi = np.linspace(-np.pi / 2, np.pi / 2, 4_001)
    middle = (phi[1:] + phi[:-1]) / 2
    share = np.append(0.0, np.cumsum(np.cos(middle) ** (degrees - 1)))
    return float(np.sqrt(degrees) * np.tan(np.interp(probability * share[-1], share, phi)))


def mean_interval(values: ArrayLike, level: float = 0.95, resamples: int = 10_000) -> Interval:
    """The mean over the runs of one task, with the interval of `bootstrap`."""
    return bootstrap([values], mean, level, resamples)


def caveat(runs: int) -> str:
    """A sentence on the interval of `bootstrap` for two to four runs, which no resample can extend; else ""."""
    share = 100 * (1 - 0.5 ** (runs - 1))
    few = f" Of {runs} runs, this is their range, and contains the mean of symmetric scores in only {share:g} %."
    return few if 1 < runs < 5 else ""


def probability_of_improvement(x: Sequence[ArrayLike], y: Sequence[ArrayLike], level: float = 0.95) -> Interval:
    """P(X > Y) + ½ P(X = Y) for runs x and y of the same task, averaged over tasks, with its interval.

    Wilson's score interval for each task, and their mean by squaring and adding (Zou & Donner 2008). In place of the
    number of trials stands n = P (1 − P) / V, with the variance V and the degrees of freedom of Brunner & Munzel 2000,
    and at most 2 min(R, S), because V is unreliable near 0 and 1 (twice is the limit of Hanley & McNeil's 1982 model
    for P → 1). Where all pairs agree, V = 0 says nothing; then n = min(R, S), since V ≤ P (1 − P) / min(R, S)
    (Birnbaum & Klose 1957). So the interval of an x that always wins ends at 1 and begins well below. NaN if a score
    is: it is neither higher nor lower.

    x, y: tasks of the two sides, in the same order, float[R] and float[S]. Raises ValueError if their numbers differ.
    """
    if len(x) != len(y):
        raise ValueError(f"expected the same tasks on both sides, got {len(x)} and {len(y)}")
    return _mean_interval_of([_improvement(_scores(a), _scores(b), level) for a, b in zip(x, y, strict=True)])


def _improvement(a: Scores, b: Scores, level: float) -> Interval:
    """P of one task."""
    if np.isnan(a).any() or np.isnan(b).any():
        return Interval(*[float("nan")] * 3)
    wins = (a[:, None] > b) + 0.5 * (a[:, None] == b)  # [R, S]
    p, fewer, trials, degrees = float(wins.mean()), min(wins.shape), float(min(wins.shape)), 1.0
    if fewer > 1:
        runs = np.array(wins.shape)
        v = np.array([wins.mean(1).var(ddof=1), wins.mean(0).var(ddof=1)]) / runs
        degrees = _degrees(v, runs) if v.any() else fewer - 1.0
        if 0 < p < 1:
            trials = min(p * (1 - p) / v.sum(), 2.0 * fewer) if v.any() else 2.0 * fewer
    return wilson(p, trials, student_t((1 + level) / 2, degrees))


def wilson(p: float, trials: float, z: float) -> Interval:
    """All θ with |p − θ| ≤ z √(θ (1 − θ) / trials). Source: Wilson 1927."""
    center, width = p + z**2 / (2 * trials), z * np.sqrt(p * (1 - p) / trials + (z / trials) ** 2 / 4)
    low, high = ((center + sign * width) / (1 + z**2 / trials) for sign in (-1, 1))
    return Interval(p, min(max(low, 0.0), p), max(min(high, 1.0), p))  # exact up to rounding at p = 0 and p = 1


def _mean_interval_of(parts: Sequence[Interval]) -> Interval:
    """The mean of independent estimates; its deviation at each end is √(Σ deviation²) / n.

    Source: Zou & Donner 2008, the method of variance estimates recovery.
    """
    value, low, high = np.array(parts).T
    below, above = (float(np.sqrt((side**2).sum())) / len(parts) for side in (value - low, high - value))
    center = float(value.mean())
    return Interval(center, center - below, center + above)


def performance_profile(tasks: Sequence[ArrayLike], thresholds: ArrayLike) -> tuple[Scores, Scores, Scores]:
    """The share of runs above each threshold, averaged over tasks, with its 95 % interval: three float[K].

    Wilson's interval for each task; for their mean, deviations are squared and added.
    """
    z, runs = NormalDist().inv_cdf(0.975), [_scores(task) for task in tasks]
    shares = [[wilson(float((task > t).mean()), len(task), z) for task in runs] for t in np.ravel(thresholds)]
    value, low, high = np.array([_mean_interval_of(each) for each in shares]).T
    return value, low, high


def normalized(scores: ArrayLike, worst: float, reference: float) -> Scores:
    """(score − worst) / (reference − worst): 0 is the worst score, such as a random policy's, and 1 the reference."""
    if not reference > worst:
        raise ValueError(f"the reference score {reference} must be above the worst, {worst}")
    return (_scores(scores) - worst) / (reference - worst)


def reached(at: Sequence[float | None]) -> Reached:
    """at: steps or seconds at which each run reached a threshold; None, counted as ∞, for a run that never did."""
    times = [np.inf if moment is None else float(moment) for moment in at]
    below = [t for t in times if np.isfinite(t)]
    ordered = sorted(times)
    middle = ordered[(len(ordered) - 1) // 2 : len(ordered) // 2 + 1]
    return Reached(len(below), len(times), float(np.mean(middle)) if middle else float("nan"))


def _scores(values: ArrayLike) -> Scores:
    x = np.asarray(values, np.float64)
    if x.ndim != 1 or not len(x):
        raise ValueError(f"expected one number a run, float[R], got shape {x.shape}")
    return x
