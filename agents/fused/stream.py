"""Kernels of streaming actor-critic: `agents.streaming.StreamAC.learn_from` compiled, with the signatures of `chunk`.

memory: `StreamMemory`; options: one record of OPTIONS.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.averages import AVERAGED_SHARE
from agents.fused.chunk import encode_rows, step_native_worlds, store_successor
from agents.fused.densities import categorical_kl, categorical_loss, phi, sample_categorical
from agents.fused.learn import DONE, GRADIENT_NOT_FINITE, preprocess_rewards
from agents.fused.memory import COLUMN, Batch, Doubles, Floats, Norms
from agents.fused.network import copy_row
from agents.fused.norms import merge_moments
from agents.fused.stream_network import StreamNet, backward, forward
from agents.fused.stream_steps import advance, finish, measure, move_towards
from envs.kernels import inlined, kernel

_f64 = np.float64

CONSTANTS = {  # settings that the kernels read as they are
    "normalize_observations": np.bool_,
    "normalize_rewards": np.bool_,
    "layer_norm": np.bool_,
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
        ("gaussian", np.bool_),
        ("bootstrap", np.bool_),  # at a time limit
        ("entropy_in_trace", np.bool_),  # with the sign of δ; else added to every step
        ("activation", np.int64),
        ("rule", np.int64),
        ("averaging_steps", np.int64),  # 0 if null
        ("actions", np.int64),  # number of discrete actions, or dimension of a continuous one
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
    average: StreamNet  # the policy with averaged parameters; those are [0] if there are none
    averaged: Doubles  # [1], steps in the average
    begins: NDArray[np.bool_]  # [1], whether the next transition is the first of its episode
    before: Floats  # [P], the policy's parameters before a bounded step
    batch: Batch
    norms: Norms
    work: Doubles  # [4 · actions]


@inlined
def write_parameters(options, policy, batch, r):
    """behavior[r] = the distribution's parameters for row r: logits, or μ and ln σ, σ = softplus(output)."""
    size, behavior, outputs = options.actions, batch.behavior, policy.outputs
    out = forward(policy, options.activation, options.layer_norm, batch.x, r)
    for k in range(size):
        behavior[r, k] = outputs[out + k]
        if options.gaussian:
            o = _f64(outputs[out + size + k]) + options.std_shift
            behavior[r, size + k] = math.log(math.log1p(math.exp(-abs(o))) + max(o, 0.0))


@inlined
def sample_actions(options, policy, batch, work, noise, begin, end):
    """a ~ π_θ(·|x) for the rows of x from begin to end; see `agents.fused.chunk.sample_actions`."""
    behavior, size = batch.behavior, options.actions
    for r in range(begin, end):
        write_parameters(options, policy, batch, r)
        if options.gaussian:
            for k in range(size):
                batch.continuous[r, k] = behavior[r, k] + np.exp(behavior[r, size + k]) * noise[r - begin, k]
        else:
            batch.discrete[r] = sample_categorical(behavior, r, size, noise[r - begin, 0], work)


@inlined
def act_on(options, policy, batch, norms, work, obs, noise, begin):
    """Stores observations, [N, D], as rows of the batch from `begin` on, and samples their actions."""
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


@inlined
def td_error(options, batch, norms, value):
    """δ and V(s) of the transition in row 0, whose successor is row batch.successor[0]; leaves V's pass on s."""
    preprocess_rewards(options, batch, norms, 1)
    reward = batch.reward
    number = reward.dtype.type
    final = batch.terminated[0, 0] or (batch.truncated[0, 0] and not options.bootstrap)
    v_next = number(0)
    if not final:
        out = forward(value, options.activation, options.layer_norm, batch.x, batch.successor[0])
        v_next = value.outputs[out]
    out = forward(value, options.activation, options.layer_norm, batch.x, 0)
    v = value.outputs[out]
    return reward[0, 0] + number(options.gamma) * v_next - v, v


@inlined
def policy_slope(options, batch, likelihood, weight, policy, slope, work):
    """Writes ∂[likelihood · ln π(a|s) + weight · H]/∂outputs into slope, [1, ≥ outputs]; returns H."""
    size, behavior = options.actions, batch.behavior
    if not options.gaussian:
        action = batch.discrete[0]
        _, entropy = categorical_loss(behavior, 0, size, action, -likelihood, -weight, 1.0, slope, work)
        return entropy
    entropy, half_log, out = 0.0, 0.5 * math.log(2 * math.pi), policy.layers[-1, COLUMN]
    for k in range(size):
        log_std = _f64(behavior[0, size + k])
        z = (_f64(batch.continuous[0, k]) - _f64(behavior[0, k])) * math.exp(-log_std)
        o = _f64(policy.outputs[out + size + k]) + options.std_shift
        curve = math.exp(-log_std) / (1 + math.exp(-o))  # ∂ ln σ/∂o, σ = softplus(o)
        slope[0, k] = likelihood * z * math.exp(-log_std)
        slope[0, size + k] = (likelihood * (z * z - 1) + weight) * curve
        entropy += log_std + half_log + 0.5
    return entropy


@inlined
def policy_shift(options, policy, batch, work):
    """KL(π_before ‖ π_now) at s."""
    size, behavior = options.actions, batch.behavior
    out = forward(policy, options.activation, options.layer_norm, batch.x, 0)
    if not options.gaussian:
        logits = policy.outputs[out : out + size].reshape(1, size)
        kl, _ = categorical_kl(behavior, logits, 0, size, work)
        return kl
    kl = 0.0
    for k in range(size):
        o = _f64(policy.outputs[out + size + k]) + options.std_shift
        std = math.log1p(math.exp(-abs(o))) + max(o, 0.0)
        z = (_f64(behavior[0, k]) - _f64(policy.outputs[out + k])) / std
        kl += 0.5 * (phi(2 * (_f64(behavior[0, size + k]) - math.log(std))) + z * z)
    return kl


