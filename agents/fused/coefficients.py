"""Every scheduled coefficient of one update: `rl.schedules` in compiled form."""

from typing import NamedTuple

from envs.compiling import kernel, part
from rl import schedules


class Coefficients(NamedTuple):
    """The values at some share of training; NaN for none."""

    learning_rate: float  # before what adapts it
    critic_scale: float
    ent_coef: float  # likewise
    vf_coef: float
    max_grad_norm: float
    max_shift: float
    target_shift: float
    target_entropy: float


interpolate = kernel(schedules.interpolate)


@kernel
def value_at(schedule, progress):
    """`rl.schedules.value_at`. schedule: [5], as `rl.schedules.numbers_of` gives it."""
    return interpolate(schedule[0], schedule[1], schedule[2], schedule[3], schedule[4], progress)


@part
def coefficients(options, progress):
    return Coefficients(
        value_at(options.learning_rate, progress),
        value_at(options.critic_scale, progress),
        value_at(options.ent_coef, progress),
        value_at(options.vf_coef, progress),
        value_at(options.max_grad_norm, progress),
        value_at(options.max_shift, progress),
        value_at(options.target_shift, progress),
        value_at(options.target_entropy, progress),
    )
