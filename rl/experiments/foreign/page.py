"""The page of the foreign environments: the outcome of each, and which beat random actions."""

import json
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from rl.experiments.foreign.training import EPISODES, EVALUATED, STEPS, Row, Score
from rl.experiments.pages import Page, paragraph, reading, table
from rl.experiments.statistics import Interval
from rl.run.results import with_ending

_HEADS = (
    "package",
    "environment",
    "settings",
    "outcome",
    "ours, stochastic",
    "random actions",
    "difference",
    "seconds",
)
_TWO_SIDED = 1.96  # half width of a 95 % interval in standard errors


def read_rows(path: Path) -> dict[str, Row]:
    """Environment → row of an earlier command; empty if there is no file."""
    file = with_ending(path, ".json")
    if not file.is_file():
        return {}
    with reading(file):
        rows = json.loads(file.read_text(encoding="utf-8"))["environments"]
        return {row["env"]: _row(row) for row in rows}


def _row(row: dict[str, object]) -> Row:
    scores = {name: row[name] and Score(**row[name]) for name in ("stochastic", "random")}  # type: ignore[arg-type]
    return Row(**{**row, **scores})  # type: ignore[arg-type]


def difference(row: Row) -> Interval | None:
    """Our mean return minus that of random actions, with a 95 % interval from Welch's standard error."""
    if row.stochastic is None or row.random is None:
        return None
    value = row.stochastic.mean - row.random.mean
    error = math.hypot(row.stochastic.std, row.random.std) / math.sqrt(EPISODES - 1)  # std divides by N
    return Interval(value, value - _TWO_SIDED * error, value + _TWO_SIDED * error)


def foreign_page(command: str, machine: str, rows: Mapping[str, Row]) -> Page:
    ordered = sorted(rows.values(), key=lambda row: (row.package, row.env))
    text = f"""Which environments of other packages can be trained at all? Each is trained by `python -m rl.train` for
        {STEPS:,} steps from seed 0, with the defaults and the settings shown, without a recipe. Then the trained policy
        plays {EPISODES} stochastic episodes, and uniformly random actions play as many; the table shows mean returns.
        Either evaluation ends after {EVALUATED:,} steps, or as many as `eval_max_steps` says, which the episodes share
        equally: an episode that lasts longer than its share is cut off. The difference has a 95 % interval over
        episodes (Welch's standard error, normal quantiles); with one seed each, it says nothing about other trainings,
        and {STEPS:,} steps suffice for few of these environments. A refused environment was rejected before training
        started (exit status 2); in a failed one, the environment raised an error while it ran (exit status 1). Packages
        were installed by `pip install --constraint constraints.txt`; one that does not work with these versions is
        refused or fails."""
    numbers = {"environments": [_plain(row) for row in ordered]}
    parts = [paragraph(text), paragraph(_summary(ordered)), table(_HEADS, map(_cells, ordered), 4), _messages(ordered)]
    return Page("Environments of other packages", command, machine, parts, numbers)


def _plain(row: Row) -> dict[str, object]:
    scores = {name: score and score._asdict() for name in ("stochastic", "random") if (score := getattr(row, name), 1)}
    return {**row._asdict(), "settings": list(row.settings), **scores}


def _summary(rows: list[Row]) -> str:
    counts = Counter(row.outcome for row in rows)
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    known = [gap for row in rows if (gap := difference(row)) is not None]
    better, worse = sum(gap.low > 0 for gap in known), sum(gap.high < 0 for gap in known)
    return (
        f"{len(rows)} environments of {len({row.package for row in rows})} packages: {outcomes}. Random actions could "
        f"be played in {len(known)}: the trained policy scores higher in {better} and lower in {worse}; in "
        f"{len(known) - better - worse} the interval contains 0."
    )


def _cells(row: Row) -> list[str]:
    settings = ", ".join(f"`{setting}`" for setting in row.settings)
    first = [f"{row.package} {row.version}", row.env, settings, row.outcome]
    if row.stochastic is None:
        return [*first, "", "", "", ""]
    gap = difference(row)
    verdict = "unknown" if gap is None else f"**{gap:.3g}**" if gap.low > 0 else f"{gap:.3g}"
    random = "" if row.random is None else f"{row.random.mean:.4g}"
    return [*first, f"{row.stochastic.mean:.4g}", random, verdict, f"{row.seconds or 0:.0f}"]


def _messages(rows: list[Row]) -> str:
    """The errors, one line each."""
    said = [[row.env, row.outcome, f"`{row.message}`"] for row in rows if row.message]
    return table(["environment", "outcome", "message"], said, 3)
