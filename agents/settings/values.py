"""Converts a setting's value between text, as in YAML and flags, and the type that the setting declares."""

import json
import math
import re
import types
from collections.abc import Callable, Mapping
from contextlib import suppress
from os import PathLike
from typing import Annotated, Literal, Union, cast, get_args, get_origin

import numpy as np

from agents.maths.schedules import RAMPS, Function, Ramp, values_of
from agents.settings.importable import NAME, imported, name_of
from agents.settings.ranges import Range
from agents.settings.strict_yaml import MAX_DEPTH, NotSettings, parse_names, parse_text
from envs import saved

_NUMBER = r"([-+]?[\d.]+(?:[eE][-+]?\d+)?)"
_MORE = rf"(?:,\s*{_NUMBER}\s*"
_RAMP = re.compile(rf"({'|'.join(RAMPS)})\(\s*{_NUMBER}\s*,\s*{_NUMBER}\s*{_MORE}{_MORE})?)?\)")


class ConfigError(ValueError):
    """A setting is unknown, has the wrong type, or is out of range; or a configuration file cannot be read."""


class ConfigWarning(UserWarning):
    """A setting is used as given, although another value is probably meant."""


def convert(value: object, kind: object) -> object:
    """The value converted to the type. Text is parsed, since flags are text and PyYAML reads 7e-4 and 1e6 as text.

    Raises ConfigError whose message describes the type expected.
    """
    value = value.item() if isinstance(value, np.generic) else value
    if get_origin(kind) is Annotated:
        return _convert_in_range(value, *get_args(kind))
    if get_origin(kind) in (Union, types.UnionType):
        return _convert_union(value, get_args(kind))
    if get_origin(kind) is Literal:
        if isinstance(value, str) and value in get_args(kind):
            return value
        raise ConfigError("one of " + ", ".join(get_args(kind)))
    if get_origin(kind) in (tuple, dict, Mapping):
        return _convert_collection(value, kind)
    if get_origin(kind) is Callable:
        return _to_callable(value, kind)
    parse, description = _PARSERS[cast(type, kind)]
    try:
        return parse(value)
    except ConfigError:
        raise
    except (ValueError, TypeError, OverflowError):
        raise ConfigError(description) from None


def converted(name: str, value: object, kind: object) -> object:
    """Like `convert`; the message of its ConfigError names the setting and quotes the value."""
    try:
        return convert(value, kind)
    except ConfigError as error:
        raise ConfigError(f"{name} must be {error}, got {shown(value)}") from None


def _convert_in_range(value: object, kind: object, limits: Range) -> object:
    converted = convert(value, kind)
    size, what = (
        (converted, "") if isinstance(converted, int) else (len(cast("tuple[object, ...]", converted)), " long")
    )
    if size < limits.least:
        raise ConfigError(f"at least {limits.least}{what}")
    if size > limits.most:
        raise ConfigError(f"at most {limits.most:,}{what}")
    return converted


def shown(value: object) -> str:
    """A value as quoted in messages: short, in one line, numbers without quotation marks."""
    number = isinstance(value, str) and len(value) < 40 and re.fullmatch(r"[-+]?[\d._]+([eE][-+]?\d+)?", value)
    return str(value) if number else saved.shown(value)


def plain(value: object) -> object:
    """The value as YAML and checkpoints store it: schedules, functions and classes as text, tuples as lists.

    `convert` is the inverse. Raises ConfigError for a function or class that cannot be imported by a name.
    """
    if isinstance(value, Ramp):
        return str(value)
    if callable(value):
        name = name_of(value)
        if name is None:
            raise ConfigError(
                f"cannot be saved: Python cannot import {saved.shown(value)} by a name; define it at the top level of "
                "a module"
            )
        return name
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
    names = kind == tuple[str, ...]
    expected = f"a list such as {'[a, b]' if names else '[64, 64]'}"
    expected = expected if get_origin(kind) is tuple else "a mapping such as {key: value}"
    try:
        parse = parse_names if names else parse_text
        parsed = parse(value) if isinstance(value, str) else value
    except NotSettings as error:
        raise ConfigError(f"{expected} ({error})") from None
    if get_origin(kind) is tuple and isinstance(parsed, list | tuple):
        try:
            return tuple(convert(item, get_args(kind)[0]) for item in parsed)
        except ConfigError as error:
            raise ConfigError(f"a list, each item {error}") from None
    if get_origin(kind) is not tuple and isinstance(parsed, dict):
        _check_plain(parsed, MAX_DEPTH)
        item_kind = get_args(kind)[1]
        if item_kind is object:
            return {str(key): item for key, item in parsed.items()}
        try:
            return {str(key): plain(convert(item, item_kind)) for key, item in parsed.items()}
        except ConfigError as error:
            raise ConfigError(f"a mapping, each item {error}") from None
    raise ConfigError(expected)


def _to_callable(value: object, kind: object) -> Callable[..., object]:
    """A function or class, or the one that "module:Name" names. A function of one number must return numbers."""
    what = "a function of the share of training that remains, or module:name of one"
    if kind != Function:
        what = "a class, or module:Class of one"
    found = value
    if isinstance(value, str) and NAME.fullmatch(value):
        try:
            found = imported(value)
        except (Exception, SystemExit) as error:  # from anything that the module's import runs
            raise ConfigError(f"{what} that can be imported ({type(error).__name__}: {error})") from None
    if not callable(found):
        raise ConfigError(what)
    if kind == Function:
        with suppress(Exception):
            if all(map(math.isfinite, values_of(found))):
                return found
        raise ConfigError(f"{what}, which returns a finite number for every share from 1 to 0")
    return found


def _check_plain(value: object, depth: int) -> None:
    """Raises ConfigError unless YAML and checkpoints can both store the value. depth: levels of nesting allowed."""
    if isinstance(value, dict | list | tuple):
        if not depth:
            raise ConfigError(f"nested at most {MAX_DEPTH} deep")
        if isinstance(value, dict) and not all(isinstance(key, str) for key in value):
            raise ConfigError("a mapping such as {key: value}, whose keys are text")
        for item in value.values() if isinstance(value, dict) else value:
            _check_plain(item, depth - 1)
    elif not (value is None or isinstance(value, bool | int | float | str)):
        raise ConfigError(f"made of numbers, text, lists and mappings, not of {type(value).__name__}")


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
