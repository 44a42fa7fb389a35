"""The content of a report as plain JSON data: curves, final scores, settings, versions and a film."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from agents.settings.values import ConfigError, text_of
from rl.experiments.lines import Found, default_settings, described, settings_of
from rl.experiments.report.curves import Plain, Tables, panels
from rl.experiments.statistics import METHOD, caveat, decimals, mean_interval, shown
from rl.run.results import Result, column

Lines = Mapping[str, Sequence[Result]]
_SCORES = {"deterministic": "eval_mean", "stochastic": "eval_stochastic_mean"}
_FILMS = {".mp4": "video/mp4", ".gif": "image/gif"}
_IDENTITY = ("env", "agent", "seed")  # settings in the heading


def content(found: Found, film: Path | None = None) -> Plain:
    """The report on lines of runs, finished or not. film: MP4 or GIF; by default the newest one in the runs.

    Raises ConfigError if a table is damaged.
    """
    lines = found.lines
    tables = {name: [Tables.read(run.directory) for run in runs] for name, runs in lines.items()}
    settings = {name: settings_of(runs[0].directory) for name, runs in lines.items()}
    every = [run for runs in lines.values() for run in runs]
    fewest = min((len(runs) for runs in lines.values() if len(runs) > 1), default=0)
    agents = dict.fromkeys(str(each.get("agent", "a2c")) for each in settings.values())
    return {
        "title": found.env_id,
        "subtitle": f"{', '.join(agents)}: {described(lines)}",
        "caption": f"Curves: mean over runs. Bands: 95 % {METHOD} intervals.{caveat(fewest)}" if fewest else "",
        "note": found.note,
        "lines": [*lines],
        "runs": [
            _row(i, run, read)
            for i, name in enumerate(lines)
            for run, read in zip(lines[name], tables[name], strict=True)
        ],
        "panels": [*panels(tables)],
        "scores": _scores(lines) if len(every) > 1 else [],
        "settings": _changed(settings),
        "versions": _versions(every[0].directory),
        "film": _film(film or _newest_film(every)),
    }


def _row(line: int, run: Result, tables: Tables) -> Plain:
    """A row of the table of runs."""
    settings, summary = settings_of(run.directory), run.summary
    state = "finished" if summary else "failed" if (run.directory / "error.txt").exists() else "not finished"
    return {
        "line": line,
        "name": run.directory.name,
        "seed": settings.get("seed"),
        "state": state,
        "step": int(summary.get("total_timesteps", tables.step)),
        "until": settings.get("total_timesteps"),
        "seconds": summary.get("train_seconds"),
        "final": [_mean_and_std(summary, key) for key in _SCORES.values()] if summary else [],
    }


def _mean_and_std(summary: Mapping[str, float], key: str) -> str:
    mean, std = summary[key], summary[key.replace("mean", "std")]
    return f"{shown(mean)} ± {std:.{decimals(mean)}f}"


def _scores(lines: Lines) -> list[Plain]:
    """Final returns of every finished run, their mean and its interval, for both modes."""
    found = list[Plain]()
    for mode, key in _SCORES.items():
        rows = list[Plain]()
        for i, runs in enumerate(lines.values()):
            values = column((run for run in runs if run.summary), key)
            if values:
                interval = mean_interval(values) if len(values) > 1 else None
                text = str(interval) if interval else shown(values[0])
                rows.append({"line": i, "values": values, "interval": interval, "text": text})
        if rows:
            found.append({"mode": mode, "rows": rows})
    return found


def _changed(settings: Mapping[str, Mapping[str, object]]) -> list[Plain]:
    """Settings in which some line differs from its agent's defaults; empty where a line lacks the setting."""
    defaults = {name: default_settings(each.get("agent")) for name, each in settings.items()}
    names = dict.fromkeys(key for each in settings.values() for key in each if key not in _IDENTITY)
    rows = list[Plain]()
    for key in names:
        pairs = [(each.get(key), defaults[name].get(key)) for name, each in settings.items()]
        if any(value != default for value, default in pairs):
            values, standard = ([_text(x) for x in side] for side in zip(*pairs, strict=True))
            rows.append({"name": key, "values": values, "default": " or ".join(dict.fromkeys(standard))})
    return rows


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else text_of(value)


def _versions(directory: Path) -> object:
    try:
        return json.loads((directory / "versions.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}


def _newest_film(runs: Sequence[Result]) -> Path | None:
    """The newest film among the runs and their films/."""
    found = [
        file for run in runs for folder in (run.directory, run.directory / "films")
        for ending in _FILMS for file in folder.glob(f"*{ending}")
    ]  # fmt: skip
    return max(found, key=lambda file: file.stat().st_mtime, default=None)


def _film(path: Path | None) -> Plain | None:
    """The film embedded as data. Raises ConfigError unless it is MP4 or GIF."""
    if path is None:
        return None
    if path.suffix not in _FILMS:
        raise ConfigError(f"a film ends in {' or '.join(_FILMS)}, got {path}")
    data = base64.b64encode(path.read_bytes()).decode()
    return {"name": path.name, "kind": path.suffix[1:], "source": f"data:{_FILMS[path.suffix]};base64,{data}"}
