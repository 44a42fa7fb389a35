"""One update of A2C on a rollout that stands in memory: `A2C.update` and `Descent.step` in compiled form."""

import math

import numpy as np

from agents.fused.densities import categorical_js, categorical_kl, categorical_loss, gaussian_kl, gaussian_loss
from agents.fused.network import backward, forward, output_of
from agents.fused.norms import merge_moments, normalize_rewards, scale_and_clip
from agents.fused.optimizers import descend, sum_of_squares
from agents.maths import adaptation, schedules
from agents.maths.adaptation import ENTROPY_GAIN, SHIFT_GAIN, SHIFT_HORIZON
from envs.kernels import inlined, kernel

DONE, GRADIENT_NOT_FINITE, SHIFT_NOT_FINITE = range(3)

KL, GRAD_NORM, LEARNING_RATE, JS, POLICY_LOSS, VALUE_LOSS, ENTROPY, ENT_COEF, EXPLAINED, LOSS, CRITIC_RATE = range(11)

METRICS = 11  # numbers that an update reports


interpolate = kernel(schedules.interpolate)


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
def preprocess_rewards(options, batch, norms, steps):
    """Scales, clips and normalizes the rewards in place, as `A2C._inputs` does."""
    reward = batch.reward
    if options.reward_scale != 1 or options.reward_clip < math.inf:
        scale_and_clip(reward, options.reward_scale, options.reward_clip)
    if options.normalize_rewards:
        bound = options.clip_normalized
        normalize_rewards(norms, options.gamma, bound, steps, reward, batch.terminated, batch.truncated)


@inlined
def advantages(options, batch, scratch, steps, v):
    """Â = GAE(δ), δ = r + γ (1 − terminated) V(s′) − V(s); target = V + Â. v: [rows of x]."""
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


@kernel
def standardize(values):
    """(x − mean) / (deviation + 1e-8), the deviation of a sample."""
    mean, square = 0.0, 0.0
    for k in range(len(values)):
        mean += values[k]
    mean /= len(values)
    for k in range(len(values)):
        square += (values[k] - mean) ** 2
    deviation = math.sqrt(square / (len(values) - 1)) + 1e-8
    for k in range(len(values)):
        values[k] = (values[k] - mean) / deviation


@inlined
def value_gradient(vf_coef, delta, target, rows, v, report):
    """δ of the last layer of V_φ: ∂ vf_coef · mean((target − V)²) / ∂V; and how much V explains of its target."""
    error, square, mean, spread = 0.0, 0.0, 0.0, 0.0
    for r in range(rows):
        gap = np.float64(target[r]) - np.float64(v[r])
        error += gap
        square += gap * gap
        mean += target[r]
        for k in range(1, delta.shape[1]):
            delta[r, k] = 0
        delta[r, 0] = 2 * vf_coef / rows * -gap
    error, mean = error / rows, mean / rows
    unexplained = 0.0
    for r in range(rows):
        spread += (target[r] - mean) ** 2
        unexplained += (np.float64(target[r]) - np.float64(v[r]) - error) ** 2
    report[VALUE_LOSS] = square / rows
    report[EXPLAINED] = 1 - unexplained / spread if spread > 0 else np.nan


@inlined
def policy_gradient(options, batch, work, theta, grad, out, delta, advantage, rows, ent_coef, report):
    """δ of the last layer of π_θ, and the gradient of a Gaussian's log-std."""
    size = options.actions
    if options.normalize_advantage:
        standardize(advantage[:rows])
    slope, index, action = np.zeros(size), batch.discrete, batch.continuous
    loss, entropy, share = 0.0, 0.0, 1.0 / rows
    for r in range(rows):
        for k in range(size, delta.shape[1]):
            delta[r, k] = 0
        if options.gaussian:
            term, h = gaussian_loss(out, r, theta, size, action, advantage[r], ent_coef, share, delta, slope)
        else:
            term, h = categorical_loss(out, r, size, index[r], advantage[r], ent_coef, share, delta, work)
        loss += term
        entropy += h
    if options.gaussian:
        for k in range(size):
            grad[k] = slope[k]
    report[POLICY_LOSS], report[ENTROPY], report[ENT_COEF] = loss / rows, entropy / rows, ent_coef


@inlined
def policy_shift(options, theta, layers, batch, scratch, rows):
    """Means over the rollout's states of KL(π_before ‖ π as it is now) and of JS, NaN for Gaussians."""
    capacity = len(batch.x)
    forward(theta, layers, scratch.delta, capacity, options.relu, batch.x, 0, rows)
    now = output_of(scratch.delta, layers, len(layers) - 1, capacity)
    before, work, size, kl_sum, js_sum = batch.behavior, scratch.work, options.actions, 0.0, 0.0
    for r in range(rows):
        if options.gaussian:
            kl_sum += gaussian_kl(before, now, r, theta, size)
        else:
            kl, mean = categorical_kl(before, now, r, size, work)
            kl_sum += kl
            js_sum += categorical_js(before, now, r, size, kl, mean, work)
    return kl_sum / rows, np.nan if options.gaussian else js_sum / rows


