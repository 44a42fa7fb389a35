"""One update of PPO on a rollout in memory: `agents.ppo.PPO.learn_from`, compiled; arguments as in `learn`."""

import math

import numpy as np

from agents import minibatches
from agents.fused.heads import add_kl_slopes, current, log_probs, policy_losses, stored, to_outputs
from agents.fused.learn import (
    DONE,
    GRADIENT_NOT_FINITE,
    SHIFT_NOT_FINITE,
    adapt_entropy,
    advantages,
    evaluate_schedules,
    missing_shift,
    next_factor,
    policy_shift,
    preprocess_rewards,
    shorten,
)
from agents.fused.network import backward, copy_row, forward, last_output, units_of
from agents.fused.norms import observe
from agents.fused.optimizers import descend, sum_of_squares
from agents.fused.ranks import NO_MOMENTS, add_with, keep_own, pooled
from agents.fused.statistics import errors_and_targets, explained_variance, standardize
from agents.fused.trunk import backward_trunk, collect, features
from envs.kernels import allocating_kernel, inlined, kernel

OUTSIDE = 3  # the trust region was left
mix = kernel(minibatches.mix)


@allocating_kernel
def shuffle(state, keys, order, size):
    """Writes the rows in an epoch's order: see `agents.minibatches.Shuffle`. keys, order: [rows]."""
    rows = len(order)
    if size < rows:
        for r in range(rows):
            keys[r] = mix(state[0], state[1] + np.uint64(r))
        state[1] += np.uint64(rows)
        order[:] = np.argsort(keys)
    else:
        order[:] = np.arange(rows)


@kernel
def log_probabilities(batch, scratch, rows):
    """ln π_before(a|s) of every step."""
    work, order = scratch.work, scratch.work.order[:rows]
    stored(batch.head, batch.behavior, order, work.z)
    log_probs(batch.head, work.z, batch.discrete, batch.continuous, order, scratch.log_prob, work)


@inlined
def value_gradient(vf_coef, clip, delta, target, before, order, total, v):
    """Writes ∂(vf_coef · Σ (target − V)² / total)/∂V to delta, [rows, width]; returns Σ (target − V)² / total.

    clip: bound on |V − V_before|, NaN for none; target, before: [T · N], of which `order` lists the rows.
    """
    rows, square = len(order), 0.0
    for r in range(rows):
        row = order[r]
        gap = np.float64(target[row]) - np.float64(v[r])
        moved, inside = np.float64(v[r]) - np.float64(before[row]), 1.0
        if abs(moved) > clip:
            gap, inside = np.float64(target[row]) - np.float64(before[row]) - math.copysign(clip, moved), 0.0
        square += gap * gap
        for k in range(1, delta.shape[1]):
            delta[r, k] = 0
        delta[r, 0] = -2 * vf_coef / total * gap * inside
    return square / total


@kernel
def clipped(ratio, advantage, clip):
    """min(ρ Â, clip(ρ, 1 ± ε) Â), and its derivative with respect to ln ρ. clip: ε, NaN for none."""
    gain = ratio * advantage
    if abs(ratio - 1) > clip:
        bound = (1 + math.copysign(clip, ratio - 1)) * advantage
        if bound < gain:
            return bound, 0.0
    return gain, gain


@kernel
def policy_gradient(options, batch, scratch, theta, grad, out, delta, order, total, now, ent_coef, kl_coef):
    """Writes ∂L/∂out of the policy's part L of `PPO.loss` to delta, and ∂L/∂ln σ of a Gaussian to grad.

    total: rows of the minibatch over all ranks. Returns, each divided by total, the sums of −gain, of the entropy, of
    ratios outside 1 ± ε and of the KL estimate.
    """
    head, behavior, discrete, continuous = batch.head, batch.behavior, batch.discrete, batch.continuous
    rows = len(order)
    z, before, g = scratch.work.z[:rows], scratch.work.before[:rows], scratch.work.g[:rows]
    advantage, weight, share = scratch.part_advantage, scratch.part_weight, 1.0 / total
    for r in range(rows):
        advantage[r] = scratch.advantage.reshape(-1)[order[r]]
    if options.normalize_advantage:
        standardize(advantage[:rows], total, scratch.ranks)
    current(head, theta, out, behavior, order, z)
    log_probs(head, z, discrete, continuous, order, weight, scratch.work)
    loss, outside, approx_kl = 0.0, 0.0, 0.0
    for r in range(rows):
        log_ratio = weight[r] - scratch.log_prob[order[r]]
        gain, weight[r] = clipped(math.exp(log_ratio), advantage[r], now.clip_range)
        loss -= gain
        outside += abs(math.expm1(log_ratio)) > now.clip_range
        approx_kl += math.expm1(log_ratio) - log_ratio
    _, entropy = policy_losses(head, z, discrete, continuous, order, weight, ent_coef, share, g, scratch.work)
    if options.penalized:
        stored(head, behavior, order, before)
        add_kl_slopes(head, before, z, kl_coef * share, g, scratch.work.e)
    to_outputs(head, z, g, delta, grad)
    return loss / total, entropy / total, outside / total, approx_kl / total