@inlined
def bounded_move(options, policy, before, batch, work, step, delta, functions, measure_shift):
    """The policy's step, shortened until its shift is at most the bound: see `agents.optimizer.bounded`."""
    theta, bound = policy.theta, options.max_policy_shift
    if bound > 0:
        before[:] = theta
    advance(options, policy, step, delta, functions)
    if not (measure_shift or bound > 0):
        return np.nan
    kl = policy_shift(options, policy, batch, work)
    attempt = 0
    while bound > 0 and kl > bound and attempt < 10:
        share = theta.dtype.type(0.95 * math.sqrt(bound / kl)) if attempt < 9 else theta.dtype.type(0)
        for k in range(len(theta)):
            theta[k] = before[k] + share * (theta[k] - before[k])
        kl = policy_shift(options, policy, batch, work)
        attempt += 1
    return kl


@inlined
def policy_gradients(options, policy, batch, delta, work, report):
    """The gradients of ln π and, as function 1, of β H where it is not part of the trace; returns their number."""
    begin, end, functions, weight = policy.layers[-1, COLUMN], len(policy.outputs), 1, 0.0
    slope = policy.deltas[begin:end].reshape(1, end - begin)
    if options.entropy_in_trace:
        weight = options.ent_coef * np.sign(_f64(delta))
    elif options.ent_coef > 0:
        functions, other = 2, policy.deltas[end + begin :].reshape(1, end - begin)
        policy_slope(options, batch, 0.0, options.ent_coef, policy, other, work)
    report.entropy = policy_slope(options, batch, 1.0, weight, policy, slope, work)
    backward(policy, options.activation, options.layer_norm, functions)
    return functions


@inlined
def observe(options, begins, batch, norms):
    """s′ joins the observation statistics, and s if its episode begins; x of s stays that on which the agent acted."""
    raw_obs = batch.raw_obs
    if options.normalize_observations:
        if begins[0]:
            merge_moments(norms.obs_count, norms.obs_mean, norms.obs_m2, raw_obs[:1])
        merge_moments(norms.obs_count, norms.obs_mean, norms.obs_m2, raw_obs[1:2])
    encode_rows(options, batch, norms, 1, 2)


@inlined
def learn(options, policy, value, average, averaged, begins, before, batch, norms, work, measure_shift, report):
    """Learns from the transition in row 0. Needs the policy's forward pass on it: acting has made it."""
    observe(options, begins, batch, norms)
    delta, v = td_error(options, batch, norms, value)
    if not abs(delta) < math.inf:
        report.td_error = delta
        return GRADIENT_NOT_FINITE
    functions = policy_gradients(options, policy, batch, delta, work, report)
    value.deltas[value.layers[-1, COLUMN]] = 1.0
    backward(value, options.activation, options.layer_norm, 1)
    step, error = measure(options, value, _f64(delta), options.value_overshoot, options.value_intent, False)
    advance(options, value, step, error, 1)
    report.value_step, report.td_error, report.value = step, delta, v
    step, error = measure(options, policy, _f64(delta), options.policy_overshoot, options.policy_intent, True)
    report.policy_step = step
    report.policy_shift_kl = bounded_move(options, policy, before, batch, work, step, error, functions, measure_shift)
    begins[0] = batch.terminated[0, 0] or batch.truncated[0, 0]
    finish(options, value, begins[0])
    finish(options, policy, begins[0])
    if options.averaging_steps > 0:
        averaged[0] += 1
        steps = max(1.0, min(averaged[0] / AVERAGED_SHARE, options.averaging_steps))
        move_towards(average.theta, policy.theta, 1 / steps)
    return DONE


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
def update(memory, obs, next_obs, discrete, continuous, behavior, reward, terminated, truncated, progress, report):
    """Learns from one transition that was collected elsewhere: an `agents.rollout.Rollout` of one row."""
    settings, policy, value, average, averaged, begins, before, batch, norms, work = memory
    options = settings[0]
    batch.raw_obs[:1], batch.raw_obs[1:2] = obs, next_obs
    batch.discrete[:1], batch.continuous[:1] = discrete[:1], continuous[:1]
    batch.reward[:], batch.terminated[:], batch.truncated[:] = reward, terminated, truncated
    batch.successor[0] = 1
    encode_rows(options, batch, norms, 0, 1)
    write_parameters(options, policy, batch, 0)  # of the current policy, whoever acted
    return learn(options, policy, value, average, averaged, begins, before, batch, norms, work, True, report[0])


@kernel
def run_chunk(memory, worlds, noise, updates, steps, step, iteration, until, interval, reports, episodes):
    """`updates` steps of a native world, each with an update: see `agents.fused.chunk.run_chunk`."""
    settings, policy, value, average, averaged, begins, before, batch, norms, work = memory
    options, ended = settings[0], 0
    force, next_obs, reward = np.empty(1, np.float32), np.empty_like(worlds.obs), np.empty(1)
    buffers = (force, next_obs, reward, np.empty(1, np.bool_), np.empty(1, np.bool_))
    for u in range(updates):
        act_on(options, policy, batch, norms, work, worlds.obs, noise[u : u + 1], 0)
        now = step + u + 1
        _, ended = step_native_worlds(options.gaussian, batch, worlds, 0, 1, 2, now, episodes, ended, buffers)
        measure, report = (iteration + u + 1) % interval == 0, reports[u]
        status = learn(options, policy, value, average, averaged, begins, before, batch, norms, work, measure, report)
        if status != DONE:
            return status, u, ended
    return DONE, updates, ended
