"""A run's settings besides its agent's, and the choice of all settings from a file and the command line."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agents.settings.files import read_yaml
from agents.settings.ranges import Count, Episodes, Extent, Interval, Steps
from agents.settings.schema import convert_settings, merge_layers
from agents.settings.values import ConfigError

_OF_EVALUATIONS = ("stop_at", "eval_patience", "eval_interval_episodes")
SECTIONS = ("ppo", "stream")  # agents whose settings have their own section in a file; A2C's are at the top level


@dataclass(frozen=True)
class RunSettings:
    """A run's settings besides its agent's. Steps are counted over all environments.

    Raises ConfigError, a ValueError, if a setting has the wrong type or is out of range.
    """

    # The run
    total_timesteps: Steps = 100_000  # environment steps to train for
    log_interval: Interval | None = None  # updates per row of metrics.csv; null: 100, or what fits 10,000 steps
    checkpoint_interval: Steps | None = None  # environment steps between checkpoints; null: 50,000, at least 2 s apart
    keep: Count | None = 2  # number of latest checkpoints to keep; null: all
    warm_start: str | None = None  # run directory or checkpoint whose network parameters the run starts from

    # Evaluation
    eval_episodes: Episodes = 100  # episodes of each of the two final evaluations, deterministic and stochastic
    eval_max_steps: Steps | None = None  # step limit of each evaluation, in equal shares for its episodes; null: off
    eval_interval: Extent = 0  # environment steps between evaluations during training; the best is kept; 0: off
    eval_interval_episodes: Episodes = 20  # of each deterministic and each stochastic evaluation in training

    # Watching
    log: tuple[str, ...] = ()  # where to log metrics besides the CSV files: tensorboard, wandb, mlflow, trackio
    record_interval: Extent = 0  # environment steps between films of an episode, in films/ (extra video); 0: off

    # Stopping
    stop_at: float | Literal["threshold"] | None = None  # deterministic return to stop at; threshold: the environment's
    eval_patience: Count | None = None  # stop after this many evaluations in a row below the best; null: off
    pause_at: Steps | None = None  # pause after this many environment steps, to continue with --resume; null: off
    max_seconds: float | None = None  # stop after this many seconds, evaluations during training included; null: off

    def __post_init__(self) -> None:
        convert_settings(self, RunSettings)
        if self.max_seconds is not None and not self.max_seconds > 0:
            raise ConfigError(f"max_seconds must be positive or null, got {self.max_seconds:g}")
        if not self.eval_interval:
            given = [name for name in _OF_EVALUATIONS if getattr(self, name) != getattr(RunSettings, name)]
            if given:
                raise ConfigError(
                    f"{given[0]} is for evaluations during training: set eval_interval too, such as 10000 steps"
                )


def updates_per_row(log_interval: int | None, steps: int) -> int:
    """Updates per row of metrics.csv. steps: environment steps per update."""
    return min(100, max(1, 10_000 // steps)) if log_interval is None else log_interval


def chosen_settings(
    types: Mapping[str, object],
    env_id: str,
    agent: str,
    file: Path | None,
    assignments: Iterable[str] = (),
    flags: Mapping[str, str | None] | None = None,
) -> dict[str, object]:
    """The settings chosen for a run: flags override `--set` assignments, which override the YAML file.

    Raises ConfigError as `read_yaml` and `merge_layers` do, and if the file is for another environment or agent.
    """
    layers: list[tuple[str, Mapping[str, object]]] = []
    if file is not None:
        content = read_yaml(file)
        _check_same(file, "env", content.get("env", env_id), env_id)  # of a section, it stands outside
        settings = _section_for(agent, content, file)
        for key, expected in (("env", env_id), ("agent", agent)):
            _check_same(file, key, settings.pop(key, expected), expected)
        layers.append((str(file), settings))
    layers.append(("--set", dict(map(parse_assignment, assignments))))
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    layers += [(f"--{name.replace('_', '-')}", {name: value}) for name, value in given.items()]
    return merge_layers(types, layers)


def _check_same(file: Path, key: str, found: object, expected: str) -> None:
    if found != expected:
        raise ConfigError(f"{file}: its {key} is not {expected}; remove the key or choose another file")


def settings_for(agent: str, file: Path) -> dict[str, object]:
    """The agent's section of the file, or the settings outside of sections. Raises what `read_yaml` raises."""
    return _section_for(agent, read_yaml(file), file)


def _section_for(agent: str, settings: Mapping[str, object], file: Path) -> dict[str, object]:
    sections = sections_of(settings)
    name = agent.removeprefix("sb3-")  # Stable-Baselines3's PPO uses the section of ours
    chosen = sections.get(name, {key: value for key, value in settings.items() if key not in sections})
    if name not in sections and only_sections(settings):
        raise ConfigError(f"{file} has settings of {' and '.join(sections)} only, none of {agent}: choose another file")
    if not isinstance(chosen, dict):
        raise ConfigError(f"{file}: {name} must hold settings as `key: value` lines, not {chosen!r}")
    return chosen


def sections_of(settings: Mapping[str, object]) -> dict[str, object]:
    """Agent → its section of a file's settings."""
    return {name: settings[name] for name in SECTIONS if name in settings}


def only_sections(settings: Mapping[str, object]) -> bool:
    """Whether a file has sections, and no settings outside of them."""
    sections = sections_of(settings).keys()
    return bool(sections) and settings.keys() <= sections | {"env", "agent"}


def with_recipe(settings: Mapping[str, object], agent: str, recipe: Mapping[str, object]) -> dict[str, object]:
    """A file's settings, with an agent's settings replaced: its section, or those outside of sections."""
    if agent in SECTIONS:
        return {**settings, agent: dict(recipe)}
    return {**recipe, **sections_of(settings)}


def check_once(assignments: Iterable[str], flag: str) -> None:
    """Raises ConfigError if a key is assigned twice, since the first value would be ignored."""
    keys = [parse_assignment(text, flag)[0] for text in assignments]
    for key in keys:
        if keys.count(key) > 1:
            raise ConfigError(f"{flag} gives {key} twice: leave one of them out")


def parse_assignment(text: str, flag: str = "--set") -> tuple[str, str]:
    """ "key=value" → (key, value). Raises ConfigError naming the flag if the text has another form."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"{flag} takes key=value, got {text!r}")
    return key.strip(), value.strip()
