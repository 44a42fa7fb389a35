"""An equivalence test of our A2C and Stable-Baselines3's by the scores of their runs, with rules fixed before them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rl.experiments.compared import Compared
from rl.experiments.pages import Page, image, paragraph, table
from rl.experiments.statistics import Interval, Scores, as_plain, bootstrap, mean, probability_of_improvement
from rl.run.figure import BLACK, BLUE, ORANGE, canvas, finish, save

MARGIN = 0.1  # of the normalized score
WIDTH = 0.25  # of the interval of P
SEEDS = range(10_000, 10_050)
RULES = f"""
- Runs: CartPole-v1, Acrobot-v1, Pendulum-v1 and LunarLander-v3, one step per update and five, 100,000 steps of
  training at Stable-Baselines3's hyper-parameters, eight environments in parallel; seeds 10,000 to 10,049 on either
  side, which no earlier experiment used. Our side runs on the fused engine; where it is cheap, on the torch engine too.
- Score: mean return of 100 deterministic episodes after training, normalized so that 0 is uniformly random actions and
  1 is what rl-baselines3-zoo publishes for its tuned A2C. Stochastic evaluations are reported beside it, not judged.
- Difference: mean score of ours minus mean score of SB3's. P: the probability that a run of ours scores higher than
  one of SB3's, ties counted half.
- Equivalent, over the eight pairs together: the 90 % interval of the mean difference lies within ± {MARGIN} (two
  one-sided tests at 5 %), and the 95 % interval of the mean P contains ½ and is narrower than {WIDTH}.
- A pair by itself is "equivalent" by the same rule, "different" if the 95 % interval of its P excludes ½ by Holm's
  correction over the eight pairs, and else "not decided". Fifty bimodal scores a side have a standard error near 0.09,
  so most pairs cannot fall within ± {MARGIN}, whatever the truth: only the eight together can.
- A pair that is different has a cause, which must be found and named.
"""
ENVIRONMENTS = ("CartPole-v1", "Acrobot-v1", "Pendulum-v1", "LunarLander-v3")
_PAIRS = (("1 step", "ours, 1 step", "SB3, 1 step"), ("5 steps", "ours, 5 steps", "SB3, 5 steps"))
_TORCH = ("5 steps, torch engine", "ours, 5 steps, torch engine", "SB3, 5 steps")


class Pair(NamedTuple):
    """Normalized scores of a line of ours and one of SB3's in one environment, float[R] each."""

    env: str
    steps: str  # per update
    ours: Scores
    theirs: Scores


class Estimate(NamedTuple):
    """Ours compared with SB3's, for a pair or the mean of several."""

    difference: Interval  # ours − SB3's, 90 %
    p: Interval  # P(ours scores higher), 95 %

    @property
    def equivalent(self) -> bool:
        within = self.difference.low > -MARGIN and self.difference.high < MARGIN
        return within and self.p.low <= 0.5 <= self.p.high and self.p.high - self.p.low < WIDTH


class Judgment(NamedTuple):
    """The result. pairs: the eight that are judged; torch: pairs with our torch engine, reported beside them."""

    machine: str
    pairs: Sequence[Pair]
    torch: Sequence[Pair]
    stochastic: Sequence[Pair]  # the eight pairs, by their stochastic evaluation

    @property
    def together(self) -> Estimate:
        return estimate(self.pairs)


def estimate(pairs: Sequence[Pair]) -> Estimate:
    """The mean over pairs of the difference of mean scores, and of P."""
    ours, theirs = [pair.ours for pair in pairs], [pair.theirs for pair in pairs]

    def difference(both: Sequence[Scores]) -> Scores:
        return mean(both[: len(pairs)]) - mean(both[len(pairs) :])

    return Estimate(bootstrap([*ours, *theirs], difference, 0.90), probability_of_improvement(ours, theirs))


def different(pairs: Sequence[Pair]) -> list[Pair]:
    """Pairs whose P excludes ½ at a family-wise error of 5 %. Source: Holm 1979, in terms of intervals."""
    found: list[Pair] = []
    while len(found) < len(pairs):
        level = 1 - 0.05 / (len(pairs) - len(found))
        rest = [pair for pair in pairs if not any(pair is other for other in found)]
        intervals = [probability_of_improvement([pair.ours], [pair.theirs], level) for pair in rest]
        excluded = [pair for pair, p in zip(rest, intervals, strict=True) if not p.low <= 0.5 <= p.high]
        if not excluded:
            break
        found.append(excluded[0])
    return [pair for pair in pairs if any(pair is other for other in found)]


def judge(comparisons: Sequence[Compared]) -> Judgment | None:
    """The test on files of `rl.compare`; None if an environment or a line lacks the seeds that it demands."""
    by_env = {compared.env: compared for compared in comparisons}
    if not all(env in by_env and _complete(by_env[env]) for env in ENVIRONMENTS):
        return None
    chosen = [by_env[env] for env in ENVIRONMENTS]

    def pairs(kinds: Sequence[tuple[str, str, str]], key: str = "eval_mean") -> list[Pair]:
        found = []
        for compared in chosen:
            for steps, ours, theirs in kinds:
                x, y = (compared.normalized(label, key) for label in (ours, theirs) if label in compared.runs)
                assert x is not None, compared.env
                assert y is not None, compared.env
                found.append(Pair(compared.env, steps, x, y))
        return found

    torch = pairs([_TORCH]) if all(_TORCH[1] in compared.runs for compared in chosen) else []
    return Judgment(str(chosen[0].content["machine"]), pairs(_PAIRS), torch, pairs(_PAIRS, "eval_stochastic_mean"))


