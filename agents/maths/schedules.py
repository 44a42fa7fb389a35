"""Schedules of a coefficient: a constant, or a ramp between two numbers, linear, cosine or exponential."""

import math
from dataclasses import dataclass
from typing import ClassVar

LINEAR, COSINE, EXPONENTIAL = range(3)


@dataclass(frozen=True)
class Ramp:
    """Base of the ramps below: `initial` until progress `begin`, then a ramp to `final`, which is reached at `share`.

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
Schedule = float | Ramp


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
    number = math.nan if schedule is None else float(schedule)
    return float(LINEAR), number, number, 1.0, 0.0


def value_at(schedule: Schedule, progress: float) -> float:
    """The coefficient at this progress, the share of training done."""
    return interpolate(*numbers_of(schedule), progress)


def lowest(schedule: Schedule) -> float:
    """The smallest value over training."""
    return min(schedule.initial, schedule.final) if isinstance(schedule, Ramp) else schedule


def highest(schedule: Schedule) -> float:
    """The largest value over training."""
    return max(schedule.initial, schedule.final) if isinstance(schedule, Ramp) else schedule


def stays_below(schedule: Schedule, other: Schedule) -> bool:
    """Whether schedule < other at every thousandth of training."""
    return all(value_at(schedule, n / 1000) < value_at(other, n / 1000) for n in range(1001))
