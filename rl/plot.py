"""`python -m rl.plot RUN…`: draws any set of runs of one environment, finished or not, ours and Stable-Baselines3's.

Runs whose settings differ only in the seed make one line, with its mean and interval.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from agents import registry
from agents.settings.files import read_yaml
from agents.settings.run import RunSettings
from agents.settings.schema import setting_defaults, with_defaults
from agents.settings.values import ConfigError, plain
from rl.experiments import plots
from rl.experiments.pages import counted
from rl.experiments.parallel import BASELINES
from rl.run.results import Result, is_finished, read_result
from rl.run.terminal import DONE, Parser, run

_LONGEST = 60  # characters of a label


def main(argv: list[str]) -> int:
    parser = Parser(prog="rl.plot", description="Draw learning curves and final scores of run directories.")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run directory, or a folder of them")
    parser.add_argument("--out", type=Path, default=Path("runs"), metavar="NAME", help="NAME.png, NAME.pdf (runs)")
    args = parser.parse_args(argv)
    found = {directory: _settings(directory) for directory in _directories(args.runs)}
    environments = sorted({str(settings.get("env")) for settings in found.values()})
    if len(environments) > 1:
        raise ConfigError(f"the runs are of {' and '.join(environments)}; draw one environment at a time")
    lines = _lines(found)
    path = args.out.with_suffix("") if args.out.suffix in (".png", ".pdf") else args.out
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        plots.comparison(lines, path, f"{environments[0]}: {_counts(lines)}", {})
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"nothing to draw yet: {error}") from None
    for label, results in lines.items():
        print(f"{label}: {counted(len(results), 'run')}")
    print(f"written to {path}.png and {path}.pdf")
    return DONE


def _counts(lines: Mapping[str, Sequence[Result]]) -> str:
    """ "30 runs", "2 lines of 20 runs", "3 lines of 2 to 20 runs"."""
    counts = sorted({len(runs) for runs in lines.values()})
    if len(lines) == 1 or counts == [1]:
        return counted(sum(map(len, lines.values())), "run")
    return f"{len(lines)} lines of {' to '.join(map(str, {counts[0]: 0, counts[-1]: 0}))} runs"


def _settings(directory: Path) -> dict[str, object]:
    settings = read_yaml(directory / "config.yaml")
    return with_defaults(settings, _defaults(settings.get("agent")))


def _defaults(agent: object) -> dict[str, object]:
    """The defaults of the settings of a run with this agent."""
    kinds = registry.kinds(BASELINES.get(str(agent or "a2c"), str(agent or "a2c")))
    return {key: plain(value) for key, value in setting_defaults(*kinds, RunSettings).items()}


def _directories(given: Sequence[Path]) -> list[Path]:
    """The run directories that were named, and those in folders that were."""
    found: list[Path] = []
    for path in given:
        inside = sorted(file.parent for file in path.rglob("config.yaml"))
        if not inside:
            raise ConfigError(f"{path} holds no run: there is no config.yaml in it or below")
        found += inside
    return list(dict.fromkeys(found))


def _lines(found: Mapping[Path, dict[str, object]]) -> dict[str, list[Result]]:
    """The runs by label; a label names the settings in which lines differ."""
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
    """The agent if lines differ in it, and the settings that are not the defaults and not those of every other line."""
    agent = settings.get("agent")
    defaults = _defaults(agent)
    apart = [key for key in defaults if any(other.get(key) != settings.get(key) for other in among)]
    changed = [f"{key} {settings[key]}" for key in apart if settings.get(key) != defaults[key]]
    name = {"sb3": "SB3", "sb3-ppo": "SB3's PPO"}.get(str(agent), str(agent or "run"))
    one = all(other.get("agent") == agent for other in among)
    text = ", ".join(changed) or "defaults" if one and len(among) > 1 else ", ".join([name, *changed])
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


if __name__ == "__main__":
    run(main)
