"""Run directories as lines of a figure or a page: runs that differ only in the seed make one line."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from agents import registry
from agents.settings.files import read_yaml
from agents.settings.run import RunSettings
from agents.settings.schema import setting_defaults, with_defaults
from agents.settings.values import ConfigError, plain
from rl.experiments.pages import counted
from rl.experiments.parallel import BASELINES
from rl.experiments.plots import comparison_figure
from rl.run.results import Result, is_finished, read_result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LONGEST = 60  # characters of a label


class Found(NamedTuple):
    """Runs of one environment."""

    env_id: str
    lines: dict[str, list[Result]]  # by label; every run of a line has another seed
    repeated: list[Path]  # runs left out, since another has the same seed and settings

    @property
    def note(self) -> str:
        """A line that names the runs left out; empty if there are none."""
        names = ", ".join(map(str, self.repeated))
        return f"left out, since another run has the same seed and settings: {names}" if names else ""


def plot(*runs: str | Path) -> "Figure":
    """The figure of `python -m rl.plot`, for a notebook.

    runs: run directories of one environment, or folders of them; finished or not. Runs that differ only in the seed
    make one line, with its mean and interval; of runs with the same seed too, only the newest finished one counts.
    Raises ConfigError as `lines_of` does, or if there is nothing to draw.
    """
    if not runs:
        raise ConfigError("plot takes run directories, such as results/runs/CartPole-v1")
    env_id, lines, _ = lines_of([*map(Path, runs)])
    with figure_of(env_id, lines) as figure:
        figure.draw_without_rendering()  # lays out the axes' text while the font size applies
    return figure


@contextmanager
def figure_of(env_id: str, lines: Mapping[str, Sequence[Result]]) -> "Iterator[Figure]":
    """The figure of the lines. Raises ConfigError if there is nothing to draw."""
    try:
        with comparison_figure(lines, f"{env_id}: {described(lines)}", {}) as figure:
            yield figure
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"nothing to draw yet: {error}") from None


def lines_of(given: Sequence[Path]) -> Found:
    """The runs by label, from run directories and from folders that contain some.

    Of runs with the same seed and settings, the newest finished one counts, or else the newest one. Raises ConfigError
    if there are no runs, or runs of several environments.
    """
    found = {directory: settings_of(directory) for directory in _directories(given)}
    environments = sorted({str(settings.get("env")) for settings in found.values()})
    if len(environments) > 1:
        raise ConfigError(f"the runs are of {' and '.join(environments)}; take one environment at a time")
    repeated = _repeated(found)
    return Found(environments[0], _lines({run: found[run] for run in found if run not in repeated}), repeated)


def described(lines: Mapping[str, Sequence[Result]]) -> str:
    """ "30 runs", "2 lines of 20 runs", "3 lines of 2 to 20 runs"."""
    counts = sorted({len(runs) for runs in lines.values()})
    if len(lines) == 1 or counts == [1]:
        return counted(sum(map(len, lines.values())), "run")
    return f"{len(lines)} lines of {' to '.join(map(str, {counts[0]: 0, counts[-1]: 0}))} runs"


def settings_of(directory: Path) -> dict[str, object]:
    """The settings of a run; settings added since then have their defaults."""
    settings = read_yaml(directory / "config.yaml")
    return with_defaults(settings, default_settings(settings.get("agent")))


def default_settings(agent: object) -> dict[str, object]:
    """The default settings of a run with this agent."""
    kinds = registry.kinds(BASELINES.get(str(agent or "a2c"), str(agent or "a2c")))
    return {key: plain(value) for key, value in setting_defaults(*kinds, RunSettings).items()}


def _directories(given: Sequence[Path]) -> list[Path]:
    """The run directories that were named, and those in folders that were, each once; what is in a run is no run."""
    found: dict[Path, Path] = {}
    for path in given:
        inside = {file.parent for file in path.rglob("config.yaml")}
        if not inside:
            raise ConfigError(f"{path} holds no run: there is no config.yaml in it or below")
        for directory in sorted(each for each in inside if inside.isdisjoint(each.parents)):
            found.setdefault(directory.resolve(), directory)
    return list(found.values())


def _repeated(found: Mapping[Path, dict[str, object]]) -> list[Path]:
    """The runs that do not count, see `lines_of`. A run's name contains the time at which it began."""
    kept = list[Path]()
    for run in sorted(found, key=lambda run: (is_finished(run), run.name), reverse=True):
        if not any(found[run].get("seed") == found[other].get("seed") and found[run] == found[other] for other in kept):
            kept.append(run)
    return [run for run in found if run not in kept]


def _lines(found: Mapping[Path, dict[str, object]]) -> dict[str, list[Result]]:
    """Label → runs; the label names the settings in which the lines differ."""
    groups: list[tuple[dict[str, object], list[Path]]] = []
    for directory, settings in found.items():
        shared = {key: value for key, value in settings.items() if key != "seed"}
        same = next((runs for known, runs in groups if known == shared), None)
        if same is None:
            groups.append((shared, [directory]))
        else:
            same.append(directory)
    labels = [_label(settings, [known for known, _ in groups]) for settings, _ in groups]
    return {
        label if labels.count(label) == 1 else f"{label} ({i + 1})": [
            read_result(run) if is_finished(run) else Result(run, {}) for run in runs
        ]
        for i, (label, (_, runs)) in enumerate(zip(labels, groups, strict=True))
    }


def _label(settings: Mapping[str, object], among: Sequence[Mapping[str, object]]) -> str:
    """The agent if it differs between lines, then the non-default settings that differ between lines of this agent."""
    agent = settings.get("agent")
    defaults, peers = default_settings(agent), [other for other in among if other.get("agent") == agent]
    apart = [key for key in defaults if any(other.get(key) != settings.get(key) for other in peers)]
    changed = [f"{key} {settings[key]}" for key in apart if settings.get(key) != defaults[key]]
    name = {"sb3": "SB3", "sb3-ppo": "SB3's PPO"}.get(str(agent), str(agent or "run"))
    one = len(peers) == len(among)
    text = ", ".join(changed) or "defaults" if one and len(among) > 1 else ", ".join([name, *changed])
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
