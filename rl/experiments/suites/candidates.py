"""What a suite can train: its environments, the runs of each, and the reasons why some are missing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from agents.evaluation import Evaluation
from agents.settings.values import plain
from rl.experiments.pages import spelled
from rl.experiments.parallel import Line
from rl.experiments.suites.published import Published
from rl.experiments.suites.suite import Entry
from rl.run.results import Scored


@dataclass
class Runs:
    """The runs of one line in one environment."""

    line: Line
    seeds: Sequence[int]
    done: dict[int, Scored]  # by seed
    failures: dict[int, str] = field(default_factory=dict)  # by seed

    @property
    def finished(self) -> list[Scored]:
        """In the order of the seeds."""
        return [self.done[seed] for seed in self.seeds if seed in self.done]

    @property
    def absent(self) -> list[int]:
        return [seed for seed in self.seeds if seed not in self.done]

    @property
    def missing(self) -> list[str]:
        """Why seeds are missing, if any are."""
        idle = [seed for seed in self.absent if seed not in self.failures]
        text = [f"seed {seed} failed: {problem}" for seed, problem in self.failures.items()]
        return text + ([f"seed{'s' if len(idle) > 1 else ''} {spelled(idle)} not finished"] if idle else [])

    @property
    def recipe(self) -> dict[str, object]:
        """The settings that differ from the defaults."""
        defaults = {key: plain(value) for key, value in self.line.defaults.items()}
        return {key: value for key, value in self.line.settings.items() if value != defaults[key]}


@dataclass
class Candidate:
    """An environment of the suite, with its runs so far."""

    env: str
    ours: Runs | None  # None if the suite has no line for it
    baseline: Runs | None = None  # of Stable-Baselines3
    chosen: bool = False  # whether this command trains it
    obstacle: str = ""  # why it cannot be trained here; empty if it can
    random: Evaluation | None = None  # of uniformly random actions
    still: Evaluation | None = None  # of standing still
    published: Published | None = None
    kept: bool = False  # whether its runs are those of the page before
    earlier: Sequence[float] = ()  # mean scores of the recipe from the same seeds on earlier pages, oldest first
    seconds: float = 0.0  # estimate for stepping the environment in one run

    def entry(self, pages: Sequence[str] = ()) -> Entry:
        """The candidate as the page shows it."""
        missing = self.ours.missing if self.ours else []
        missing += [f"Stable-Baselines3's {text}" for text in self.baseline.missing] if self.baseline else []
        missing += [self.obstacle] if self.obstacle and (missing or not self.ours) else []
        return Entry(
            self.env,
            self.ours.line.settings if self.ours else None,
            self.ours.finished if self.ours else [],
            self.random,
            "; ".join(missing),
            self.still,
            self.baseline.line.settings if self.baseline else None,
            self.baseline.finished if self.baseline else [],
            self.published,
            pages,
            self.kept,
            self._other_means(),
        )

    def _other_means(self) -> list[float]:
        """Earlier means, without the last one if it is today's."""
        if not self.earlier or not self.ours or self.ours.absent:
            return [*self.earlier]
        mean = sum(run.summary["eval_mean"] for run in self.ours.finished) / len(self.ours.seeds)
        return [*self.earlier[:-1], *([] if math.isclose(self.earlier[-1], mean) else self.earlier[-1:])]
