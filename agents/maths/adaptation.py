"""Adaptive coefficients: c = f · schedule, where the factor f is multiplied after each update to approach a target."""

import math

MAX_LOG_CHANGE = math.log(1.2)  # a factor changes by at most a fifth per update, up or down
ENTROPY_GAIN = 0.01  # change of ln f per update and per nat of entropy below the target
SHIFT_HORIZON = 50  # updates over which the policy shift is averaged, to be compared with its target
SHIFT_GAIN = 1 / (4 * SHIFT_HORIZON)  # the largest gain without overshoot: critical damping for this horizon


def next_factor(factor: float, change: float) -> float:
    """f ← f · e^change, with |change| ≤ ln 1.2, and f in [1/100, 100] even if the target is unreachable.

    The fused engine compiles this function.
    """
    step = min(max(change, -MAX_LOG_CHANGE), MAX_LOG_CHANGE)
    return min(max(factor * math.exp(step), 0.01), 100.0)


class AdaptiveFactor:
    """The factor f of a scheduled coefficient, initially 1."""

    def __init__(self) -> None:
        self.value = 1.0

    def adapt(self, change: float) -> None:
        """Moves ln f by `change`, within the bounds of `next_factor`."""
        self.value = next_factor(self.value, change)
