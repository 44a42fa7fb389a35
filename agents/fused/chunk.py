"""Whole iterations of collecting and learning in one call that holds no lock, where the worlds are compiled too."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.fused.densities import sample_categorical
from agents.fused.learn import DONE, learn
from agents.fused.memory import Doubles, Floats, Integers
from agents.fused.network import copy_row, forward, output_of
from agents.fused.norms import normalize_rows
from envs.backends.native_physics import step_worlds
from envs.kernels import inlined, kernel


class World(NamedTuple):
    """The native worlds, and the running episodes as `envs.Worlds` counts them."""

    world: int
    limit: int
    state: Doubles
    rng: NDArray[np.uint64]
    length: Integers
    obs: Floats
    two: Doubles
    running_return: Doubles  # [N]
    running_length: Integers  # [N]
    low: float  # bounds of a real action
    high: float


class Episodes(NamedTuple):
    """Those that ended, in order."""

    ret: Doubles
    length: Integers
    step: Integers


@inlined
def encode_rows(options, batch, norms, begin, end):
    """x of raw observations, as the networks see them."""
    raw, x = batch.raw[begin:end], batch.x[begin:end]
    if options.normalize_observations:
        normalize_rows(norms, options.clip_normalized, raw, x)
    else:
        for r in range(len(x)):
            copy_row(raw, r, x, r)


@inlined
def act_rows(options, theta, layers, outputs, batch, work, noise, begin, end):
    """a ~ π_θ(·|x) for rows of x. noise: [rows], uniform in [0, 1), or [rows, A], normal, where actions are real."""
    forward(theta, layers, outputs, len(batch.x), options.relu, batch.x, begin, end)
    out = output_of(outputs, layers, len(layers) - 1, len(batch.x))
    size = options.actions
    discrete, continuous, behavior = batch.discrete, batch.continuous, batch.behavior
    for r in range(begin, end):
        for k in range(size):
            behavior[r, k] = out[r, k]
        if options.gaussian:
            for k in range(size):
                behavior[r, size + k] = theta[k]
                continuous[r, k] = out[r, k] + np.exp(theta[k]) * noise[r - begin, k]
        else:
            discrete[r] = sample_categorical(out, r, size, noise[r - begin, 0], work)


@inlined
def act_on(options, params, policy, batch, scratch, norms, obs, noise, begin):
    """Puts observations, [N, D], into the rows of the batch from `begin` on, and acts on them."""
    end = begin + len(obs)
    for i in range(len(obs)):
        copy_row(obs, i, batch.raw, begin + i)
    encode_rows(options, batch, norms, begin, end)
    act_rows(options, params.theta, policy.layers, policy.outputs, batch, scratch.work, noise, begin, end)


@kernel
def act_once(m, t, raw, noise):
    """Acts on observations that come from outside, those of step t of a rollout. raw: float[N, D]."""
    settings, params, policy, _, batch, scratch, norms, _ = m
    act_on(settings[0], params, policy, batch, scratch, norms, raw, noise, t * len(raw))


@inlined
def note_successor(raw, successors, row, envs, over, last, next_obs, i, extra):
    """What follows a row of the rollout: the row below; where an episode ended, a row of its own, behind all others.

    extra: rows taken so far. Returns that now.
    """
    successor = row + envs
    if over and not last:
        successor = extra
        extra += 1
    if over or last:
        copy_row(next_obs, i, raw, successor)
    successors[row] = successor
    return extra


@kernel
def turn(m, t, steps, extra, obs, noise, next_obs, reward, terminated, truncated, progress, measure, report):
    """Takes in step t of worlds that are stepped outside, learns after the last of a rollout, and acts on obs again.

    noise: that of the next action; extra: rows of x taken so far. Returns extra, and whether learning went well.
    """
    settings, params, policy, value, batch, scratch, norms, adaptive = m
    options, envs = settings[0], len(reward)
    rows, status = steps * envs, DONE
    extra = rows + envs if t == 0 else extra
    for i in range(envs):
        row = t * envs + i
        over = terminated[i] or truncated[i]
        batch.reward[t, i], batch.terminated[t, i], batch.truncated[t, i] = reward[i], terminated[i], truncated[i]
        extra = note_successor(batch.raw, batch.successor, row, envs, over, t == steps - 1, next_obs, i, extra)
    if t == steps - 1:
        encode_rows(options, batch, norms, rows, extra)
        status = learn(
            options, params, policy, value, batch, scratch, norms, adaptive, steps, extra, progress, measure, report
        )
    if status == DONE and len(noise) > 0:
        act_on(options, params, policy, batch, scratch, norms, obs, noise, (t + 1) % steps * envs)
    return extra, status


@kernel
def update_once(m, obs, next_obs, discrete, continuous, behavior, reward, terminated, truncated, progress, report):
    """Learns from a rollout that comes from outside, as it is in `agents.rollout.Rollout` but for rows of T · N."""
    settings, params, policy, value, batch, scratch, norms, adaptive = m
    options = settings[0]
    rows = len(obs)
    batch.raw[:rows], batch.raw[rows : 2 * rows] = obs, next_obs
    batch.discrete[:rows], batch.continuous[:rows], batch.behavior[:rows] = discrete[:rows], continuous[:rows], behavior
    batch.reward[:], batch.terminated[:], batch.truncated[:] = reward, terminated, truncated
    for r in range(rows):
        batch.successor[r] = rows + r
    encode_rows(options, batch, norms, 0, 2 * rows)
    forward(params.theta, policy.layers, policy.outputs, len(batch.x), options.relu, batch.x, 0, rows)
    return learn(
        options, params, policy, value, batch, scratch, norms, adaptive, len(reward), 2 * rows, progress, True, report
    )


@inlined
def advance(gaussian, batch, w, t, steps, extra, now, episodes, ended, buffers):
    """One step of every world, into row t of the batch. Returns the rows of x taken, and the episodes ended, so far."""
    force, next_obs, reward, terminated, truncated = buffers
    raw, _, successors, discrete, continuous, _, rewards, terminations, truncations = batch
    world, limit, state, rng, length, obs, two, ret, count, low, high = w
    returns, lengths, times = episodes
    envs = len(reward)
    first = t * envs
    if gaussian:
        for i in range(envs):
            force[i] = min(max(continuous[first + i, 0], low), high)
    step_worlds(
        world, limit, state, rng, length, discrete[first : first + envs], force, obs, next_obs, reward, terminated,
        truncated, two,
    )  # fmt: skip
    for i in range(envs):
        over = terminated[i] or truncated[i]
        rewards[t, i] = reward[i]
        terminations[t, i], truncations[t, i] = terminated[i], truncated[i]
        ret[i] += reward[i]
        count[i] += 1
        extra = note_successor(raw, successors, first + i, envs, over, t == steps - 1, next_obs, i, extra)
        if over:
            returns[ended], lengths[ended], times[ended] = ret[i], count[i], now
            ret[i], count[i] = 0.0, 0
            ended += 1
    return extra, ended


@kernel
def run_chunk(m, w, noise, updates, steps, step, iteration, until, interval, reports, episodes):
    """`updates` iterations. noise: [updates · T · N, A or 1]; interval: updates between measures of the policy shift.

    Returns what the last update returned, the updates that were whole, and the episodes that ended.
    """
    settings, params, policy, value, batch, scratch, norms, adaptive = m
    options = settings[0]
    envs, ended = len(w.obs), 0
    rows = steps * envs
    force, next_obs, reward = np.empty(envs, np.float32), np.empty_like(w.obs), np.empty(envs)
    buffers = (force, next_obs, reward, np.empty(envs, np.bool_), np.empty(envs, np.bool_))
    for u in range(updates):
        extra = rows + envs  # rows of x behind the observations and their last successors
        for t in range(steps):
            begin, end = t * envs, (t + 1) * envs
            draws = noise[u * rows + begin : u * rows + end]
            act_on(options, params, policy, batch, scratch, norms, w.obs, draws, begin)
            now = step + u * rows + end
            extra, ended = advance(options.gaussian, batch, w, t, steps, extra, now, episodes, ended, buffers)
        encode_rows(options, batch, norms, rows, extra)
        progress, measure = (step + u * rows) / until, (iteration + u + 1) % interval == 0
        status = learn(
            options, params, policy, value, batch, scratch, norms, adaptive, steps, extra, progress, measure,
            reports[u],
        )  # fmt: skip
        if status != DONE:
            return status, u, ended
    return DONE, updates, ended
