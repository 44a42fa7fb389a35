"""Kernels of streaming actor-critic: `agents.streaming.StreamAC.learn_from`, compiled; signatures as in `chunk`.

memory: `StreamMemory`; options: one record of OPTIONS.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.fused.arrays import Doubles, Floats
from agents.fused.chunk import encode_rows, step_native_worlds, store_successor
from agents.fused.head_arrays import Work
from agents.fused.heads import sample
from agents.fused.learn import DONE
from agents.fused.memory import Batch, Norms
from agents.fused.network import copy_row
from agents.fused.stream_network import StreamNet
from agents.fused.stream_update import learn, write_parameters
from envs.kernels import inlined, kernel

CONSTANTS = {  # settings passed to the kernels unchanged
    "normalize_observations": np.bool_,
    "normalize_rewards": np.bool_,
    "layer_norm": np.bool_,
    "attainable_intent": np.bool_,
    "gamma": np.float64,
    "reward_scale": np.float64,
    "clip_normalized": np.float64,
    "trace_decay": np.float64,
    "ent_coef": np.float64,
    "step_size": np.float64,
    "policy_overshoot": np.float64,
    "value_overshoot": np.float64,
    "policy_intent": np.float64,
    "value_intent": np.float64,
}

OPTIONS = np.dtype(
    [
        ("bootstrap", np.bool_),  # at a time limit
        ("entropy_in_trace", np.bool_),  # with the sign of δ; otherwise added to every step
        ("activation", np.int64),
        ("rule", np.int64),
        ("averaging_steps", np.int64),  # 0 if null
        ("reward_clip", np.float64),  # infinite if null
        ("max_policy_shift", np.float64),  # NaN if null
        ("std_shift", np.float64),  # σ = softplus(output + std_shift)
        *CONSTANTS.items(),
    ],
    align=True,
)

METRICS = ("policy_shift_kl", "policy_step", "value_step", "td_error", "value", "entropy")
REPORT = np.dtype([(name, np.float64) for name in METRICS])


class StreamMemory(NamedTuple):
    """Everything the kernels work on, as one argument."""

    options: NDArray[np.void]  # [1] of OPTIONS
    policy: StreamNet
    value: StreamNet
    average: StreamNet  # policy with averaged parameters; these are [0] without averaging
    averaged: Doubles  # [1], steps in the average
    begins: NDArray[np.bool_]  # [1], whether the next transition is the first of its episode
    before: Floats  # [P], the policy's parameters before a bounded step
    batch: Batch
    norms: Norms
    work: Work


@inlined
def sample_actions(options, policy, batch, work, noise, begin, end):
    """a ~ π_θ(·|x) for the rows of x from begin to end; see `agents.fused.chunk.sample_actions`."""
    for r in range(begin, end):
        write_parameters(options, policy, batch, r, batch.legal[r - begin])
    sample(batch.head, batch.behavior, work.order[begin:end], noise, batch.discrete, batch.continuous, work.z)


@inlined
def act_on(options, policy, batch, norms, work, obs, noise, begin):
    """Stores observations, [N, D], as rows of the batch starting at `begin`, and samples their actions."""
    end = begin + len(obs)
    for i in range(len(obs)):
        copy_row(obs, i, batch.raw_obs, begin + i)
    encode_rows(options, batch, norms, begin, end)
    sample_actions(options, policy, batch, work, noise, begin, end)


@kernel
def act(memory, obs, noise):
    """Samples actions for observations, [N, D]."""
    options, policy, _, _, _, _, _, batch, norms, work = memory
    act_on(options[0], policy, batch, norms, work, obs, noise, 0)


@kernel
def store_learn_act(
    memory, t, steps, used, obs, noise, next_obs, reward, terminated, truncated, progress, measure, report
):
    """Stores the transition, learns from it, and samples the action for the next observation: see `chunk`."""
    settings, policy, value, average, averaged, begins, before, batch, norms, work = memory
    options = settings[0]
    batch.reward[0, 0], batch.terminated[0, 0], batch.truncated[0, 0] = reward[0], terminated[0], truncated[0]
    over = terminated[0] or truncated[0]
    store_successor(batch.raw_obs, batch.successor, 0, 1, over, True, next_obs, 0, 2)
    status = learn(options, policy, value, average, averaged, begins, before, batch, norms, work, measure, report[0])
    if status == DONE and len(noise) > 0:
        act_on(options, policy, batch, norms, work, obs, noise, 0)
    return used, status


@kernel
def load(memory, obs, next_obs, discrete, continuous, behavior, reward, terminated, truncated):
    """Stores observation and action of one transition collected elsewhere: see `chunk`."""
    settings, policy, _, _, _, _, _, batch, norms, _ = memory
    copy_row(obs, 0, batch.raw_obs, 0)
    copy_row(discrete, 0, batch.discrete, 0)
    copy_row(continuous, 0, batch.continuous, 0)
    encode_rows(settings[0], batch, norms, 0, 1)
    for k in range(batch.legal.shape[1]):
        batch.legal[0, k] = behavior[0, k] != -math.inf
    write_parameters(settings[0], policy, batch, 0, batch.legal[0])  # those of the current policy, whichever acted
    return 2


@kernel
def run_chunk(memory, worlds, noise, updates, steps, step, iteration, until, interval, reports, episodes):
    """`updates` steps of a native world, each with an update: see `agents.fused.chunk.run_chunk`."""
    settings, policy, value, average, averaged, begins, before, batch, norms, work = memory
    options, ended = settings[0], 0
    for u in range(updates):
        act_on(options, policy, batch, norms, work, worlds.obs, noise[u : u + 1], 0)
        now = step + u + 1
        _, ended = step_native_worlds(batch, worlds, 0, 1, 2, now, episodes, ended)
        measure, report = (iteration + u + 1) % interval == 0, reports[u]
        status = learn(options, policy, value, average, averaged, begins, before, batch, norms, work, measure, report)
        if status != DONE:
            return status, u, ended
    return DONE, updates, ended
