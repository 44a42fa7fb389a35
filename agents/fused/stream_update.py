"""The update of streaming actor-critic, compiled: `agents.streaming.StreamAC.learn_from` on one transition.

options: one record of `agents.fused.stream.OPTIONS`. Row 0 of the batch is the transition, row 1 its successor.
"""

import math

import numpy as np

from agents.averages import AVERAGED_SHARE
from agents.fused.chunk import encode_rows
from agents.fused.heads import current, policy_losses, relative_score, shifts, stored, to_outputs
from agents.fused.learn import DONE, GRADIENT_NOT_FINITE, preprocess_rewards
from agents.fused.memory import COLUMN
from agents.fused.norms import merge_moments
from agents.fused.stream_network import backward, forward
from agents.fused.stream_steps import INTENTIONAL, advance, finish, measure, move_towards
from envs.kernels import inlined, kernel

_f64 = np.float64


@inlined
def write_parameters(options, policy, batch, r, legal):
    """behavior[r] = the distribution parameters for row r: logits, or μ and ln σ. legal: bool[≥ A]."""
    size, behavior, outputs = batch.head.size, batch.behavior, policy.outputs
    out = forward(policy, options.activation, options.layer_norm, batch.x, r)
    for k in range(size):
        behavior[r, k] = outputs[out + k] if legal[k] else -math.inf
        if batch.head.gaussian:
            behavior[r, size + k] = log_softplus(_f64(outputs[out + size + k]) + options.std_shift)


@kernel
def log_softplus(o):
    """ln σ of a Gaussian, σ = ln(1 + e^o)."""
    return math.log(math.log1p(math.exp(-abs(o))) + max(o, 0.0))


@inlined
def td_error(options, batch, norms, value):
    """δ and V(s) of the transition in row 0, whose successor is row batch.successor[0]; keeps V's forward pass on s."""
    preprocess_rewards(options, batch, norms, (), 1)
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
    """Writes ∂[likelihood · ln π(a|s) + weight · H]/∂outputs to slope, [1, ≥ outputs]; returns H."""
    head, size, out = batch.head, batch.head.size, policy.layers[-1, COLUMN]
    order, z, g, advantage = work.order[:1], work.z[:1], work.g[:1], work.e[0]
    advantage[0] = -likelihood
    stored(head, batch.behavior, order, z)
    _, entropy = policy_losses(head, z, batch.discrete, batch.continuous, order, advantage, -weight, 1.0, g, work)
    to_outputs(head, z, g, slope, work.before[0])
    if head.gaussian:
        for k in range(size):
            o = _f64(policy.outputs[out + size + k]) + options.std_shift
            curve = math.exp(-z[0, size + k]) / (1 + math.exp(-o))  # ∂ ln σ/∂o, σ = softplus(o)
            slope[0, size + k] = g[0, size + k] * curve
    return entropy


@kernel
def policy_shift(options, policy, batch, work):
    """KL(π_before ‖ π_now) at s."""
    head, size = batch.head, batch.head.size
    out = forward(policy, options.activation, options.layer_norm, batch.x, 0)
    order, z, outputs = work.order[:1], work.z[:1], policy.outputs[out : out + size].reshape(1, size)
    stored(head, batch.behavior, order, work.before)
    current(head, work.g[0], outputs, batch.behavior, order, z)
    if head.gaussian:
        for k in range(size):
            z[0, size + k] = log_softplus(_f64(policy.outputs[out + size + k]) + options.std_shift)
    kl, _ = shifts(head, work.before, z, work.e)
    return kl


@inlined
def bounded_move(options, policy, before, batch, work, step, delta, functions, measure_shift):
    """The policy's step, shortened until its shift is within the bound: see `agents.optimizer.bounded`."""
    theta, bound = policy.theta, options.max_policy_shift
    if bound > 0:
        for k in range(len(theta)):
            before[k] = theta[k]
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
    """The gradients of ln π and, as function 1, of β H unless it is part of the trace; returns how many there are."""
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
    """Adds s′ to the observation statistics, and s if its episode begins; x of s stays as the agent acted on it."""
    raw_obs = batch.raw_obs
    if options.normalize_observations:
        if begins[0]:
            merge_moments(norms.obs_count, norms.obs_mean, norms.obs_m2, raw_obs[:1])
        merge_moments(norms.obs_count, norms.obs_mean, norms.obs_m2, raw_obs[1:2])
    encode_rows(options, batch, norms, 1, 2)


@kernel
def learn(options, policy, value, average, averaged, begins, before, batch, norms, work, measure_shift, report):
    """Learns from the transition in row 0. Requires the policy's forward pass on it, made by acting."""
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
    if options.rule == INTENTIONAL and options.attainable_intent and not batch.head.gaussian:
        stored(batch.head, batch.behavior, work.order[:1], work.z)
        step *= min(relative_score(batch.head, work.z, batch.discrete, work.e), 1.0)
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
