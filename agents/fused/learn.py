"""One update of A2C on a rollout in memory: `A2C.update` and the optimizer step of `agents.optimizer`, compiled.

The functions share these arguments: options, one record of OPTIONS; params, policy, value, batch, scratch, norms, the
fields of `Memory`; adaptive, one record of ADAPTIVE; report, one record of REPORT, which they fill in.
"""

import math

import numpy as np

from agents.fused.heads import current, output_gradient, shifts, stored
from agents.fused.network import backward, forward, last_output, units_of
from agents.fused.norms import normalize_rewards_of, observe, scale_and_clip
from agents.fused.optimizers import descend, sum_of_squares
from agents.fused.ranks import add_with, count_of, sums
from agents.fused.statistics import errors_and_targets, explained_variance, standardize
from agents.fused.trunk import backward_trunk, collect, features
from agents.maths import adaptation, schedules
from agents.maths.adaptation import ENTROPY_GAIN, SHIFT_GAIN, SHIFT_HORIZON
from envs.kernels import inlined, kernel

DONE, GRADIENT_NOT_FINITE, SHIFT_NOT_FINITE = range(3)
interpolate, next_factor = kernel(schedules.interpolate), kernel(adaptation.next_factor)


@kernel
def value_at(schedule, progress):
    """`agents.maths.schedules.value_at`. schedule: float64[5], as `agents.maths.schedules.numbers_of` returns it."""
    return interpolate(schedule[0], schedule[1], schedule[2], schedule[3], schedule[4], progress)


@kernel
def evaluate_schedules(schedules, progress, coefficients):
    """Writes the value of each schedule, float64[n, 5], into coefficients, [1] of COEFFICIENTS."""
    values = coefficients.view(np.float64)
    for k in range(len(values)):
        values[k] = value_at(schedules[k], progress)


@inlined
def preprocess_rewards(options, batch, norms, ranks, steps):
    """Scales, clips and normalizes the rewards in place. ranks: see `agents.fused.ranks`."""
    reward = batch.reward
    if options.reward_scale != 1 or options.reward_clip < math.inf:
        scale_and_clip(reward, options.reward_scale, options.reward_clip)
    if options.normalize_rewards:
        normalize_rewards_of(ranks, batch, norms, options.gamma, options.clip_normalized, steps)


@inlined
def advantages(options, batch, scratch, steps, v):
    """Â = GAE(δ), δ = r + γ (1 − terminated) V(s′) − V(s); target = V(s) + Â. v: [rows of x]."""
    number = v.dtype.type
    gamma, decay = number(options.gamma), number(options.gamma * options.gae_lambda)
    successor, reward, terminated, truncated = batch.successor, batch.reward, batch.terminated, batch.truncated
    advantage, target, envs = scratch.advantage, scratch.target, batch.reward.shape[1]
    for i in range(envs):
        trace = number(0)
        for t in range(steps - 1, -1, -1):
            row = t * envs + i
            bootstrap = number(0) if terminated[t, i] else gamma * v[successor[row]]
            delta = reward[t, i] + bootstrap - v[row]
            trace = delta if terminated[t, i] or truncated[t, i] else delta + decay * trace
            advantage[t, i] = trace
            target[t, i] = v[row] + trace


@inlined
def value_gradient(vf_coef, delta, target, rows, total, v):
    """Writes ∂(vf_coef · Σ (target − V)² / total)/∂V to delta, [≥ rows, width]; returns Σ (target − V)² / total."""
    square = 0.0
    for r in range(rows):
        gap = np.float64(target[r]) - np.float64(v[r])
        square += gap * gap
        for k in range(1, delta.shape[1]):
            delta[r, k] = 0
        delta[r, 0] = 2 * vf_coef / total * -gap
    return square / total


