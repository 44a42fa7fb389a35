"""Kernels that act and learn in one call: whole iterations on native worlds, one step at a time on others.

They run without the GIL. memory: `agents.fused.memory.Memory`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.fused import learn as a2c
from agents.fused import ppo
from agents.fused.arrays import Doubles, Floats, Integers
from agents.fused.heads import choose
from agents.fused.learn import DONE
from agents.fused.memory import PPOScratch
from agents.fused.network import copy_row, forward, last_output, units_of
from agents.fused.norms import normalize_rows
from agents.fused.ranks import count_of
from agents.fused.trunk import features
from envs.backends.native_physics import step_worlds
from envs.kernels import inlined, kernel, overload_of


def learn(options, params, policy, value, batch, scratch, norms, adaptive, steps, x_rows, progress, measure, report):
    """The update of the algorithm to which the type of `scratch` belongs: see `agents.fused.learn.learn`."""


@overload_of(learn)  # inline="always" drops copies that the caller makes before calling `learn` (Numba 0.68)
def _learn(options, params, policy, value, batch, scratch, norms, adaptive, steps, x_rows, progress, measure, report):
    update = ppo.learn if scratch.instance_class is PPOScratch else a2c.learn

    def call(options, params, policy, value, batch, scratch, norms, adaptive, steps, x_rows, progress, measure, report):
        return update(
            options, params, policy, value, batch, scratch, norms, adaptive, steps, x_rows, progress, measure, report
        )

    return call


class Stepped(NamedTuple):
    """Arguments and results of one call of `envs.backends.native_physics.step_worlds`."""

    force: Floats  # [N], continuous actions
    next_obs: Floats  # [N, D]
    reward: Doubles  # [N]
    terminated: NDArray[np.bool_]  # [N]
    truncated: NDArray[np.bool_]  # [N]


class World(NamedTuple):
    """The native worlds, and the running episodes as counted by `envs.Worlds`."""

    world: int
    limit: int
    state: Doubles
    rng: NDArray[np.uint64]
    length: Integers
    obs: Floats
    two: Doubles
    running_return: Doubles  # [N]
    running_length: Integers  # [N]
    low: float  # bounds of a continuous action
    high: float
    stepped: Stepped


class Episodes(NamedTuple):
    """Finished episodes, in order of completion; each array has room for one per row of the chunk."""

    ret: Doubles
    length: Integers
    step: Integers


@inlined
def encode_rows(options, batch, norms, begin, end):
    """Writes the rows of x from those of raw_obs, normalized or copied."""
    raw_obs, x = batch.raw_obs[begin:end], batch.x[begin:end]
    if options.normalize_observations:
        normalize_rows(norms, options.clip_normalized, raw_obs, x)
    else:
        for r in range(len(x)):
            copy_row(raw_obs, r, x, r)


@inlined
def sample_actions(options, theta, layers, outputs, batch, scratch, noise, begin, end):
    """a ~ π_θ(·|x) for the rows of x from begin to end. noise: for each row, see `agents.fused.heads.sample`."""
    work, capacity, units = scratch.work, len(batch.x), units_of(options)
    features(theta, scratch.trunk, capacity, units, batch.x, scratch.h, begin, end)
    forward(theta, layers, outputs, capacity, units, scratch.h, begin, end)
    out = last_output(outputs, layers, capacity)
    behavior, discrete, continuous, order = batch.behavior, batch.discrete, batch.continuous, work.order[begin:end]
    choose(batch.head, theta, out, batch.legal, behavior, order, noise, discrete, continuous, work.z)


@inlined
def act_on(options, params, policy, batch, scratch, norms, obs, noise, begin):
    """Stores observations, [N, D], as rows of the batch starting at `begin`, and samples their actions."""
    end = begin + len(obs)
    for i in range(len(obs)):
        copy_row(obs, i, batch.raw_obs, begin + i)
    encode_rows(options, batch, norms, begin, end)
    sample_actions(options, params.theta, policy.layers, policy.outputs, batch, scratch, noise, begin, end)


@kernel
def act(memory, obs, noise):
    """Samples actions for the observations, [N, D], of a rollout's first step. noise: see `sample_actions`."""
    options, params, policy, _, batch, scratch, norms, _ = memory
    act_on(options[0], params, policy, batch, scratch, norms, obs, noise, 0)


@inlined
def store_successor(raw_obs, successors, row, envs, over, last, next_obs, i, used):
    """Stores which row of x holds s′ of this row: the row of the next step, or an extra row after an episode's end.

    over: whether the episode ended; last: whether this is the rollout's last step. Copies s′ = next_obs[i] there
    if no later step will. used: rows of x in use; returns their new number.
    """
    successor = row + envs
    if over and not last:
        successor = used
        used += 1
    if over or last:
        copy_row(next_obs, i, raw_obs, successor)
    successors[row] = successor
    return used


