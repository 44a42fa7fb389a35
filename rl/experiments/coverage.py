"""Simulates how often 95 % intervals contain the true value, for scores of few runs, some of which fail."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rl.experiments.pages import Page, paragraph, table
from rl.experiments.statistics import Scores, bootstrap, iqm, mean, mean_interval, probability_of_improvement

SEEDS = (5, 10, 20, 50)
RESAMPLES = 1_000
TAILS = (0.025, 0.975)
SPREAD = 0.1  # standard deviation of the scores, of failing and other runs

FORMER = "percentile bootstrap"
EXPANDED = "**expanded percentile bootstrap**"
WILSON = "**Wilson, effective number of runs**"

Ends = tuple[float, float] | Scores
Indices = NDArray[np.int_]  # [RESAMPLES, R]: the runs in each resample


class Kind(NamedTuple):
    """A distribution of scores: a mixture of N(top, SPREAD²) and, with probability `failing`, N(0, SPREAD²)."""

    name: str
    failing: float
    top: float = 1.0

    def draw(self, rng: np.random.Generator, runs: int) -> Scores:
        return rng.normal(0, SPREAD, runs) + self.top * (rng.random(runs) >= self.failing)

    @property
    def mean(self) -> float:
        return self.top * (1 - self.failing)

    @property
    def iqm(self) -> float:
        """The IQM of infinitely many runs, estimated from a million."""
        return float(iqm([self.draw(np.random.default_rng(0), 1_000_000)]))

    def beats(self, other: "Kind") -> float:
        """P(X > Y) for X from this distribution and Y from `other`."""
        return sum(
            share * other_share * NormalDist(0, 2**0.5 * SPREAD).cdf(center - other_center)
            for center, share in ((0.0, self.failing), (self.top, 1 - self.failing))
            for other_center, other_share in ((0.0, other.failing), (other.top, 1 - other.failing))
        )


class Question(NamedTuple):
    """A statistic of two sides, of which it may ignore the second, and the interval methods to try.

    cases: name → the tasks of both sides. intervals: maps the scores of both sides to the interval of each method.
    """

    title: str
    cases: Mapping[str, tuple[Sequence[Kind], Sequence[Kind]]]
    truth: Callable[[Sequence[Kind], Sequence[Kind]], float]
    intervals: Callable[[Sequence[Scores], Sequence[Scores], Indices, Indices], dict[str, Ends]]


class Covered(NamedTuple):
    """One row of the page: share of intervals that contain the truth, and their width, for each number of seeds."""

    question: str
    case: str
    method: str
    share: list[float]
    width: list[float]  # median


def _of_mean(ours: Sequence[Scores], _: Sequence[Scores], at: Indices, __: Indices) -> dict[str, Ends]:
    (x,), resampled = ours, ours[0][at]
    middle, error = x.mean(), _error(x)
    with np.errstate(divide="ignore", invalid="ignore"):  # a resample may repeat a single run
        t = (resampled.mean(-1) - middle) / _error(resampled)
    return {
        FORMER: np.quantile(resampled.mean(-1), TAILS),
        EXPANDED: mean_interval(x, resamples=RESAMPLES)[1:],
        "BCa bootstrap": _bca(x, np.mean),
        "studentized bootstrap": middle - np.quantile(t[np.isfinite(t)], TAILS[::-1]) * error,
        "Student's t": middle + stats.t.ppf(TAILS, len(x) - 1) * error,
    }


def _of_iqm(ours: Sequence[Scores], _: Sequence[Scores], at: Indices, __: Indices) -> dict[str, Ends]:
    x, cut = np.sort(ours[0]), len(ours[0]) // 4
    kept = len(x) - 2 * cut
    error = np.clip(x, x[cut], x[-cut - 1]).std(ddof=1) * np.sqrt((len(x) - 1) / (kept * (kept - 1)))
    return {
        FORMER: np.quantile(iqm([x[at]]), TAILS),
        EXPANDED: bootstrap([x], iqm, resamples=RESAMPLES)[1:],
        "BCa bootstrap": _bca(x, lambda sample, axis: iqm([np.moveaxis(sample, axis, -1)])),
        "t of trimmed means (Tukey & McLaughlin)": x[cut : cut + kept].mean() + stats.t.ppf(TAILS, kept - 1) * error,
    }


def _of_difference(ours: Sequence[Scores], theirs: Sequence[Scores], at: Indices, other: Indices) -> dict[str, Ends]:
    def difference(both: Sequence[Scores]) -> Scores:
        return mean(both[: len(ours)]) - mean(both[len(ours) :])

    ends: dict[str, Ends] = {
        FORMER: np.quantile(mean([x[at] for x in ours]) - mean([y[other] for y in theirs]), TAILS),
        EXPANDED: bootstrap([*ours, *theirs], difference, resamples=RESAMPLES)[1:],
    }
    if len(ours) == 1:
        welch = stats.ttest_ind(ours[0], theirs[0], equal_var=False).confidence_interval(0.95)
        ends["Welch's t"] = (welch.low, welch.high)
    return ends


def _of_chance(ours: Sequence[Scores], theirs: Sequence[Scores], at: Indices, other: Indices) -> dict[str, Ends]:
    wins = [(x[:, None] > y).astype(float) for x, y in zip(ours, theirs, strict=True)]  # scores never tie here
    first, second = _counts(at), _counts(other)
    resampled = mean([((first @ each) * second).sum(-1, keepdims=True) / each.size for each in wins])
    ends: dict[str, Ends] = {
        FORMER: np.quantile(resampled, TAILS),
        WILSON: probability_of_improvement(ours, theirs)[1:],
    }
    if len(ours) == 1:
        (each,), runs = wins, len(at[0])
        v = np.array([each.mean(1).var(ddof=1), each.mean(0).var(ddof=1)]) / runs
        degrees = (runs - 1) * v.sum() ** 2 / (v**2).sum() if v.any() else runs - 1
        t = stats.t.ppf(TAILS, degrees)
        ends["expanded percentile bootstrap"] = np.quantile(resampled, stats.norm.cdf(np.sqrt(runs / (runs - 1)) * t))
        ends["Brunner & Munzel's t"] = each.mean() + t * np.sqrt(v.sum())
    return ends


def _error(x: Scores) -> Scores:
    return np.asarray(x.std(-1, ddof=1) / np.sqrt(x.shape[-1]))


def _bca(x: Scores, statistic: Callable[..., Scores]) -> Ends:
    found = stats.bootstrap((x,), statistic, method="BCa", n_resamples=RESAMPLES, rng=0).confidence_interval
    return found.low, found.high


def _counts(at: Indices) -> Scores:
    """How often each run occurs in each resample: float[RESAMPLES, R]."""
    return np.array([np.bincount(row, minlength=len(row)) for row in at], np.float64)


NORMAL, FIFTH, TWO_FIFTHS = Kind("normal", 0.0), Kind("a fifth fails", 0.2), Kind("two fifths fail", 0.4)
KINDS = (NORMAL, FIFTH, TWO_FIFTHS)
EQUAL = {kind.name: ((kind,), (kind,)) for kind in KINDS}
UNEQUAL = {
    "theirs normal, ours 3 standard deviations higher": ((Kind("", 0.0, 1 + 3 * SPREAD),), (NORMAL,)),
    "two fifths of theirs fail, none of ours": ((NORMAL,), (TWO_FIFTHS,)),
    "two fifths of ours fail, the others beat all of theirs": ((TWO_FIFTHS,), (Kind("", 0.0, 0.5),)),
}
TOGETHER = {"normal; a fifth fails; two fifths fail": (KINDS, KINDS)}

QUESTIONS = (
    Question("Mean", EQUAL, lambda ours, _: ours[0].mean, _of_mean),
    Question("Interquartile mean (IQM)", EQUAL, lambda ours, _: ours[0].iqm, _of_iqm),
    Question("Difference of means", EQUAL, lambda *_: 0.0, _of_difference),
    Question("Probability of improvement", EQUAL | UNEQUAL, lambda x, y: x[0].beats(y[0]), _of_chance),
    Question("Difference of means, three environments", TOGETHER, lambda *_: 0.0, _of_difference),
    Question("Probability of improvement, three environments", TOGETHER, lambda *_: 0.5, _of_chance),
)


def covered(question: Question, samples: int) -> Iterator[Covered]:
    """One row per case and method, from `samples` simulated samples for each number of seeds."""
    for case, (ours, theirs) in question.cases.items():
        truth = question.truth(ours, theirs)
        simulated = [_simulated(question, ours, theirs, runs, samples) for runs in SEEDS]
        for method in simulated[0]:
            low, high = np.array([each[method] for each in simulated]).transpose(2, 0, 1)  # [SEEDS, samples] each
            share = ((low <= truth) & (truth <= high)).mean(1)
            yield Covered(question.title, case, method, share.tolist(), np.median(high - low, 1).tolist())


def _simulated(
    question: Question, ours: Sequence[Kind], theirs: Sequence[Kind], runs: int, samples: int
) -> dict[str, list[Ends]]:
    """Method → interval of each sample."""
    rng, found = np.random.default_rng(runs), defaultdict(list)
    at, other = rng.integers(0, runs, (2, RESAMPLES, runs))
    for _ in range(samples):
        x, y = ([kind.draw(rng, runs) for kind in side] for side in (ours, theirs))
        for method, ends in question.intervals(x, y, at, other).items():
            found[method].append(ends)
    return found


def coverage_page(command: str, machine: str, samples: int) -> Page:
    rows = [row for question in QUESTIONS for row in covered(question, samples)]
    lowest = [100 * min(row.share[i] for row in rows if row.method in (EXPANDED, WILSON)) for i in range(len(SEEDS))]
    noise = 196 * (0.95 * 0.05 / samples) ** 0.5
    explained = f"""How often does a 95 % interval contain the truth? The tables show the share of {samples:,} simulated
        intervals that contain it, in %, and in brackets their median width. A share of 95 % is known to within ±
        {noise:.1f} points. Scores are normal with a standard deviation of {SPREAD:g}; a run that fails scores 1 lower.
        In bold are the intervals that our pages use: the expanded percentile bootstrap (Hesterberg 2015) and, for the
        probability of improvement, Wilson's interval with an effective number of runs. Pages made before that had the
        percentile bootstrap. The lowest share of an interval in bold is
        {", ".join(f"{share:.1f} % with {runs} seeds" for share, runs in zip(lowest, SEEDS, strict=True))}. Five seeds
        are too few where a fifth of the runs fails: a third of all such samples (0.8⁵) contains no failure, so no
        method can tell from them that runs fail."""
    parts = [paragraph(explained)]
    for question in QUESTIONS:
        parts += [f"## {question.title}", _table([row for row in rows if row.question == question.title])]
    return Page("Do the intervals cover?", command, machine, parts, {"rows": [row._asdict() for row in rows]})


def _table(rows: Sequence[Covered]) -> str:
    cells = [
        [row.case, row.method, *(f"{100 * a:.1f} [{b:.2f}]" for a, b in zip(row.share, row.width, strict=True))]
        for row in rows
    ]
    return table(["scores", "interval", *(f"{runs} seeds" for runs in SEEDS)], cells, words=2)
