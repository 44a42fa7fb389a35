"""Coefficients that change over training: a number, or a ramp between two numbers, linear, cosine or exponential."""

import math
from dataclasses import dataclass
from typing import ClassVar

LINEAR, COSINE, EXPONENTIAL = range(3)


@dataclass(frozen=True)
class Ramp:
    """`initial` until the share `begin` of training, then to `final`, which it has from `share` on. Kinds are below.

    A rate that stays and falls at the end learns fast and ends well: Hägele et al. 2024, "Scaling laws and
    compute-optimal training beyond fixed training durations". Raises ValueError if a number is not finite, the share is
    not in (0, 1], it does not begin before, or an exponential end is not positive.
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
        """The text that settings hold: `agents.settings.values` reads it again, to the last bit."""
        ends = [self.share, self.begin] if self.begin else [] if self.share == 1 else [self.share]
        numbers = [self.initial, self.final, *ends]
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


def interpolate(kind: float, initial: float, final: float, share: float, begin: float, progress: float) -> float:
    """The value of a ramp of this kind at this share of training done, in [0, 1]; the fused engine compiles it."""
    p = min(max(progress - begin, 0.0) / (share - begin), 1.0)
    if kind == COSINE:
        p = 0.5 * (1.0 - math.cos(math.pi * p))
    elif kind == EXPONENTIAL:
        return math.pow(initial, 1.0 - p) * math.pow(final, p)
    return initial + (final - initial) * p if p < 1.0 else final


def numbers_of(schedule: Schedule | None) -> tuple[float, float, float, float, float]:
    """What `interpolate` takes before the progress: a number is a ramp that stays; none is NaN throughout."""
    if isinstance(schedule, Ramp):
        ends = float(schedule.initial), float(schedule.final)
        return float(schedule.kind), *ends, float(schedule.share), float(schedule.begin)
    number = math.nan if schedule is None else float(schedule)
    return float(LINEAR), number, number, 1.0, 0.0


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
