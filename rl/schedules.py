"""Coefficients that change over training: a number, or a ramp between two numbers, linear, cosine or exponential."""

import math
from dataclasses import dataclass
from typing import ClassVar

LINEAR, COSINE, EXPONENTIAL = range(3)


@dataclass(frozen=True)
class Ramp:
    """From `initial` to `final` in the first `share` of training, `final` after it. Use one of the kinds below.

    Raises ValueError if a number is not finite, the share is not in (0, 1], or an exponential end is not positive.
    """

    initial: float
    final: float
    share: float = 1.0
    kind: ClassVar[int]

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.initial, self.final))):
            raise ValueError(f"{self} needs finite ends")
        if not 0 < self.share <= 1:
            raise ValueError(f"{self} needs a share of training above 0 and up to 1")
        if self.kind == EXPONENTIAL and not min(self.initial, self.final) > 0:
            raise ValueError(f"{self} needs ends above 0")

    def __str__(self) -> str:
        """The text that settings hold: `rl.typed` reads it again, to the last bit."""
        numbers = [self.initial, self.final] + ([] if self.share == 1 else [self.share])
        return f"{type(self).__name__.lower()}({', '.join(repr(float(x)) for x in numbers)})"


class Linear(Ramp):
    """a + (b − a) p, where p is the part of the ramp that is done."""

    kind = LINEAR


class Cosine(Ramp):
    """b + (a − b) (1 + cos πp) / 2: slow at both ends. Source: Loshchilov & Hutter 2017, equation 5."""

    kind = COSINE


class Exponential(Ramp):
    """a^(1 − p) b^p: by the same factor in every step."""

    kind = EXPONENTIAL


RAMPS: dict[str, type[Ramp]] = {ramp.__name__.lower(): ramp for ramp in (Linear, Cosine, Exponential)}
Schedule = float | Ramp


def interpolate(kind: float, initial: float, final: float, share: float, progress: float) -> float:
    """The value of a ramp of this kind at this share of training done, in [0, 1]; the fused engine compiles it."""
    p = min(progress / share, 1.0)
    if kind == COSINE:
        p = 0.5 * (1.0 - math.cos(math.pi * p))
    elif kind == EXPONENTIAL:
        return math.pow(initial, 1.0 - p) * math.pow(final, p)
    return initial + (final - initial) * p if p < 1.0 else final


def numbers_of(schedule: Schedule | None) -> tuple[float, float, float, float]:
    """What `interpolate` takes before the progress: a number is a ramp that stays; none is NaN throughout."""
    if isinstance(schedule, Ramp):
        return float(schedule.kind), float(schedule.initial), float(schedule.final), float(schedule.share)
    number = math.nan if schedule is None else float(schedule)
    return float(LINEAR), number, number, 1.0


def value_at(schedule: Schedule, progress: float) -> float:
    """The coefficient at this share of training."""
    return interpolate(*numbers_of(schedule), progress)


def lowest(schedule: Schedule) -> float:
    """The smallest value that the coefficient takes."""
    return min(schedule.initial, schedule.final) if isinstance(schedule, Ramp) else schedule


def highest(schedule: Schedule) -> float:
    """The largest value that the coefficient takes."""
    return max(schedule.initial, schedule.final) if isinstance(schedule, Ramp) else schedule


def stays_below(schedule: Schedule, other: Schedule) -> bool:
    """Whether one coefficient is less than the other in each thousandth of training."""
    return all(value_at(schedule, n / 1000) < value_at(other, n / 1000) for n in range(1001))
