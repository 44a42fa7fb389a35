"""Schedules of a coefficient: a constant, a ramp between two numbers, or a function of the remaining training."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

LINEAR, COSINE, EXPONENTIAL = range(3)


@dataclass(frozen=True)
class Ramp:
    """Base of the ramps below: `initial` until progress `begin`, then a ramp to `final`, reached at progress `share`.

    Progress is the share of training done, in [0, 1]. A constant learning rate that decays at the end works well:
    Hägele et al. 2024, "Scaling laws and compute-optimal training beyond fixed training durations". Raises ValueError
    unless both ends are finite (and positive, if exponential) and 0 ≤ begin < share ≤ 1.
    """

    initial: float
    final: float
    share: float = 1.0
    begin: float = 0.0
    kind: ClassVar[int]

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.initial, self.final))):
            raise ValueError(f"{self} needs finite ends")
        if not 0 < self.share <= 1:
            raise ValueError(f"{self} needs a share of training above 0 and up to 1")
        if not 0 <= self.begin < self.share:
            raise ValueError(f"{self} needs to begin at 0 or later, and before {self.share:g} of training")
        if self.kind == EXPONENTIAL and not min(self.initial, self.final) > 0:
            raise ValueError(f"{self} needs ends above 0")

    def __str__(self) -> str:
        """The text form used in settings; `agents.settings.values` parses it back to the last bit."""
        ends = [self.share, self.begin] if self.begin else [] if self.share == 1 else [self.share]
        numbers = [self.initial, self.final, *ends]
        return f"{type(self).__name__.lower()}({', '.join(repr(float(x)) for x in numbers)})"


class Linear(Ramp):
    """a + (b − a) p, where p in [0, 1] is the position on the ramp from a to b."""

    kind = LINEAR


class Cosine(Ramp):
    """b + (a − b) (1 + cos πp) / 2: slow at both ends. Source: Loshchilov & Hutter 2017, equation 5."""

    kind = COSINE


class Exponential(Ramp):
    """a^(1 − p) b^p: the same factor in every step."""

    kind = EXPONENTIAL


RAMPS: dict[str, type[Ramp]] = {ramp.__name__.lower(): ramp for ramp in (Linear, Cosine, Exponential)}
Function = Callable[[float], float]  # of the share of training that remains, from 1 to 0, as in Stable-Baselines3
Schedule = float | Ramp | Function
_POINTS = 1000  # points in training at which a function is evaluated to find its bounds


def interpolate(kind: float, initial: float, final: float, share: float, begin: float, progress: float) -> float:
    """The value of a ramp at this progress, in [0, 1]. The fused engine compiles this function."""
    p = min(max(progress - begin, 0.0) / (share - begin), 1.0)
    if kind == COSINE:
        p = 0.5 * (1.0 - math.cos(math.pi * p))
    elif kind == EXPONENTIAL:
        return math.pow(initial, 1.0 - p) * math.pow(final, p)
    return initial + (final - initial) * p if p < 1.0 else final


def numbers_of(schedule: Schedule | None) -> tuple[float, float, float, float, float]:
    """The arguments of `interpolate` except the progress; a constant is a flat ramp, None a flat ramp of NaN."""
    if isinstance(schedule, Ramp):
        ends = float(schedule.initial), float(schedule.final)
        return float(schedule.kind), *ends, float(schedule.share), float(schedule.begin)
    if callable(schedule):
        raise TypeError(f"{schedule} has no such numbers; `value_at` calls it")
    number = math.nan if schedule is None else float(schedule)
    return float(LINEAR), number, number, 1.0, 0.0


def value_at(schedule: Schedule, progress: float) -> float:
    """The coefficient at this progress, the share of training done."""
    return float(schedule(1.0 - progress)) if callable(schedule) else interpolate(*numbers_of(schedule), progress)


def value_if_set(schedule: Schedule | None, progress: float) -> float | None:
    """The coefficient at this progress, None if it is off."""
    return None if schedule is None else value_at(schedule, progress)


def values_of(schedule: Schedule) -> list[float]:
    """The values that bound the schedule: of a function at every thousandth of training, otherwise at both ends."""
    if callable(schedule):
        return [float(schedule(1.0 - n / _POINTS)) for n in range(_POINTS + 1)]
    return [schedule.initial, schedule.final] if isinstance(schedule, Ramp) else [schedule]


def lowest(schedule: Schedule) -> float:
    """The smallest value over training."""
    return min(values_of(schedule))


def highest(schedule: Schedule) -> float:
    """The largest value over training."""
    return max(values_of(schedule))


def stays_below(schedule: Schedule, other: Schedule) -> bool:
    """Whether schedule < other at every thousandth of training."""
    return all(value_at(schedule, n / _POINTS) < value_at(other, n / _POINTS) for n in range(_POINTS + 1))


def described(schedule: Schedule | None) -> str:
    """The text form of a schedule, or the name of a function."""
    return getattr(schedule, "__qualname__", type(schedule).__name__) if callable(schedule) else str(schedule)