@inlined
def step_within(options, params, layers, batch, scratch, adaptive, rows, scale, rates, bound, measure, report):
    """The optimizer's step, shortened until its KL divergence is below the bound: `Descent._step_within`."""
    theta, start = params.theta, params.start
    if bound > 0:
        for k in range(params.split):
            start[k] = theta[k]
    adaptive[4] += 1
    descend(params, options.optimizer, scale, rates[0], rates[1], options.rms_prop_eps, adaptive[4])
    if not measure:
        report[KL] = report[JS] = np.nan
        return
    kl, js = policy_shift(options, theta, layers, batch, scratch, rows)
    attempt = 0
    while bound > 0 and kl > bound and attempt < 10:
        number = theta.dtype.type
        share = number(0.95 * math.sqrt(bound / kl)) if attempt < 9 else number(0)
        for k in range(params.split):
            theta[k] = start[k] + share * (theta[k] - start[k])
        kl, js = policy_shift(options, theta, layers, batch, scratch, rows)
        attempt += 1
    report[KL], report[JS] = kl, js


next_factor = kernel(adaptation.next_factor)


@inlined
def adapt(target_policy_shift, target_entropy, state, report):
    """Moves the factors of the step and of the entropy bonus towards their targets: `Descent._adapt_step` and
    `Descent.adapt_entropy_coefficient`."""
    if target_policy_shift > 0:
        state[3] = min(state[3] + 1, SHIFT_HORIZON)
        state[2] += (report[KL] - state[2]) / state[3]
        measured = max(state[2], 0.01 * target_policy_shift)
        state[0] = next_factor(state[0], SHIFT_GAIN * 0.5 * math.log(target_policy_shift / measured))
    if not math.isnan(target_entropy):
        state[1] = next_factor(state[1], ENTROPY_GAIN * (target_entropy - report[ENTROPY]))


@inlined
def learn(options, params, policy, value, batch, scratch, norms, adaptive, steps, x_rows, progress, measure, report):
    """One update. The policy's outputs for the first T · N rows of x must be there: acting left them, or `forward`.

    The arguments up to `adaptive` are the fields of `Memory`. x_rows: rows of x, observations and successors;
    measure: whether the policy shift is wanted; report: float64[METRICS], written. Returns DONE, or what is not finite.
    """
    theta, grad, x, relu = params.theta, params.grad, batch.x, options.relu
    rows, capacity = steps * batch.reward.shape[1], len(x)
    turned, nothing, deltas = scratch.turned, scratch.nothing, scratch.delta
    preprocess_rewards(options, batch, norms, steps)
    forward(theta, value.layers, value.outputs, capacity, relu, x, 0, x_rows)
    v = output_of(value.outputs, value.layers, len(value.layers) - 1, capacity)[:, 0]
    advantages(options, batch, scratch, steps, v)
    evaluate_schedules(options.schedules, progress, scratch.coefficients)
    now = scratch.coefficients[0]
    ent_coef = now.ent_coef * adaptive[1]
    delta = output_of(deltas, value.layers, len(value.layers) - 1, capacity)
    value_gradient(now.vf_coef, delta, scratch.target.reshape(-1), rows, v, report)
    backward(theta, grad, value.layers, value.outputs, deltas, capacity, relu, x, turned, nothing, rows)
    out = output_of(policy.outputs, policy.layers, len(policy.layers) - 1, capacity)
    delta = output_of(deltas, policy.layers, len(policy.layers) - 1, capacity)
    policy_gradient(
        options, batch, scratch.work, theta, grad, out, delta, scratch.advantage.reshape(-1), rows, ent_coef, report
    )
    backward(theta, grad, policy.layers, policy.outputs, deltas, capacity, relu, x, turned, nothing, rows)
    report[LOSS] = report[POLICY_LOSS] + now.vf_coef * report[VALUE_LOSS] - ent_coef * report[ENTROPY]
    norm = math.sqrt(sum_of_squares(grad))
    rates = (now.learning_rate * adaptive[0], now.learning_rate * now.critic_lr_scale)
    report[GRAD_NORM], report[LEARNING_RATE], report[CRITIC_RATE] = norm, rates[0], rates[1]
    status = DONE if norm < math.inf else GRADIENT_NOT_FINITE
    if status == DONE:
        scale, bound = min(now.max_grad_norm / (norm + 1e-6), 1.0), now.max_policy_shift
        needed = measure or bound > 0 or now.target_policy_shift > 0
        step_within(options, params, policy.layers, batch, scratch, adaptive, rows, scale, rates, bound, needed, report)
        status = SHIFT_NOT_FINITE if needed and not report[KL] < math.inf else DONE
    if status == DONE:
        adapt(now.target_policy_shift, now.target_entropy, adaptive, report)
        if options.normalize_observations:
            merge_moments(norms.obs_count, norms.obs_mean, norms.obs_m2, batch.raw[:rows])
    return status
