"""What there is of the environments of a suite, and what the pages of all suites have in common."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from agents.evaluation import Evaluation
from rl.experiments.tables import paragraph
from rl.run.results import Result


class Entry(NamedTuple):
    """An environment of the suite, and what there is of it."""

    env: str
    settings: Mapping[str, object] | None  # of its runs; None if it has none to be trained with
    runs: Sequence[Result]  # those that are finished
    random: Evaluation | None  # of uniformly random actions
    missing: str  # why a seed, or every seed, is not among the runs; nothing if all are
    pages: Sequence[str] = ()  # of its other results, such as searches, seen from the suite's page

    @property
    def random_mean(self) -> float | None:
        return None if self.random is None else self.random.mean

    def column(self, key: str) -> list[float]:
        """A number of `summary.json`, one a run."""
        return [run.summary[key] for run in self.runs]

    def median(self, key: str) -> float:
        return float(np.median(self.column(key)))


class Report(NamedTuple):
    """What the table, the numbers and the figure are made of."""

    made: str  # by which command
    machine: str  # on which
    seeds: Sequence[int]
    entries: Sequence[Entry]

    @property
    def finished(self) -> list[Entry]:
        """The environments with a finished run."""
        return [entry for entry in self.entries if entry.runs]

    @property
    def trained(self) -> str:
        """ "seeds 0, 1, 2"."""
        return f"seed{'s' if len(self.seeds) > 1 else ''} {', '.join(map(str, self.seeds))}"

    @property
    def played(self) -> str:
        """ "on 100 episodes each", where a run is finished."""
        episodes = sorted({int(count) for entry in self.entries for count in entry.column("eval_episodes")})
        return f"on {' or '.join(map(str, episodes))} episodes each" if episodes else "after training"

    def label(self, entry: Entry) -> str:
        """The environment, and how many seeds of it are finished if that is not all."""
        partly = 0 < len(entry.runs) < len(self.seeds)
        return f"{entry.env} ({len(entry.runs)} of {len(self.seeds)} seeds)" if partly else entry.env


def page(of: Report, title: str, explained: str, table: Sequence[str], said: Sequence[str], picture: str) -> str:
    """Markdown: a table, and beneath it what there is to say of its environments."""
    text = [f"# {title}", "", f"Made by `{of.made}`", "", f"on {of.machine}.", "", paragraph(explained), "", *table]
    text += [line for part in (*said, _missing(of)) if part for line in ("", paragraph(part))]
    return "\n".join([*text, "", picture]) + "\n"


def _missing(of: Report) -> str:
    reasons = dict.fromkeys(entry.missing for entry in of.entries if entry.missing)
    without = [
        f"{', '.join(entry.env for entry in of.entries if entry.missing == reason)} ({reason})" for reason in reasons
    ]
    return f"Missing, which the same command adds once it can: {'; '.join(without)}." if without else ""


def as_json(of: Report, own: Callable[[Entry], Mapping[str, object]]) -> dict[str, object]:
    """The summaries of all runs, and of each environment the numbers that are the suite's own."""
    environments = [
        {
            "env": entry.env,
            "settings": entry.settings,
            "random": entry.random_mean,
            "missing": entry.missing or None,
            **own(entry),
            "runs": [run.summary for run in entry.runs],
        }
        for entry in of.entries
    ]
    return {"command": of.made, "machine": of.machine, "seeds": list(of.seeds), "environments": environments}