@kernel
def store_learn_act(
    memory, t, steps, used, obs, noise, next_obs, reward, terminated, truncated, progress, measure, report
):
    """Stores step t of a rollout, learns if it is the last one, and samples actions for the next observations, obs.

    noise: for these actions, empty to sample none; used: rows of x in use. Returns `used` and the status of `learn`.
    """
    settings, params, policy, value, batch, scratch, norms, adaptive = memory
    options, envs = settings[0], len(reward)
    rows, status = steps * envs, DONE
    used = rows + envs if t == 0 else used
    for i in range(envs):
        row = t * envs + i
        over = terminated[i] or truncated[i]
        batch.reward[t, i], batch.terminated[t, i], batch.truncated[t, i] = reward[i], terminated[i], truncated[i]
        used = store_successor(batch.raw_obs, batch.successor, row, envs, over, t == steps - 1, next_obs, i, used)
    if t == steps - 1:
        encode_rows(options, batch, norms, rows, used)
        state = adaptive[0]
        status = learn(
            options, params, policy, value, batch, scratch, norms, state, steps, used, progress, measure, report[0]
        )
    if status == DONE and len(noise) > 0:
        act_on(options, params, policy, batch, scratch, norms, obs, noise, (t + 1) % steps * envs)
    return used, status


@kernel
def load(memory, obs, next_obs, discrete, continuous, behavior, reward, terminated, truncated):
    """Stores a rollout collected elsewhere; `store_learn_act` on its last step then learns from it.

    Arguments: fields of `agents.rollout.Rollout`; obs and actions have T · N rows. Returns the rows of x in use.
    """
    settings, params, policy, _, batch, scratch, norms, _ = memory
    options, rows, envs = settings[0], len(obs), reward.shape[1]
    for r in range(rows):
        copy_row(obs, r, batch.raw_obs, r)
        copy_row(continuous, r, batch.continuous, r)
        copy_row(behavior, r, batch.behavior, r)
        copy_row(discrete, r, batch.discrete, r)
    for r in range(rows - envs):  # `store_learn_act` stores the successors of the last step
        batch.successor[r] = rows + envs + r
        copy_row(next_obs, r, batch.raw_obs, rows + envs + r)
    for t in range(len(reward)):
        copy_row(reward, t, batch.reward, t)
        copy_row(terminated, t, batch.terminated, t)
        copy_row(truncated, t, batch.truncated, t)
    encode_rows(options, batch, norms, 0, rows)
    capacity, units = len(batch.x), units_of(options)
    features(params.theta, scratch.trunk, capacity, units, batch.x, scratch.h, 0, rows)
    forward(params.theta, policy.layers, policy.outputs, capacity, units, scratch.h, 0, rows)
    return 2 * rows


@inlined
def step_native_worlds(batch, worlds, t, steps, used, now, episodes, ended):
    """Steps every world and stores the outcome in row t of the batch. now: the training step afterwards.

    Returns the rows of x in use and the number of episodes that ended in this chunk.
    """
    raw_obs, _, successors, discrete, continuous, _, rewards, terminations, truncations, _, head = batch
    world, limit, state, rng, length, obs, two, ret, count, low, high, stepped = worlds
    force, next_obs, reward, terminated, truncated = stepped
    returns, lengths, times = episodes
    envs = len(reward)
    first = t * envs
    if head.gaussian:
        for i in range(envs):
            force[i] = min(max(continuous[first + i, 0], low), high)
    actions = discrete.reshape(-1)[first : first + envs]
    step_worlds(world, limit, state, rng, length, actions, force, obs, next_obs, reward, terminated, truncated, two)
    for i in range(envs):
        over = terminated[i] or truncated[i]
        rewards[t, i] = reward[i]
        terminations[t, i], truncations[t, i] = terminated[i], truncated[i]
        ret[i] += reward[i]
        count[i] += 1
        used = store_successor(raw_obs, successors, first + i, envs, over, t == steps - 1, next_obs, i, used)
        if over:
            returns[ended], lengths[ended], times[ended] = ret[i], count[i], now
            ret[i], count[i] = 0.0, 0
            ended += 1
    return used, ended


@kernel
def run_chunk(memory, worlds, noise, updates, steps, step, iteration, until, interval, reports, episodes):
    """`updates` iterations on native worlds. noise: of updates · T · N rows; reports: [updates] of REPORT.

    interval: updates between measurements of the policy shift. Returns the status of the last update, the number of
    complete updates, and the number of episodes that ended.
    """
    settings, params, policy, value, batch, scratch, norms, adaptive = memory
    options = settings[0]
    envs, ended = len(worlds.obs), 0
    rows, ranks = steps * envs, count_of(scratch.ranks)
    for u in range(updates):
        used = rows + envs  # the rollout's rows, then the successors of its last step
        for t in range(steps):
            begin, end = t * envs, (t + 1) * envs
            draws = noise[u * rows + begin : u * rows + end]
            act_on(options, params, policy, batch, scratch, norms, worlds.obs, draws, begin)
            now = step + (u * rows + end) * ranks
            used, ended = step_native_worlds(batch, worlds, t, steps, used, now, episodes, ended)
        encode_rows(options, batch, norms, rows, used)
        progress, measure = (step + u * rows * ranks) / until, (iteration + u + 1) % interval == 0
        state, report = adaptive[0], reports[u]
        status = learn(
            options, params, policy, value, batch, scratch, norms, state, steps, used, progress, measure, report
        )
        if status != DONE:
            return status, u, ended
    return DONE, updates, ended