@inlined
def policy_gradient(options, batch, work, theta, grad, out, delta, advantage, rows, ranks, ent_coef, report):
    """Writes ∂L/∂out of L = mean(−ln π(a|s) Â) − c mean(H) to delta, and ∂L/∂ln σ of a Gaussian to grad.

    The means are over the rows of all ranks.
    """
    head, total = batch.head, rows * count_of(ranks)
    if options.normalize_advantage:
        standardize(advantage[:rows], total, ranks)
    loss, entropy = output_gradient(
        head, theta, out, batch.behavior, batch.discrete, batch.continuous, work.order[:rows], advantage, ent_coef,
        1 / total, work, delta, grad,
    )  # fmt: skip
    report.policy_loss, report.entropy, report.ent_coef = loss / total, entropy / total, ent_coef


@inlined
def gradient(options, params, policy, value, batch, scratch, steps, x_rows, vf_coef, ent_coef, report):
    """Writes the gradient of policy loss + vf_coef · value loss − ent_coef · entropy over all ranks to params.grad."""
    theta, grad, x, units, deltas = params.theta, params.grad, batch.x, units_of(options), scratch.delta
    rows, capacity, transposed, no_bias = steps * batch.reward.shape[1], len(x), scratch.transposed, scratch.no_bias
    trunk, h = scratch.trunk, scratch.h
    features(theta, trunk, capacity, units, x, h, rows, x_rows)
    forward(theta, value.layers, value.outputs, capacity, units, h, 0, x_rows)
    v = last_output(value.outputs, value.layers, capacity)[:, 0]
    advantages(options, batch, scratch, steps, v)
    delta = last_output(deltas, value.layers, capacity)
    target, ranks = scratch.target.reshape(-1), scratch.ranks
    report.value_loss = value_gradient(vf_coef, delta, target, rows, rows * count_of(ranks), v)
    moments = errors_and_targets(target, v, rows)
    backward(theta, grad, value.layers, value.outputs, deltas, capacity, units, h, transposed, no_bias, rows)
    collect(theta, value.layers, deltas, trunk, capacity, transposed, no_bias, rows, True)
    out = last_output(policy.outputs, policy.layers, capacity)
    delta, advantage = last_output(deltas, policy.layers, capacity), scratch.advantage.reshape(-1)
    policy_gradient(options, batch, scratch.work, theta, grad, out, delta, advantage, rows, ranks, ent_coef, report)
    backward(theta, grad, policy.layers, policy.outputs, deltas, capacity, units, h, transposed, no_bias, rows)
    collect(theta, policy.layers, deltas, trunk, capacity, transposed, no_bias, rows, False)
    backward_trunk(theta, grad, trunk, capacity, units, x, transposed, no_bias, rows)
    losses = (report.policy_loss, report.value_loss, report.entropy, 0.0, 0.0)
    losses, moments = add_with(ranks, grad, losses, rows, moments)
    report.policy_loss, report.value_loss, report.entropy, _, _ = losses
    report.explained_variance = explained_variance(moments)
    report.loss = report.policy_loss + vf_coef * report.value_loss - ent_coef * report.entropy


@kernel
def policy_shift(options, theta, layers, batch, scratch, rows):
    """Mean KL(π_before ‖ π_now) and mean JS over the rollout's states; JS is NaN unless actions are Discrete."""
    capacity, units = len(batch.x), units_of(options)
    features(theta, scratch.trunk, capacity, units, batch.x, scratch.h, 0, rows)
    forward(theta, layers, scratch.delta, capacity, units, scratch.h, 0, rows)
    now = last_output(scratch.delta, layers, capacity)
    head, order, work = batch.head, scratch.work.order[:rows], scratch.work
    stored(head, batch.behavior, order, work.before)
    current(head, theta, now, batch.behavior, order, work.z)
    kl_sum, js_sum = shifts(head, work.before, work.z[:rows], work.e)
    kl_sum, js_sum, _, _, _ = sums(scratch.ranks, (kl_sum, js_sum, 0.0, 0.0, 0.0))
    total = rows * count_of(scratch.ranks)
    return kl_sum / total, js_sum / total


