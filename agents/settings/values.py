"""Conversion of a setting's value between text, as in YAML and flags, and the type that the setting declares."""

import json
import math
import re
import types
from collections.abc import Callable, Mapping
from os import PathLike
from typing import Literal, Union, cast, get_args, get_origin

import numpy as np
import yaml

from agents.maths.schedules import RAMPS, Ramp

_NUMBER = r"([-+]?[\d.]+(?:[eE][-+]?\d+)?)"
_MORE = rf"(?:,\s*{_NUMBER}\s*"
_RAMP = re.compile(rf"({'|'.join(RAMPS)})\(\s*{_NUMBER}\s*,\s*{_NUMBER}\s*{_MORE}{_MORE})?)?\)")
YAML_LEAKS = (ValueError, TypeError, LookupError, AttributeError, RecursionError)  # raised by PyYAML's own constructors


class ConfigError(ValueError):
    """A setting is unknown, of the wrong type, or out of range; or a configuration file cannot be read."""


def convert(value: object, kind: object) -> object:
    """The value converted to the type. Text is parsed, since flags are text and PyYAML reads 7e-4 and 1e6 as text.

    Raises ConfigError whose message describes the type expected.
    """
    value = value.item() if isinstance(value, np.generic) else value
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
    except ConfigError:
        raise
    except (ValueError, TypeError, OverflowError):
        raise ConfigError(description) from None


def plain(value: object) -> object:
    """The value as YAML and checkpoints store it: schedules as text, tuples as lists. `convert` is the inverse."""
    if isinstance(value, Ramp):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def text_of(value: object) -> str:
    """The value as text for a flag: null, true, [64, 64]. `convert` is the inverse."""
    value = plain(value)
    return value if isinstance(value, str) else json.dumps(value)


def _convert_union(value: object, kinds: tuple[object, ...]) -> object:
    described = []
    for kind in kinds:
        try:
            return convert(value, kind)
        except ConfigError as error:
            described.append(str(error))
    raise ConfigError(" or ".join(described))


def _convert_collection(value: object, kind: object) -> object:
    parsed = _parse_text(value) if value != "" else None
    if get_origin(kind) is tuple:
        if isinstance(parsed, list | tuple):
            return tuple(convert(item, get_args(kind)[0]) for item in parsed)
        raise ConfigError("a list such as [64, 64]")
    if isinstance(parsed, dict) and _is_plain(parsed):
        return {str(key): item for key, item in parsed.items()}
    raise ConfigError("a mapping such as {key: value}")


def _is_plain(value: object) -> bool:
    """Whether both YAML and checkpoints can store the value."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, bool | int | float | str)


def _parse_text(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return yaml.safe_load(value if value.lstrip()[:1] in ("[", "{") else f"[{value}]")
    except (yaml.YAMLError, *YAML_LEAKS):
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
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _to_bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "True", "false", "False"):
        return value in ("true", "True")
    raise ValueError


def _to_str(value: object) -> str:
    if isinstance(value, str | PathLike):
        return str(value)
    raise ValueError


def _to_none(value: object) -> None:
    if value not in (None, "null", "none"):
        raise ValueError


def _to_ramp(value: object) -> Ramp:
    match = _RAMP.fullmatch(value) if isinstance(value, str) else None
    if isinstance(value, Ramp):
        return value
    if match is None:
        raise ValueError
    numbers = [float(number) for number in match.groups()[1:] if number is not None]
    try:
        return RAMPS[match[1]](*numbers)
    except ValueError as error:
        raise ConfigError(f"another schedule ({error})") from None


_PARSERS: dict[type, tuple[Callable[[object], object], str]] = {
    int: (_to_int, "a whole number"),
    float: (_to_float, "a number"),
    bool: (_to_bool, "true or false"),
    str: (_to_str, "text"),
    type(None): (_to_none, "null"),
    Ramp: (_to_ramp, "linear(initial, final), cosine(initial, final) or exponential(initial, final)"),
}