@kernel
def step(options, params, policy, value, batch, scratch, adaptive, order, total, now, coefficients, totals, report):
    """One gradient step on the rows in `order`, of `total` over all ranks; adds its metrics to totals: see `learn`.

    coefficients: ent_coef and kl_coef. Returns DONE; or OUTSIDE or GRADIENT_NOT_FINITE before any parameter changes.
    """
    theta, grad, x, h, units = params.theta, params.grad, scratch.x, scratch.part_h, units_of(options)
    deltas, rows = scratch.delta, len(order)
    trunk, transposed, no_bias, (ent_coef, kl_coef) = scratch.trunk, scratch.transposed, scratch.no_bias, coefficients
    for r in range(rows):
        copy_row(batch.x, order[r], x, r)
    features(theta, trunk, rows, units, x, h, 0, rows)
    forward(theta, value.layers, value.outputs, rows, units, h, 0, rows)
    v, delta = last_output(value.outputs, value.layers, rows)[:, 0], last_output(deltas, value.layers, rows)
    target = scratch.target.reshape(-1)
    value_loss = value_gradient(now.vf_coef, now.clip_range_vf, delta, target, scratch.v, order, total, v)
    backward(theta, grad, value.layers, value.outputs, deltas, rows, units, h, transposed, no_bias, rows)
    collect(theta, value.layers, deltas, trunk, rows, transposed, no_bias, rows, True)
    forward(theta, policy.layers, policy.outputs, rows, units, h, 0, rows)
    out, delta = last_output(policy.outputs, policy.layers, rows), last_output(deltas, policy.layers, rows)
    policy_loss, entropy, outside, approx_kl = policy_gradient(
        options, batch, scratch, theta, grad, out, delta, order, total, now, ent_coef, kl_coef
    )
    backward(theta, grad, policy.layers, policy.outputs, deltas, rows, units, h, transposed, no_bias, rows)
    collect(theta, policy.layers, deltas, trunk, rows, transposed, no_bias, rows, False)
    backward_trunk(theta, grad, trunk, rows, units, x, transposed, no_bias, rows)
    if rows == 0:  # all rows of this minibatch are on other ranks; empty products are undefined
        grad[:] = 0
    numbers = (policy_loss, value_loss, entropy, outside, approx_kl)
    numbers, _ = add_with(scratch.ranks, grad, numbers, 1, NO_MOMENTS)
    policy_loss, value_loss, entropy, outside, approx_kl = numbers
    for k, number in enumerate((policy_loss, value_loss, entropy, outside, approx_kl, 1.0)):
        totals[k] += number
    if approx_kl > 1.5 * options.target_kl:
        return OUTSIDE
    grad_norm = math.sqrt(sum_of_squares(grad))
    report.loss = policy_loss + now.vf_coef * value_loss - ent_coef * entropy
    if not grad_norm < math.inf:
        return GRADIENT_NOT_FINITE
    totals[6] += grad_norm
    totals[7] += 1
    adaptive.optimizer_steps += 1
    scale, eps = min(now.max_grad_norm / (grad_norm + 1e-6), 1.0), options.rms_prop_eps
    rate, critic_rate = report.learning_rate, report.critic_learning_rate
    descend(params, options.optimizer, scale, rate, critic_rate, eps, adaptive.optimizer_steps)
    return DONE