@inlined
def step_within(options, params, layers, batch, scratch, adaptive, rows, scale, bound, measure, report):
    """The optimizer's step, shortened until the policy shift is at most the bound (NaN: no bound).

    scale: factor of the gradient from clipping; measure: whether to report the policy shift.
    """
    theta, before = params.theta, params.before
    if bound > 0:
        for k in range(params.split):
            before[k] = theta[k]
    adaptive.optimizer_steps += 1
    rate, critic_rate = report.learning_rate, report.critic_learning_rate
    descend(params, options.optimizer, scale, rate, critic_rate, options.rms_prop_eps, adaptive.optimizer_steps)
    if not measure:
        report.policy_shift_kl = report.policy_shift_js = np.nan
        return
    kl, js = policy_shift(options, theta, layers, batch, scratch, rows)
    report.policy_shift_kl, report.policy_shift_js = shorten(
        options, params, layers, batch, scratch, rows, bound, kl, js
    )


@kernel
def shorten(options, params, layers, batch, scratch, rows, bound, kl, js):
    """Moves π_θ back toward params.before until KL is at most the bound (NaN: no bound). Returns KL and JS."""
    theta, before, number, attempt = params.theta, params.before, params.theta.dtype.type, 0
    while bound > 0 and kl > bound and attempt < 10:
        share = number(0.95 * math.sqrt(bound / kl)) if attempt < 9 else number(0)
        for k in range(params.split):
            theta[k] = before[k] + share * (theta[k] - before[k])
        kl, js = policy_shift(options, theta, layers, batch, scratch, rows)
        attempt += 1
    return kl, js


@kernel
def missing_shift(target, adaptive, kl):
    """Change of ln f that moves the mean policy shift toward its target: `ConstrainedOptimizer._missing_shift`."""
    adaptive.shifts = min(adaptive.shifts + 1, SHIFT_HORIZON)
    adaptive.mean_shift += (kl - adaptive.mean_shift) / adaptive.shifts
    return SHIFT_GAIN * 0.5 * math.log(target / max(adaptive.mean_shift, 0.01 * target))


@kernel
def adapt_entropy(target, adaptive, entropy):
    """Moves the factor of the entropy coefficient toward its target (NaN: no target)."""
    if not math.isnan(target):
        adaptive.entropy_factor = next_factor(adaptive.entropy_factor, ENTROPY_GAIN * (target - entropy))


@inlined
def learn(options, params, policy, value, batch, scratch, norms, adaptive, steps, x_rows, progress, measure, report):
    """One update. The outputs of the policy for the first T · N rows of x must be there, from acting or `load`.

    x_rows: rows of x in use, observations and successors; measure: whether to report the policy shift.
    Returns DONE, or GRADIENT_NOT_FINITE before any parameter changes, or SHIFT_NOT_FINITE.
    """
    rows = steps * batch.reward.shape[1]
    evaluate_schedules(options.schedules, progress, scratch.coefficients)
    now = scratch.coefficients[0]
    preprocess_rewards(options, batch, norms, scratch.ranks, steps)
    ent_coef = now.ent_coef * adaptive.entropy_factor
    gradient(options, params, policy, value, batch, scratch, steps, x_rows, now.vf_coef, ent_coef, report)
    report.grad_norm = math.sqrt(sum_of_squares(params.grad))
    report.learning_rate = now.learning_rate * adaptive.step_factor
    report.critic_learning_rate = now.learning_rate * now.critic_lr_scale
    if not report.grad_norm < math.inf:
        return GRADIENT_NOT_FINITE
    scale, bound = min(now.max_grad_norm / (report.grad_norm + 1e-6), 1.0), now.max_policy_shift
    needed = measure or bound > 0 or now.target_policy_shift > 0
    step_within(options, params, policy.layers, batch, scratch, adaptive, rows, scale, bound, needed, report)
    if needed and not report.policy_shift_kl < math.inf:
        return SHIFT_NOT_FINITE
    if now.target_policy_shift > 0:
        change = missing_shift(now.target_policy_shift, adaptive, report.policy_shift_kl)
        adaptive.step_factor = next_factor(adaptive.step_factor, change)
    adapt_entropy(now.target_entropy, adaptive, report.entropy)
    if options.normalize_observations:
        observe(scratch.ranks, norms.obs_count, norms.obs_mean, norms.obs_m2, batch.raw_obs[:rows])
    return DONE
