"""NumPy's default generator, PCG64, in compiled code: the same stream, from the same state.

A state is a row uint64[4]: the high and low half of the 128-bit state, then of the increment.
Source: O'Neill 2014, "PCG: a family of simple fast space-efficient statistically good algorithms", XSL RR 128/64.
"""

import numpy as np

from envs.compiling import kernel

_HALF = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_FACTOR_HIGH, _FACTOR_LOW = np.uint64(0x2360ED051FC65DA4), np.uint64(0x4385DF649FCCF645)


@kernel
def _high_product(a, b):
    """The upper 64 bits of the 128-bit product."""
    a0, a1, b0, b1 = a & _HALF, a >> _32, b & _HALF, b >> _32
    cross = a1 * b0 + ((a0 * b0) >> _32)
    other = a0 * b1 + (cross & _HALF)
    return a1 * b1 + (cross >> _32) + (other >> _32)


@kernel
def uniform(rng, low, high):
    """low + (high − low) · u, u in [0, 1) of 53 bits: what `Generator.uniform` draws. rng: uint64[4], changed."""
    old_high, old_low = rng[0], rng[1]
    state_low = old_low * _FACTOR_LOW
    state_high = _high_product(old_low, _FACTOR_LOW) + old_high * _FACTOR_LOW + old_low * _FACTOR_HIGH
    new_low = state_low + rng[3]
    carry = np.uint64(1) if new_low < state_low else np.uint64(0)
    new_high = state_high + rng[2] + carry
    rng[0], rng[1] = new_high, new_low
    mixed, turn = new_high ^ new_low, new_high >> np.uint64(58)
    word = (mixed >> turn) | (mixed << ((np.uint64(64) - turn) & np.uint64(63)))
    return low + (high - low) * ((word >> np.uint64(11)) * (1.0 / 9007199254740992.0))
