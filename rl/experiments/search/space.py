"""Search spaces: from YAML such as `gamma: one_of(0.9, 0.99)` to draws of settings, and from settings back to draws.

A form is `log(low, high)`, log-uniform; `uniform(low, high)`; `one_of(a, b, …)`, whose alternatives are values or
forms; or `linear(initial, final)`, a schedule whose ends are numbers or forms. If a setting repeats a form, both are
one draw. Integer settings draw integers; others keep four significant digits.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Union

from agents.maths.schedules import Linear
from agents.settings.files import read_yaml
from agents.settings.schema import suggestion
from agents.settings.values import ConfigError, convert, text_of

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

_CALL = re.compile(r"(\w+)\((.*)\)", re.DOTALL)
_FORMS = "log(low, high), uniform(low, high), one_of(a, b, …) or linear(initial, final)"
_NEVER = ("seed", "total_timesteps")
_OPEN, _CLOSED = "([{", ")]}"
Parameters = dict[str, float | str]  # name of a draw → value drawn


@dataclass(frozen=True)
class Value:
    """A constant."""

    value: object

    def __str__(self) -> str:
        return text_of(self.value)

    def draw(self, trial: "BaseTrial", setting: str, name: str) -> object:
        return self.value

    def find(self, value: object, setting: str, name: str) -> Parameters | None:
        return {} if value == self.value else None


@dataclass(frozen=True)
class Range:
    """A number in a closed interval, uniform or log-uniform."""

    low: float
    high: float
    log: bool

    def __str__(self) -> str:
        return f"{'log' if self.log else 'uniform'}({self.low!r}, {self.high!r})"

    def draw(self, trial: "BaseTrial", setting: str, name: str) -> object:
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=self.log)
        number = trial.suggest_float(name, self.low, self.high, log=self.log)
        return min(max(float(f"{number:.4g}"), self.low), self.high)

    def find(self, value: object, setting: str, name: str) -> Parameters | None:
        within = isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high
        return {name: value} if within and isinstance(value, int | float) else None


@dataclass(frozen=True)
class OneOf:
    """One of the alternatives."""

    alternatives: Mapping[str, "Draw"]  # text → form

    def __str__(self) -> str:
        return f"one_of({', '.join(self.alternatives)})"

    def draw(self, trial: "BaseTrial", setting: str, name: str) -> object:
        text = trial.suggest_categorical(name, list(self.alternatives))
        return self.alternatives[text].draw(trial, setting, f"{setting} {text}")

    def find(self, value: object, setting: str, name: str) -> Parameters | None:
        for text, alternative in self.alternatives.items():
            found = alternative.find(value, setting, f"{setting} {text}")
            if found is not None:
                return {name: text, **found}
        return None


@dataclass(frozen=True)
class Slope:
    """A linear schedule."""

    initial: "Draw"
    final: "Draw"

    def __str__(self) -> str:
        return f"linear({self.initial}, {self.final})"

    def _ends(self, setting: str) -> "Iterator[tuple[Draw, str]]":
        return ((end, f"{setting} {end}") for end in (self.initial, self.final))

    def draw(self, trial: "BaseTrial", setting: str, name: str) -> object:
        initial, final = (end.draw(trial, setting, inner) for end, inner in self._ends(setting))
        assert isinstance(initial, int | float)
        assert isinstance(final, int | float)
        return Linear(initial, final)

    def find(self, value: object, setting: str, name: str) -> Parameters | None:
        if not isinstance(value, Linear):
            return None
        numbers = (value.initial, value.final)
        found = [end.find(x, setting, inner) for (end, inner), x in zip(self._ends(setting), numbers, strict=True)]
        first, last = found
        agree = first is not None and last is not None and all(last.get(key, x) == x for key, x in first.items())
        return first | last if agree and first is not None and last is not None else None


Draw = Union[Value, Range, OneOf, Slope]  # noqa: UP007
"""The form of a setting, or a part of it. Its text is the form. In the methods, name is that of the draw: the setting's
name where the draw is the whole form.

