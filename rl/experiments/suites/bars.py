"""The bar for a recipe: a score published by rl-baselines3-zoo, or SB3 trained here with rl-baselines3-zoo's settings.

MuJoCo's environments are version 5 here and version 3 in the published table, and their rewards differ. So the bar
is the mean of Stable-Baselines3 trained here with the settings of rl-baselines3-zoo in configs/rl-zoo/, for as many
steps as our recipe if that has fewer. PPO's settings there are for other versions too; its bar is trained here only
where the rewards of version 5 differ from those of version 3: in Ant and Humanoid.
"""

from collections.abc import Sequence
from typing import NamedTuple

from agents import registry
from agents.settings.files import directory_name, read_yaml
from agents.settings.recipes import shipped_file
from agents.settings.run import SECTIONS, RunSettings, settings_for
from rl.experiments.parallel import BASELINE, BASELINES, Line, budget, prepare
from rl.experiments.statistics import Interval, Scores, bootstrap, iqm, mean_interval, normalized
from rl.experiments.suites.suite import Entry
from rl.run.results import column


class Bar(NamedTuple):
    """The score that the mean of our seeds must reach."""

    score: Interval  # published: a single number
    spread: float  # published: standard deviation over episodes; trained here: mean minus the interval's lower end
    timesteps: int  # of training
    seeds: int  # trained here; 0 if the score is published


class Trivial(NamedTuple):
    """The better of two policies that learn nothing."""

    name: str
    score: float


def baseline_line(env_id: str, assignments: Sequence[str], baseline: str = BASELINE) -> Line | None:
    """Stable-Baselines3 with rl-zoo's settings; None if the published score is the bar. baseline: one of BASELINES."""
    agent, file = BASELINES[baseline], shipped_file(f"rl-zoo/{directory_name(env_id)}.yaml")
    if file is None or (agent in SECTIONS and agent not in read_yaml(file)):
        return None
    kinds = (*registry.kinds(agent), RunSettings)
    steps = min(int(str(settings_for(agent, file)["total_timesteps"])), int(budget(env_id, kinds, agent)))
    return prepare("SB3", baseline, env_id, kinds, file, [f"total_timesteps={steps}", *assignments], None)


def judged(entry: Entry) -> str:
    """Which evaluation is comparable with rl-zoo's."""
    return "eval_mean" if entry.published is None or entry.published.deterministic else "eval_stochastic_mean"


def bar(entry: Entry) -> Bar | None:
    """None if no score is published, or if Stable-Baselines3 should be trained here and has no finished run."""
    if entry.baseline_settings is None:
        published = entry.published
        return published and Bar(Interval(*[published.mean] * 3), published.std, published.timesteps, 0)
    if not entry.baseline:
        return None
    score = mean_interval(column(entry.baseline, judged(entry)))
    timesteps = int(max(column(entry.baseline, "total_timesteps")))
    return Bar(score, score.value - score.low, timesteps, len(entry.baseline))


def trivial(entry: Entry) -> Trivial | None:
    """None if neither score is known."""
    known = {"random actions": entry.random, "standing still": entry.still}
    scores = [Trivial(name, played.mean) for name, played in known.items() if played is not None]
    return max(scores, key=lambda each: each.score, default=None)


def empty(entry: Entry) -> Trivial | None:
    """The trivial policy that the bar exceeds by at most its spread, which makes reaching the bar uninformative."""
    reference, floor = bar(entry), trivial(entry)
    if reference is None or floor is None or reference.score.value > floor.score + reference.spread:
        return None
    return floor


def normalized_scores(entry: Entry) -> Scores | None:
    """Scores with 0 for random actions and 1 for the bar; None without runs or bar, or for an uninformative bar."""
    reference = bar(entry)
    if not entry.runs or reference is None or entry.random is None or empty(entry):
        return None
    return normalized(entry.column(judged(entry)), entry.random.mean, reference.score.value)


def aggregate(entries: Sequence[Entry]) -> Interval | None:
    """The interquartile mean of the normalized scores over all seeds and environments that have them."""
    known = [task for task in map(normalized_scores, entries) if task is not None]
    return bootstrap(known, iqm) if known else None
