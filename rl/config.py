"""Strict, typed settings: defaults < YAML < command line. An unknown key or a wrong type is an error that suggests."""

import dataclasses
import difflib
import re
import types
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal, Union, cast, get_args, get_origin, get_type_hints

import yaml

from rl.schedules import Linear

_NUMBER = r"([-+]?[\d.]+(?:[eE][-+]?\d+)?)"
_LINEAR = re.compile(rf"linear\(\s*{_NUMBER}\s*,\s*{_NUMBER}\s*\)")


class ConfigError(ValueError):
    """A setting is unknown, of the wrong type, or out of range; or a configuration file cannot be read."""


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """What a run needs to know beside the agent's own settings. Steps count over all environments.

    log_interval: updates a row of metrics.csv; checkpoint_interval: steps between checkpoints; eval_episodes:
    episodes of each of the two final evaluations.
    """

    total_timesteps: int = 100_000
    log_interval: int = 100
    checkpoint_interval: int = 50_000
    eval_episodes: int = 100

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if getattr(self, field.name) < 1:
                raise ConfigError(f"{field.name} must be at least 1, got {getattr(self, field.name)}")


def schema(*settings: type) -> dict[str, object]:
    """Key → type of every setting that these dataclasses take by keyword."""
    hints = [(field.name, get_type_hints(cls)[field.name]) for cls in settings for field in _settings_of(cls)]
    return dict(hints)


def values(instance: object) -> dict[str, object]:
    """Key → value of every setting of a dataclass instance, as `schema` lists them."""
    return {field.name: getattr(instance, field.name) for field in _settings_of(type(instance))}


def _settings_of(cls: type) -> list[dataclasses.Field[object]]:
    return [field for field in dataclasses.fields(cls) if field.init and field.name != "env"]


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


def assignment(text: str) -> tuple[str, str]:
    """ "key=value" → (key, value), of a `--set` flag."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set takes key=value, got {text!r}")
    return key.strip(), value.strip()


def read_yaml(path: Path) -> dict[str, object]:
    """One flat mapping of settings. Raises ConfigError in one line if the file is anything else."""
    try:
        text = path.read_text(encoding="utf-8")
        data = yaml.load(text, _StrictLoader)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not YAML: it is not UTF-8 text") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path} is not YAML: {getattr(error, 'problem', None) or 'syntax error'}{where}") from None
    if data is None:
        return {}
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise ConfigError(f"{path} must hold settings as `key: value` lines, it holds a {type(data).__name__}")
    return data


def write_yaml(path: Path, settings: Mapping[str, object]) -> None:
    """The inverse of `read_yaml`, keys in the order given."""
    content = {key: plain(value) for key, value in settings.items()}
    path.write_text(yaml.safe_dump(content, sort_keys=False, default_flow_style=None), encoding="utf-8")


def recipe(env_id: str) -> Path | None:
    """The tuned settings that ship for an environment, if there are any."""
    name = env_id.replace("/", "-") + ".yaml"
    package = Path(__file__).parent
    candidates = (package / "configs" / name, package.parent / "configs" / name)  # installed; in a checkout
    return next((path for path in candidates if path.is_file()), None)


def convert(value: object, kind: object) -> object:
    """The value as this type. Text is parsed, since PyYAML reads 7e-4 and 1e6 as text and flags are text.

    Raises ConfigError whose message describes what was expected.
    """
    if get_origin(kind) in (Union, types.UnionType):
        return _convert_union(value, get_args(kind))
    if get_origin(kind) is Literal:
        if value in get_args(kind):
            return value
        raise ConfigError("one of " + ", ".join(get_args(kind)))
    if get_origin(kind) in (tuple, dict, Mapping):
        return _convert_collection(value, kind)
    parse, description = _PARSERS[cast(type, kind)]
    try:
        return parse(value)
    except (ValueError, TypeError):
        raise ConfigError(description) from None


def plain(value: object) -> object:
    """A setting as YAML and checkpoints hold it: schedules as text, tuples as lists. `convert` is the inverse."""
    if isinstance(value, Linear):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _convert_union(value: object, kinds: tuple[object, ...]) -> object:
    described = []
    for kind in kinds:
        try:
            return convert(value, kind)
        except ConfigError as error:
            described.append(str(error))
    raise ConfigError(" or ".join(described))


def _convert_collection(value: object, kind: object) -> object:
    parsed = _parse_text(value)
    if get_origin(kind) is tuple:
        if isinstance(parsed, list | tuple):
            return tuple(convert(item, get_args(kind)[0]) for item in parsed)
        raise ConfigError("a list such as [64, 64]")
    if isinstance(parsed, dict):
        return {str(key): item for key, item in parsed.items()}
    raise ConfigError("a mapping such as {key: value}")


def _parse_text(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return yaml.safe_load(value if value.lstrip()[:1] in ("[", "{") else f"[{value}]")
    except yaml.YAMLError:
        return None


def _to_int(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d[\d_]*", value):
        return int(value)
    if float(value) != int(float(value)):
        raise ValueError
    return int(float(value)) if not isinstance(value, int) else value


def _to_float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    return float(value)


def _to_bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "True", "false", "False"):
        return value in ("true", "True")
    raise ValueError


def _to_str(value: object) -> str:
    if isinstance(value, str):
        return value
    raise ValueError


def _to_none(value: object) -> None:
    if value not in (None, "null", "none"):
        raise ValueError


def _to_linear(value: object) -> Linear:
    match = _LINEAR.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError
    return Linear(float(match[1]), float(match[2]))


_PARSERS: dict[type, tuple[Callable[[object], object], str]] = {
    int: (_to_int, "a whole number"),
    float: (_to_float, "a number"),
    bool: (_to_bool, "true or false"),
    str: (_to_str, "text"),
    type(None): (_to_none, "null"),
    Linear: (_to_linear, "linear(initial, final)"),
}


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice, which PyYAML would resolve silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for i, key in enumerate(keys):
            if key in keys[:i]:
                mark = node.value[i][0].start_mark
                raise yaml.constructor.ConstructorError(problem=f"key {key!r} given twice", problem_mark=mark)
        return super().construct_mapping(node, deep)