draw: gives a value of the setting. find: the draws with which `draw` gives this value; None if there are none.
"""

Space = Mapping[str, Draw]


def read_space(path: Path, known: Mapping[str, object]) -> Space:
    """Setting → form, from a YAML file. known: the type of every setting, from `setting_types`.

    Raises ConfigError on an unknown setting, an invalid form, or a value that the setting does not accept.
    """
    space: dict[str, Draw] = {}
    for key, text in read_yaml(path).items():
        if key not in known:
            raise ConfigError(f"{path}: unknown setting {key!r}{suggestion(key, known)}")
        if key in _NEVER:
            raise ConfigError(f"{path}: {key} is the same for all trials, and cannot be searched")
        if not isinstance(text, str) or not _CALL.fullmatch(text.strip()):
            raise ConfigError(f"{path}: {key} must be {_FORMS}, got {text!r}; a fixed value is given by --set")
        try:
            space[key] = parse(text, known[key])
        except ConfigError as error:
            raise ConfigError(f"{path}: {key}: {error}, got {text!r}") from None
    if not space:
        raise ConfigError(f"{path} holds no setting to search, such as `gamma: one_of(0.9, 0.99)`")
    return space


def parse(text: str, kind: object) -> Draw:
    """The form for a setting of this type. Raises ConfigError, which says what was expected."""
    call = _CALL.fullmatch(text.strip())
    if call is None:
        return Value(_converted(text.strip(), kind))
    name, parts = call[1], _split(call[2])
    if name in ("log", "uniform"):
        return _range(name, parts, kind)
    if name == "one_of":
        alternatives = {str(draw): draw for draw in (parse(part, kind) for part in parts)}
        if len(alternatives) < max(len(parts), 2):
            raise ConfigError("one_of takes two alternatives or more, no two alike")
        return OneOf(alternatives)
    if name == "linear" and len(parts) == 2:
        _converted("linear(1, 0)", kind)
        return Slope(parse(parts[0], float), parse(parts[1], float))
    raise ConfigError(f"a setting is drawn from {_FORMS}{suggestion(name, ('log', 'uniform', 'one_of', 'linear'))}")


def _range(name: str, parts: Sequence[str], kind: object) -> Range:
    numbers = [_converted(part, kind) for part in parts]
    bounds = [x for x in numbers if isinstance(x, int | float) and not isinstance(x, bool)]
    if len(numbers) != 2 or len(bounds) != 2 or not bounds[0] < bounds[1]:
        raise ConfigError(f"{name} takes two numbers, the lower first")
    if name == "log" and not bounds[0] > 0:
        raise ConfigError("log takes positive numbers")
    return Range(bounds[0], bounds[1], name == "log")


def _converted(text: str, kind: object) -> object:
    try:
        return convert(text, kind)
    except ConfigError as error:
        raise ConfigError(f"{text} is not {error}") from None


def _split(text: str) -> list[str]:
    """Splits at commas outside of brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in _OPEN) - (character in _CLOSED)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def draw(space: Space, trial: "BaseTrial") -> dict[str, object]:
    """Draws a value for every setting of the space."""
    return {key: form.draw(trial, key, key) for key, form in space.items()}


def propose(space: Space, wanted: Mapping[str, object], defaults: Mapping[str, object]) -> Parameters:
    """The draws that give these values, and the defaults of the other settings if the space contains them.

    Raises ConfigError if the space does not contain a wanted value.
    """
    found: Parameters = {}
    for key, value in wanted.items():
        if key not in space:
            raise ConfigError(f"{key} is not searched{suggestion(key, space)}; --set fixes it for all trials")
        if space[key].find(value, key, key) is None:
            raise ConfigError(f"{key}={text_of(value)} is not in the space, {space[key]}")
    for key, form in space.items():
        found |= form.find(wanted.get(key, defaults[key]), key, key) or {}
    return found