@kernel
def epochs(options, params, policy, value, batch, scratch, adaptive, rows, now, coefficients, totals, report):
    """Epochs of gradient steps, until the policy leaves the trust region. Policy shift: NaN if not measured."""
    theta, before, bound, size = params.theta, params.before, now.max_policy_shift, options.batch_size
    kl, js, status, epoch, order = np.nan, np.nan, DONE, 0, scratch.order
    while epoch < options.n_epochs and status == DONE:
        epoch += 1
        if bound > 0:
            for k in range(params.split):
                before[k] = theta[k]
        shuffle(scratch.shuffle, scratch.keys, order, size)
        begin = 0
        while begin < len(order) and status == DONE:
            part = order[begin : begin + size]
            own = part[: keep_own(scratch.ranks, part, batch.reward.shape[1])]
            begin += size
            status = step(
                options, params, policy, value, batch, scratch, adaptive, own, len(part), now, coefficients, totals,
                report,
            )  # fmt: skip
        if status != GRADIENT_NOT_FINITE and bound > 0:
            kl, js = policy_shift(options, theta, policy.layers, batch, scratch, rows)
            if kl > bound:
                status = OUTSIDE
                if options.shorten:
                    kl, js = shorten(options, params, policy.layers, batch, scratch, rows, bound, kl, js)
    report.policy_shift_kl, report.policy_shift_js = kl, js
    return DONE if status == OUTSIDE else status


@kernel
def learn(options, params, policy, value, batch, scratch, norms, adaptive, steps, x_rows, progress, measure, report):
    """One update; see `agents.fused.learn.learn`."""
    rows, theta = steps * batch.reward.shape[1], params.theta
    evaluate_schedules(options.schedules, progress, scratch.coefficients)
    # sums of policy loss, value loss, entropy, clipped, approximate KL; minibatches; sum of gradient norms; steps
    now, totals = scratch.coefficients[0], scratch.totals
    totals[:] = 0
    preprocess_rewards(options, batch, norms, scratch.ranks, steps)
    capacity, units = len(batch.x), units_of(options)
    features(theta, scratch.trunk, capacity, units, batch.x, scratch.h, rows, x_rows)
    forward(theta, value.layers, value.outputs, capacity, units, scratch.h, 0, x_rows)
    v = last_output(value.outputs, value.layers, capacity)[:, 0]
    advantages(options, batch, scratch, steps, v)
    for r in range(rows):
        scratch.v[r] = v[r]
    moments = errors_and_targets(scratch.target.reshape(-1), v, rows)
    report.explained_variance = explained_variance(pooled(scratch.ranks, rows, moments))
    log_probabilities(batch, scratch, rows)
    report.learning_rate = now.learning_rate * adaptive.step_factor
    report.critic_learning_rate = now.learning_rate * now.critic_lr_scale
    report.ent_coef = now.ent_coef * adaptive.entropy_factor
    coefficients = (report.ent_coef, now.kl_coef * adaptive.penalty_factor)
    status = epochs(options, params, policy, value, batch, scratch, adaptive, rows, now, coefficients, totals, report)
    if status != DONE:
        return status
    parts = totals[5]
    report.policy_loss, report.value_loss, report.entropy = totals[0] / parts, totals[1] / parts, totals[2] / parts
    report.clip_fraction, report.approx_kl, report.grad_norm = (
        totals[3] / parts,
        totals[4] / parts,
        totals[6] / totals[7],
    )
    needed = measure or now.target_policy_shift > 0
    if needed and not now.max_policy_shift > 0:
        kl, js = policy_shift(options, theta, policy.layers, batch, scratch, rows)
        report.policy_shift_kl, report.policy_shift_js = kl, js
    if (needed or now.max_policy_shift > 0) and not report.policy_shift_kl < math.inf:
        return SHIFT_NOT_FINITE
    if now.target_policy_shift > 0:
        change = missing_shift(now.target_policy_shift, adaptive, report.policy_shift_kl)
        if options.penalized:
            adaptive.penalty_factor = next_factor(adaptive.penalty_factor, -change)
        else:
            adaptive.step_factor = next_factor(adaptive.step_factor, change)
    adapt_entropy(now.target_entropy, adaptive, report.entropy)
    if options.normalize_observations:
        observe(scratch.ranks, norms.obs_count, norms.obs_mean, norms.obs_m2, batch.raw_obs[:rows])
    return DONE
