"""Sums over the ranks that train one agent, for kernels: see `agents.ranks`.

ranks: () if there is one process, which compiles to nothing, else `RankArrays`.
"""

from typing import NamedTuple

import numpy as np
import torch
from numba import njit, objmode, types
from numpy.typing import NDArray

from agents.fused.memory import Doubles
from agents.fused.norms import merge, merge_moments, normalize_rewards
from agents.ranks import Ranks, current
from envs.kernels import kernel, overload_of


class RankArrays(NamedTuple):
    """What the kernels of several ranks work on. N is the number of environments of all ranks."""

    rank: int
    world_size: int
    numbers: Doubles  # [5], which are summed over the ranks
    features: Doubles  # [2, D], sums over observations
    own_rewards: Doubles  # [T, N / world size, 3], rewards, terminated and truncated
    rewards: Doubles  # [world size, T, N / world size, 3], those of all ranks
    reward: Doubles  # [T, N]
    terminated: NDArray[np.bool_]  # [T, N]
    truncated: NDArray[np.bool_]  # [T, N]


def rank_arrays(ranks: Ranks, steps: int, envs: int, inputs: int) -> RankArrays | tuple[()]:
    """For rollouts of T steps of N / world size environments, with D inputs."""
    if ranks.alone:
        return ()
    shape = (steps, ranks.count * envs)
    return RankArrays(
        ranks.index, ranks.count, np.zeros(5), np.zeros((2, inputs)), np.zeros((steps, envs, 3)),
        np.zeros((ranks.count, steps, envs, 3)), np.zeros(shape), np.zeros(shape, np.bool_), np.zeros(shape, np.bool_),
    )  # fmt: skip


def _sum(x: NDArray[np.floating]) -> None:
    current().add(torch.from_numpy(x))


def _gather(own: Doubles, everywhere: Doubles) -> None:
    everywhere[...] = current().gather(torch.from_numpy(own), 0).numpy().reshape(everywhere.shape)


@njit
def _call_sum(x):
    with objmode():
        _sum(x)


@njit
def _call_gather(own, everywhere):
    with objmode():
        _gather(own, everywhere)


def _alone(ranks: types.Type) -> bool:
    return isinstance(ranks, types.BaseTuple) and len(ranks) == 0


def add(ranks, x):
    """x ← Σ x over ranks. x: floats, contiguous."""


def count_of(ranks):
    """The number of ranks."""


def sums(ranks, a, b, c, d, e):
    """The sums of five numbers over the ranks."""


def keep_own(ranks, order, envs):
    """Moves this rank's rows of all, t · N + i, to the front, as its rows t · envs + i − first; returns how many."""


def normalize_rewards_of(ranks, batch, norms, gamma, bound, steps):
    """`agents.fused.norms.normalize_rewards` of the batch, by the rewards of all environments."""


def observe(ranks, count, mean, m2, x):
    """Adds the rows x of all ranks, float64[B, D] each, to running moments."""


@overload_of(add)
def _add(ranks, x):
    return (lambda ranks, x: None) if _alone(ranks) else (lambda ranks, x: _call_sum(x))


@overload_of(count_of)
def _count_of(ranks):
    return (lambda ranks: 1) if _alone(ranks) else (lambda ranks: ranks.world_size)


@kernel
def _sums_of(numbers, a, b, c, d, e):
    numbers[0], numbers[1], numbers[2], numbers[3], numbers[4] = a, b, c, d, e
    _call_sum(numbers)
    return numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]


@overload_of(sums)
def _sums(ranks, a, b, c, d, e):
    if _alone(ranks):
        return lambda ranks, a, b, c, d, e: (a, b, c, d, e)
    return lambda ranks, a, b, c, d, e: _sums_of(ranks.numbers, a, b, c, d, e)


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
    if _alone(ranks):
        return lambda ranks, order, envs: len(order)
    return lambda ranks, order, envs: _keep_own(order, envs, ranks.rank, ranks.world_size)


@kernel
def _everywhere(ranks, batch):
    steps, envs = batch.reward.shape
    for t in range(steps):
        for i in range(envs):
            ranks.own_rewards[t, i, 0] = batch.reward[t, i]
            ranks.own_rewards[t, i, 1], ranks.own_rewards[t, i, 2] = batch.terminated[t, i], batch.truncated[t, i]
    _call_gather(ranks.own_rewards, ranks.rewards)
    for k in range(ranks.world_size):
        for t in range(steps):
            for i in range(envs):
                row = ranks.rewards[k, t, i]
                ranks.reward[t, k * envs + i] = row[0]
                ranks.terminated[t, k * envs + i], ranks.truncated[t, k * envs + i] = row[1] > 0, row[2] > 0


@overload_of(normalize_rewards_of)
def _normalize_rewards_of(ranks, batch, norms, gamma, bound, steps):
    def alone(ranks, batch, norms, gamma, bound, steps):
        normalize_rewards(norms, gamma, bound, steps, batch.reward, batch.reward, batch.terminated, batch.truncated)

    def together(ranks, batch, norms, gamma, bound, steps):
        _everywhere(ranks, batch)
        normalize_rewards(norms, gamma, bound, steps, batch.reward, ranks.reward, ranks.terminated, ranks.truncated)

    return alone if _alone(ranks) else together


@kernel
def _observe_everywhere(ranks, count, mean, m2, x):
    rows, total = len(x), ranks.world_size * len(x)
    means, squares = ranks.features[0], ranks.features[1]
    for k in range(x.shape[1]):
        means[k] = 0.0
        for r in range(rows):
            means[k] += x[r, k]
    _call_sum(means)
    for k in range(x.shape[1]):
        means[k] /= total
        squares[k] = 0.0
        for r in range(rows):
            squares[k] += (x[r, k] - means[k]) ** 2
    _call_sum(squares)
    for k in range(x.shape[1]):
        merge(count[0], mean, m2, k, total, means[k], squares[k])
    count[0] += total


@overload_of(observe)
def _observe(ranks, count, mean, m2, x):
    if _alone(ranks):
        return lambda ranks, count, mean, m2, x: merge_moments(count, mean, m2, x)
    return lambda ranks, count, mean, m2, x: _observe_everywhere(ranks, count, mean, m2, x)
