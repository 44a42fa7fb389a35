"""What the files of a suite's page keep of finished runs, for a page that is made again without their directories."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np

from agents.settings.schema import with_defaults
from agents.writing import write_text
from rl.experiments.pages import reading
from rl.experiments.parallel import Line, resolved
from rl.run.results import Columns, Scored

CURVES = "curves.csv"
RETURN = "rollout/ep_rew_mean"
_ROWS = 40  # of a run's curve
_HEADS = ("env", "seed", "step", "return")


class Kept(NamedTuple):
    """A finished run without its directory."""

    summary: dict[str, float]
    curve: Columns  # steps and training returns; empty if the page has none

    def metrics(self) -> Columns:
        return self.curve


def write_curves(file: Path, runs: Mapping[str, Iterable[Scored]]) -> None:
    """Writes at most 40 rows of the learning curve of every run. runs: by environment."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADS)
    for env, some in runs.items():
        for run in some:
            curve = run.metrics()
            if not curve:
                continue
            chosen = np.unique(np.linspace(0, len(curve["step"]) - 1, _ROWS).round().astype(int))
            for step, height in zip(curve["step"][chosen], curve[RETURN][chosen], strict=True):
                writer.writerow((env, int(run.summary["seed"]), int(step), f"{height:.6g}"))
    write_text(file, text.getvalue())


def kept_runs(page: Path, env: str, line: Line, section: str = "") -> dict[int, Scored]:
    """The runs of exactly these settings that the page holds, by seed. section: "baseline_" for Stable-Baselines3's.

    page: its JSON file, which need not exist.
    """
    row = _row(page, env, line, f"{section}settings")
    curves = {} if section else _curves(page.with_name(CURVES), env)
    summaries = cast("list[dict[str, float]]", row.get(f"{section}runs", []))
    return {int(each["seed"]): Kept(each, curves.get(int(each["seed"]), {})) for each in summaries}


def earlier_means(page: Path, env: str, line: Line, seeds: Sequence[int]) -> list[float]:
    """Mean scores of this recipe from these seeds, on the page and before it, oldest first."""
    row = _row(page, env, line, "settings")
    runs = cast("list[dict[str, float]]", row.get("runs", []))
    if [int(run["seed"]) for run in runs] != [*seeds]:
        return []
    return [*cast("list[float]", row.get("earlier_means", [])), float(np.mean([run["eval_mean"] for run in runs]))]


def _row(page: Path, env: str, line: Line, settings: str) -> dict[str, object]:
    """What the page holds of the environment, if its settings are those of the line."""
    if not page.is_file():
        return {}
    with reading(page):
        environments = json.loads(page.read_text(encoding="utf-8"))["environments"]
        row: dict[str, object] = next((row for row in environments if row["env"] == env), {})
    saved = cast("dict[str, object] | None", row.get(settings))
    defaults = {name: line.defaults[name] for name in line.settings}  # of settings newer than the page
    return row if saved is not None and _plain(with_defaults(saved, defaults)) == _plain(line.settings) else {}


def _plain(settings: Mapping[str, object]) -> dict[str, object]:
    """As a JSON file holds them."""
    return cast("dict[str, object]", json.loads(json.dumps(resolved(settings), default=str)))


def _curves(file: Path, env: str) -> dict[int, Columns]:
    """By seed."""
    rows: dict[int, list[tuple[float, float]]] = {}
    if file.is_file():
        with reading(file), file.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                if row["env"] == env:
                    rows.setdefault(int(row["seed"]), []).append((float(row["step"]), float(row["return"])))
    columns = {seed: np.array(points).T for seed, points in rows.items()}
    return {seed: {"step": steps, RETURN: heights} for seed, (steps, heights) in columns.items()}
