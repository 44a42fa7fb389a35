"""Reading what `rl.compare` wrote: the summaries and scores of its lines."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, cast

from agents.settings.values import ConfigError
from rl.experiments.pages import counted
from rl.experiments.statistics import Scores
from rl.experiments.suites.published import PUBLISHED, Published


class Compared(NamedTuple):
    """The JSON file that one `rl.compare` command wrote."""

    env: str
    name: str
    content: Mapping[str, object]

    @property
    def lines(self) -> list[dict[str, object]]:
        return cast("list[dict[str, object]]", self.content["lines"])

    @property
    def runs(self) -> dict[str, list[dict[str, float]]]:
        """Line → summaries of its runs."""
        return {str(line["label"]): cast("list[dict[str, float]]", line["runs"]) for line in self.lines}

    def scores(self, key: str = "eval_mean") -> dict[str, list[float]]:
        """Line → one number per seed, from the summaries; by default the deterministic score."""
        return {label: [summary[key] for summary in seeds] for label, seeds in self.runs.items()}

    def seeds(self, label: str) -> list[int]:
        return [int(summary["seed"]) for summary in self.runs[label]]

    def normalized(
        self, label: str, key: str = "eval_mean", reference: Mapping[str, Published] = PUBLISHED
    ) -> Scores | None:
        """Scores of a line, scaled so that random actions are 0 and the reference 1; None if either is unknown."""
        published = reference.get(self.env)
        return published and published.normalize(self.scores(key)[label], cast("float | None", self.content["random"]))

    @property
    def budget(self) -> str:
        """Seeds and steps per line, as text."""
        steps = {
            str(line["label"]): int(str(cast("dict[str, object]", line["settings"])["total_timesteps"]))
            for line in self.lines
        }
        return f"{counted(len(next(iter(self.runs.values()))), 'seed')}, {steps_of(steps)} steps"


def steps_of(lines: Mapping[str, int]) -> str:
    """Training steps as text: the most common number, then the lines that differ."""
    groups: dict[int, list[str]] = {}
    for label, steps in lines.items():
        groups.setdefault(steps, []).append(label)
    (most, _), *others = sorted(groups.items(), key=lambda group: -len(group[1]))
    apart = "; ".join(f"{', '.join(labels)}: {steps:,}" for steps, labels in others)
    return f"{most:,} ({apart})" if apart else f"{most:,}"


def read_compared(file: Path) -> Compared | None:
    """None for the file of a search (`rl.sweep`), which compares nothing. Raises ConfigError if the file is damaged."""
    try:
        compared = Compared(file.parent.name, file.stem, json.loads(file.read_text(encoding="utf-8")))
        if "trials" in compared.content:
            return None
        if not (compared.budget and compared.scores() and {"command", "random"} <= compared.content.keys()):
            raise ValueError("a part is missing")
    except (ValueError, LookupError, TypeError, AttributeError, StopIteration, RecursionError) as error:
        raise ConfigError(f"{file} is not what rl.compare writes ({error!r}); make it again") from None
    return compared