def _complete(compared: Compared) -> bool:
    labels = [label for _, *both in _PAIRS for label in both]
    return all(label in compared.runs and compared.seeds(label) == list(SEEDS) for label in labels)


def conclusion(test: Judgment) -> str:
    """What the test says, in words."""
    together, apart = test.together, different(test.pairs)
    verdict = "is equivalent to" if together.equivalent else "is not shown to be equivalent to"
    text = f"""Over eight pairs of fifty seeds a side, our A2C {verdict} Stable-Baselines3's: the mean difference of
        normalized scores is {together.difference:+.3f} (90 % interval, to lie within ± {MARGIN}), and P(ours higher) is
        {together.p:.2f} (95 % interval, to contain ½ and to be narrower than {WIDTH})."""
    if apart:
        text += f" Different by themselves: {'; '.join(f'{pair.env}, {pair.steps}' for pair in apart)}."
    else:
        text += " No pair by itself is different, by Holm's correction over the eight."
    return " ".join(text.split())


def page(test: Judgment, command: str) -> Page:
    apart = different(test.pairs)
    heads = ["environment", "steps per update", "ours", "SB3", "difference [90 %]", "P(ours higher) [95 %]", "verdict"]
    rows = [[*_cells(pair), _verdict(pair, apart)] for pair in test.pairs]
    both = test.together
    verdict = "**equivalent**" if both.equivalent else "**not shown to be equivalent**"
    rows.append(["**all eight**", "", "", "", f"{both.difference:+.3f}", f"{both.p:.2f}", verdict])
    parts = [
        paragraph(conclusion(test)),
        table(heads, rows, words=2),
        image("differences and probabilities", "equivalence.png"),
        "## The rules, fixed before the runs",
        RULES.strip(),
        "## Beside it: stochastic evaluations, and the torch engine",
        "The same by the stochastic evaluation after training, and our torch engine beside SB3; neither is judged:",
        table(
            heads[:-1],
            [_cells(pair._replace(steps=f"{pair.steps}, stochastic")) for pair in test.stochastic]
            + [_cells(pair) for pair in test.torch],
            words=2,
        ),
    ]
    numbers = {
        "margin": MARGIN,
        "width": WIDTH,
        "seeds": list(SEEDS),
        "together": _plain(both) | {"equivalent": both.equivalent},
        "pairs": [
            {"env": pair.env, "steps": pair.steps, **_plain(estimate([pair])), "verdict": _verdict(pair, apart)}
            for pair in test.pairs
        ],
    }
    return Page("Equivalence with Stable-Baselines3's A2C", command, test.machine, parts, numbers)


def _cells(pair: Pair) -> list[str]:
    x = estimate([pair])
    return [
        pair.env, pair.steps, f"{pair.ours.mean():.2f}", f"{pair.theirs.mean():.2f}", f"{x.difference:+.2f}",
        f"{x.p:.2f}",
    ]  # fmt: skip


def _verdict(pair: Pair, apart: Sequence[Pair]) -> str:
    if any(pair is other for other in apart):
        return "different"
    return "equivalent" if estimate([pair]).equivalent else "not decided"


def _plain(x: Estimate) -> dict[str, object]:
    return {"difference": as_plain(x.difference), "p": as_plain(x.p)}


def draw(test: Judgment, path: Path) -> None:
    """A row for each pair and one for all: the difference with its margin, and P, into `path`.png and `path`.pdf."""
    rows = [(f"{pair.env}, {pair.steps}", estimate([pair])) for pair in test.pairs] + [("all eight", test.together)]
    with canvas(7.2, 3.4) as figure:
        left, right = figure.subplots(1, 2, sharey=True)
        for row, (_, x) in enumerate(rows):
            color = BLACK if row == len(rows) - 1 else BLUE
            for axes, interval in ((left, x.difference), (right, x.p)):
                axes.plot([interval.low, interval.high], [row, row], color=color, lw=2, solid_capstyle="butt")
                axes.plot(interval.value, row, "o", ms=4, color=color)
        left.axvspan(-MARGIN, MARGIN, color=ORANGE, alpha=0.15, lw=0)
        left.axvline(0, color="0.4", lw=1, ls=":")
        right.axvline(0.5, color="0.4", lw=1, ls=":")
        left.set_yticks(range(len(rows)), [label for label, _ in rows])
        left.set_ylim(len(rows) - 0.5, -0.5)
        extent = 1.1 * max(float(np.abs(x.difference[1:]).max()) for _, x in rows)
        left.set_xlim(-extent, extent)
        right.set_xlim(0, 1)
        finish(left, f"difference of normalized mean scores, ours − SB3's\n90 % intervals; shaded: margin ± {MARGIN}")
        finish(right, "probability that ours scores higher\n95 % intervals; dotted: ½")
        figure.suptitle(f"Our A2C and Stable-Baselines3's, {len(SEEDS)} seeds a side", fontsize="medium")
        save(figure, path)
