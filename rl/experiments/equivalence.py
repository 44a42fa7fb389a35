"""Tests whether our scores are equivalent to Stable-Baselines3's, by rules that were fixed before the runs."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rl.experiments.compared import Compared
from rl.experiments.statistics import Interval, Scores, bootstrap, mean, probability_of_improvement
from rl.experiments.suites.published import PUBLISHED, PUBLISHED_PPO, Published

MARGIN = 0.1  # of normalized scores
WIDTH = 0.25  # maximal width of the interval of P


class Design(NamedTuple):
    """What is compared, and by which rules. Committed before the first run."""

    algorithm: str  # Stable-Baselines3's name
    file: str  # the page, without suffix
    comparison: str  # name of the comparisons that contain the runs
    environments: Sequence[str]
    kinds: Sequence[tuple[str, str, str]]  # (steps per update, our label, SB3's label): one pair per environment
    beside: Sequence[tuple[str, str, str]]  # pairs that are reported but not judged
    seeds: range
    published: Mapping[str, Published]  # the scores that normalize to 1
    rules: str


_JUDGED = f"""
- Score: mean return of 100 deterministic episodes after training, normalized so that 0 is uniformly random actions and
  1 is what rl-baselines3-zoo publishes for its tuned {{0}}. Stochastic evaluations are reported beside it, not judged.
- Difference: mean score of ours minus mean score of SB3's. P: the probability that a run of ours scores higher than
  one of SB3's, ties counted half.
- Equivalent, over the {{count}} pairs together: the 90 % interval of the mean difference lies within ± {MARGIN} (two
  one-sided tests at 5 %), and the 95 % interval of the mean P contains ½ and is narrower than {WIDTH}.
- A pair by itself is "equivalent" by the same rule, "different" if the 95 % interval of its P excludes ½ by Holm's
  correction over the {{count}} pairs, and else "not decided".{{power}}
- A pair that is different has a cause, which must be found and named.
"""
_OUR_TORCH = ("5 steps, torch engine", "ours, 5 steps, torch engine", "SB3, 5 steps")
A2C = Design(
    "A2C",
    "equivalence",
    "comparison",
    ("CartPole-v1", "Acrobot-v1", "Pendulum-v1", "LunarLander-v3"),
    (("1 step", "ours, 1 step", "SB3, 1 step"), ("5 steps", "ours, 5 steps", "SB3, 5 steps")),
    (_OUR_TORCH,),
    range(10_000, 10_050),
    PUBLISHED,
    """
- Runs: CartPole-v1, Acrobot-v1, Pendulum-v1 and LunarLander-v3, one step per update and five, 100,000 steps of
  training at Stable-Baselines3's hyper-parameters, eight environments in parallel; seeds 10,000 to 10,049 on either
  side, which no earlier experiment used. Our side runs on the fused engine; where it is cheap, on the torch engine too.
"""
    + _JUDGED.lstrip().format(
        "A2C",
        count="eight",
        power=""" Fifty bimodal scores a side have a standard error near 0.09,
  so most pairs cannot fall within ± 0.1, whatever the truth: only the eight together can.""",
    ),
)
PPO = Design(
    "PPO",
    "equivalence-ppo",
    "ppo",
    ("CartPole-v1", "Pendulum-v1", "LunarLander-v3"),
    (("2048 steps", "ours, PPO", "SB3, PPO"),),
    (),
    range(10_000, 10_020),
    PUBLISHED_PPO,
    """
- Runs: CartPole-v1, Pendulum-v1 and LunarLander-v3, 100,000 steps of training at the defaults of Stable-Baselines3's
  PPO (one environment, 2,048 steps and ten epochs of minibatches of 64 an update, Adam at 3e-4); seeds 10,000 to 10,019
  on either side, on which PPO has not run before. Our side runs on the fused engine.
"""
    + _JUDGED.lstrip().format("PPO", count="three", power=""),
)
DESIGNS = (A2C, PPO)


class Pair(NamedTuple):
    """Normalized scores of our line and SB3's in one environment, float[R] each."""

    env: str
    steps: str  # per update
    ours: Scores
    theirs: Scores


class Estimate(NamedTuple):
    """Our scores compared with SB3's, for one pair or averaged over several."""

    difference: Interval  # ours − SB3's, 90 %
    p: Interval  # P(ours scores higher), 95 %

    @property
    def equivalent(self) -> bool:
        within = self.difference.low > -MARGIN and self.difference.high < MARGIN
        return within and self.p.low <= 0.5 <= self.p.high and self.p.high - self.p.low < WIDTH


class Judgment(NamedTuple):
    """The result. pairs: the judged pairs. torch: pairs with our torch engine, reported but not judged."""

    design: Design
    machine: str
    pairs: Sequence[Pair]
    torch: Sequence[Pair]
    stochastic: Sequence[Pair]  # the judged pairs, by their stochastic evaluation

    @property
    def together(self) -> Estimate:
        return estimate(self.pairs)


def estimate(pairs: Sequence[Pair]) -> Estimate:
    """The differences of mean scores, and P, averaged over the pairs."""
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


def judge(design: Design, comparisons: Sequence[Compared]) -> Judgment | None:
    """Applies the test to files of `rl.compare`; None if an environment or a line lacks some of the required seeds."""
    by_env = {each.env: each for each in comparisons if each.name == design.comparison}
    if not all(env in by_env and _complete(design, by_env[env]) for env in design.environments):
        return None
    chosen = [by_env[env] for env in design.environments]

    def pairs(kinds: Sequence[tuple[str, str, str]], key: str = "eval_mean") -> list[Pair]:
        found = []
        for compared in chosen:
            for steps, ours, theirs in kinds:
                x, y = (compared.normalized(label, key, design.published) for label in (ours, theirs))
                assert x is not None, compared.env
                assert y is not None, compared.env
                found.append(Pair(compared.env, steps, x, y))
        return found

    beside = [kind for kind in design.beside if all(kind[1] in compared.runs for compared in chosen)]
    machine = str(chosen[0].content["machine"])
    return Judgment(design, machine, pairs(design.kinds), pairs(beside), pairs(design.kinds, "eval_stochastic_mean"))


def _complete(design: Design, compared: Compared) -> bool:
    labels = [label for _, *both in design.kinds for label in both]
    return all(label in compared.runs and compared.seeds(label) == list(design.seeds) for label in labels)
