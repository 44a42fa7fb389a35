"""Strict, typed settings: defaults < YAML < command line. An unknown key or a wrong type is an error that suggests."""

import dataclasses
import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import get_type_hints

import yaml

from agents.settings.values import YAML_LEAKS, ConfigError, convert, plain


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """What a run needs to know beside the agent's own settings. Steps count over all environments.

    log_interval: updates a row of metrics.csv; checkpoint_interval: steps between checkpoints; eval_episodes:
    episodes of each of the two final evaluations; warm_start: a run or checkpoint whose networks this one begins with.
    """

    total_timesteps: int = 100_000
    log_interval: int = 100
    checkpoint_interval: int = 50_000
    eval_episodes: int = 100
    warm_start: str | None = None

    def __post_init__(self) -> None:
        for name, value in values(self).items():
            if isinstance(value, int) and value < 1:
                raise ConfigError(f"{name} must be at least 1, got {value}")


def schema(*settings: type) -> dict[str, object]:
    """Key → type of every setting that these dataclasses take by keyword."""
    hints = [(field.name, get_type_hints(cls)[field.name]) for cls in settings for field in _settings_of(cls)]
    return dict(hints)


def values(instance: object) -> dict[str, object]:
    """Key → value of every setting of a dataclass instance, as `schema` lists them."""
    return {field.name: getattr(instance, field.name) for field in _settings_of(type(instance))}


def defaults(*settings: type) -> dict[str, object]:
    """Key → default value of every setting, as `schema` lists them."""
    return {field.name: field.default for cls in settings for field in _settings_of(cls)}


def convert_settings(instance: object, cls: type) -> None:
    """Converts the settings that this dataclass declares in place. Raises ConfigError on a wrong type."""
    for name, kind in schema(cls).items():
        try:
            setattr(instance, name, convert(getattr(instance, name), kind))
        except ConfigError as error:
            raise ConfigError(f"{name} must be {error}, got {getattr(instance, name)!r}") from None


def complete(settings: Mapping[str, object], usual: Mapping[str, object]) -> dict[str, object]:
    """As YAML holds them, with the defaults, `usual`, of those missing: a run lacks settings that are newer than it."""
    return {key: plain(value) for key, value in {**usual, **settings}.items()}


def _settings_of(cls: type) -> list[dataclasses.Field[object]]:
    return [field for field in dataclasses.fields(cls) if field.init and field.name not in ("env", "agent")]


def merge(known: Mapping[str, object], layers: Iterable[tuple[str, Mapping[str, object]]]) -> dict[str, object]:
    """Checks and converts layers of (source, settings), later ones over earlier ones.

    Raises ConfigError naming the source, the key, and the nearest known key or the type expected.
    """
    merged: dict[str, object] = {}
    for source, layer in layers:
        for key, value in layer.items():
            if key not in known:
                raise ConfigError(f"{source}: unknown setting {key!r}{nearest(str(key), known)}")
            try:
                merged[key] = convert(value, known[key])
            except ConfigError as error:
                raise ConfigError(f"{source}: {key} must be {error}, got {value!r}") from None
    return merged


def nearest(word: str, known: Iterable[str]) -> str:
    """ "; did you mean 'gamma'?", or nothing where no known word is near."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def assignment(text: str, flag: str = "--set") -> tuple[str, str]:
    """ "key=value" → (key, value), of a flag."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"{flag} takes key=value, got {text!r}")
    return key.strip(), value.strip()


def gather(
    known: Mapping[str, object],
    env_id: str,
    agent: str,
    file: Path | None,
    assignments: Iterable[str] = (),
    flags: Mapping[str, str | None] | None = None,
) -> dict[str, object]:
    """The settings of a run that differ from the defaults: file < `--set` assignments < flags of their own."""
    layers: list[tuple[str, Mapping[str, object]]] = []
    if file is not None:
        settings = read_yaml(file)
        for key, expected in (("env", env_id), ("agent", agent)):
            if settings.pop(key, expected) != expected:
                raise ConfigError(f"{file}: its {key} is not {expected}; leave the key out or choose another file")
        layers.append((str(file), settings))
    layers.append(("--set", dict(map(assignment, assignments))))
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    layers += [(f"--{name.replace('_', '-')}", {name: value}) for name, value in given.items()]
    return merge(known, layers)


def read_yaml(path: Path) -> dict[str, object]:
    """One flat mapping of settings. Raises ConfigError in one line if the file is anything else."""
    try:
        text = path.read_text(encoding="utf-8")
        data = yaml.load(text, _StrictLoader)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not YAML: it is not UTF-8 text") from None
    except YAML_LEAKS as error:
        raise ConfigError(f"{path} is not YAML: {type(error).__name__}: {' '.join(str(error).split())}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path} is not YAML: {getattr(error, 'problem', None) or 'syntax error'}{where}") from None
    if data is None:
        return {}
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise ConfigError(f"{path} must hold settings as `key: value` lines, it holds a {type(data).__name__}")
    return data


def write_yaml(path: Path, settings: Mapping[str, object], comment: str = "") -> None:
    """The inverse of `read_yaml`, keys in the order given. comment: a line to stand above them."""
    content = {key: plain(value) for key, value in settings.items()}
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, allow_unicode=True)
    write_text(path, (f"# {comment}\n" if comment else "") + text)


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def directory_name(env_id: str) -> str:
    """An environment's id as one name in a folder: "ALE/Pong-v5" → "ALE-Pong-v5"."""
    return env_id.replace("/", "-").replace(":", "-")


def recipe(env_id: str, agent: str = "a2c") -> Path | None:
    """The tuned settings that ship for an environment, if there are any; for an agent around an A2C, those of all."""
    return shipped(f"{directory_name(env_id)}.yaml" if agent == "a2c" else f"{agent}.yaml")


def shipped(name: str) -> Path | None:
    """A file of configs/, which ships with the package, if there is one of this name."""
    package = Path(__file__).parents[1]
    candidates = (package / "configs" / name, package.parent / "configs" / name)  # installed; in a checkout
    return next((path for path in candidates if path.is_file()), None)


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice, which PyYAML would resolve silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for i, key in enumerate(keys):
            if key in keys[:i]:
                mark = node.value[i][0].start_mark
                raise yaml.constructor.ConstructorError(problem=f"key {key!r} given twice", problem_mark=mark)
        return super().construct_mapping(node, deep)
