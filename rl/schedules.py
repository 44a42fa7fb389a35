"""Coefficients that change over training: a number, or a straight line between two."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Linear:
    """initial + (final − initial) · progress, where progress is the share of training steps done, in [0, 1)."""

    initial: float
    final: float

    def __str__(self) -> str:
        return f"linear({self.initial!r}, {self.final!r})"


Schedule = float | Linear


def value_at(schedule: Schedule, progress: float) -> float:
    """The coefficient at this share of training."""
    if isinstance(schedule, Linear):
        return schedule.initial + (schedule.final - schedule.initial) * progress
    return schedule


def lowest(schedule: Schedule) -> float:
    """The smallest value that the coefficient takes."""
    return min(schedule.initial, schedule.final) if isinstance(schedule, Linear) else schedule


def highest(schedule: Schedule) -> float:
    """The largest value that the coefficient takes."""
    return max(schedule.initial, schedule.final) if isinstance(schedule, Linear) else schedule
