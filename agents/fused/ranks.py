"""Sums over the ranks that train one agent, for kernels: see `agents.ranks`.

ranks: () for a single process, which compiles to nothing; otherwise `RankArrays`.
"""

from typing import NamedTuple

import numpy as np
import torch
from numba import njit, objmode, types
from numpy.typing import NDArray

from agents.fused.arrays import Doubles
from agents.ranks import Ranks, current
from envs.kernels import kernel, overload_of

NO_NUMBERS, NO_MOMENTS = (0.0, 0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0)


class RankArrays(NamedTuple):
    """Arrays of the kernels on several ranks. N is the number of environments over all ranks."""

    rank: int
    world_size: int
    table: Doubles  # [world size, 10], one row per rank: five numbers to be summed, a count, and two pairs of moments
    features: Doubles  # [2, D], this rank's mean and sum of squared deviations of each feature
    all_features: Doubles  # [world size, 2, D], the same for all ranks
    own_rewards: Doubles  # [T, N / world size, 3], rewards, terminated and truncated
    rewards: Doubles  # [world size, T, N / world size, 3], the same for all ranks
    reward: Doubles  # [T, N]
    terminated: NDArray[np.bool_]  # [T, N]
    truncated: NDArray[np.bool_]  # [T, N]


def rank_arrays(ranks: Ranks, steps: int, envs: int, inputs: int) -> RankArrays | tuple[()]:
    """Arrays for rollouts of T steps of N / world size environments with D inputs."""
    if ranks.alone:
        return ()
    shape = (steps, ranks.count * envs)
    return RankArrays(
        ranks.index, ranks.count, np.zeros((ranks.count, 10)), np.zeros((2, inputs)),
        np.zeros((ranks.count, 2, inputs)), np.zeros((steps, envs, 3)), np.zeros((ranks.count, steps, envs, 3)),
        np.zeros(shape), np.zeros(shape, np.bool_), np.zeros(shape, np.bool_),
    )  # fmt: skip


def _sum(x: NDArray[np.floating]) -> None:
    current().add(torch.from_numpy(x))


def _sum_both(x: NDArray[np.floating], y: NDArray[np.floating]) -> None:
    current().add(torch.from_numpy(x), torch.from_numpy(y))


def _gather(own: Doubles, everywhere: Doubles) -> None:
    everywhere[...] = current().gather(torch.from_numpy(own), 0).numpy().reshape(everywhere.shape)


@njit
def _call_sum(x):
    with objmode():
        _sum(x)


@njit
def _call_sum_both(x, y):
    with objmode():
        _sum_both(x, y)


@njit
def call_gather(own, everywhere):
    with objmode():
        _gather(own, everywhere)


def is_alone(ranks: types.Type) -> bool:
    return isinstance(ranks, types.BaseTuple) and len(ranks) == 0


def count_of(ranks):
    """The number of ranks."""


def add_with(ranks, x, numbers, count, moments):
    """x ← Σ x over ranks. Returns the sums of five numbers, and `pooled` moments; all in one message."""


def sums(ranks, numbers):
    """The sums of five numbers over the ranks."""


def pooled(ranks, count, moments):
    """Means and sums of squared deviations of two quantities over all ranks.

    moments: mean, sum, mean, sum of this rank's `count` values of each.
    """


def keep_own(ranks, order, envs):
    """Moves this rank's rows in `order` (t · N + i) to the front, as t · envs + i − first; returns their number."""


@overload_of(count_of)
def _count_of(ranks):
    return (lambda ranks: 1) if is_alone(ranks) else (lambda ranks: ranks.world_size)


@kernel
def _write(ranks, numbers, count, moments):
    """Writes this rank's row of the table, and zeros to the other ranks' rows."""
    table = ranks.table
    table[...] = 0.0
    row = table[ranks.rank]
    for k in range(5):
        row[k] = numbers[k]
    row[5] = count
    for k in range(4):
        row[6 + k] = moments[k]


@kernel
def _total(table, k):
    total = 0.0
    for r in range(len(table)):
        total += table[r, k]
    return total


@kernel
def _pooled(table, k):
    """The mean over ranks of the quantity with moments in columns k and k + 1, and Σ (Mᵣ + nᵣ (meanᵣ − mean)²)."""
    mean, square = 0.0, 0.0
    for r in range(len(table)):
        mean += table[r, 5] * table[r, k]
    mean /= _total(table, 5)
    for r in range(len(table)):
        square += table[r, k + 1] + table[r, 5] * (table[r, k] - mean) ** 2
    return mean, square


@kernel
def _read(table):
    """Σ of the five numbers; the moments."""
    numbers = (_total(table, 0), _total(table, 1), _total(table, 2), _total(table, 3), _total(table, 4))
    return numbers, _pooled(table, 6) + _pooled(table, 8)


@overload_of(add_with)
def _add_with(ranks, x, numbers, count, moments):
    def together(ranks, x, numbers, count, moments):
        _write(ranks, numbers, count, moments)
        _call_sum_both(x, ranks.table)
        return _read(ranks.table)

    return (lambda ranks, x, numbers, count, moments: (numbers, moments)) if is_alone(ranks) else together


@overload_of(sums)
def _sums(ranks, numbers):
    def together(ranks, numbers):
        _write(ranks, numbers, 1, NO_MOMENTS)
        _call_sum(ranks.table)
        return _read(ranks.table)[0]

    return (lambda ranks, numbers: numbers) if is_alone(ranks) else together


@overload_of(pooled)
def _pooled_of(ranks, count, moments):
    def together(ranks, count, moments):
        _write(ranks, NO_NUMBERS, count, moments)
        _call_sum(ranks.table)
        return _read(ranks.table)[1]

    return (lambda ranks, count, moments: moments) if is_alone(ranks) else together


@kernel
def _keep_own(order, envs, rank, world_size):
    used = 0
    for row in order:
        t, i = divmod(row, envs * world_size)
        if rank * envs <= i < (rank + 1) * envs:
            order[used] = t * envs + i - rank * envs
            used += 1
    return used


@overload_of(keep_own)
def _keep_own_of(ranks, order, envs):
    if is_alone(ranks):
        return lambda ranks, order, envs: len(order)
    return lambda ranks, order, envs: _keep_own(order, envs, ranks.rank, ranks.world_size)
