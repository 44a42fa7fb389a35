"""Categorical and Gaussian policies, one row of a batch at a time, in float64: sampling, loss, gradient, KL and JS.

They are the compiled form of `agents.maths.distributions`, with the formulas of `agents.maths.information`. Arguments:
logits, mean: [rows, ≥ actions or dimensions], of which row r is read; e: float64 scratch space.
"""

import math

import numpy as np

from envs.kernels import kernel

_f64 = np.float64
_NEAR = 0.125  # φ and ψ use their series for |x| up to this, as agents.maths.information.numerics does


@kernel
def exponentials(logits, r, actions, e, at):
    """Writes e_j = exp(z_j), z = logits[r] − max, into e from index `at` on.

    Returns the most likely action and Σ e_j over the others, without the 1 that would absorb a tiny sum.
    """
    top = 0
    for j in range(1, actions):
        if logits[r, j] > logits[r, top]:
            top = j
    rest = 0.0
    for j in range(actions):
        if j == top:
            e[at + j] = 1.0
        else:
            e[at + j] = math.exp(_f64(logits[r, j]) - _f64(logits[r, top]))
            rest += e[at + j]
    return top, rest


@kernel
def sample_categorical(logits, r, actions, u, e):
    """The first action at which the cumulative probability exceeds u ∈ [0, 1)."""
    _, rest = exponentials(logits, r, actions, e, 0)
    left = u * (1 + rest)
    for j in range(actions - 1):
        left -= e[j]
        if left < 0:
            return j
    return actions - 1


@kernel
def categorical_loss(logits, r, actions, action, advantage, ent_coef, share, delta, e):
    """Returns −ln π(a) Â and H; delta[r] = share · ∂(−ln π(a) Â − c H)/∂z = share · [Â (p − 1_a) + c p (ln p + H)].

    z: logits[r]; c: ent_coef; 1_a: the one-hot vector of the action.
    """
    top, rest = exponentials(logits, r, actions, e, 0)
    inverse, log_total, mean_z = 1 / (1 + rest), math.log1p(rest), 0.0
    for j in range(actions):
        mean_z += e[j] * inverse * (_f64(logits[r, j]) - _f64(logits[r, top])) if e[j] > 0 else 0.0
    for j in range(actions):
        p = e[j] * inverse
        slope = p
        if j == action:
            slope = -rest * inverse if j == top else p - 1
        curve = p * (_f64(logits[r, j]) - _f64(logits[r, top]) - mean_z) if p > 0 else 0.0
        delta[r, j] = share * (advantage * slope + ent_coef * curve)
    log_p = _f64(logits[r, action]) - _f64(logits[r, top]) - log_total
    return -log_p * advantage, log_total - mean_z


@kernel
def gaussian_loss(mean, r, log_std, size, action, row, advantage, ent_coef, share, delta, slope):
    """Returns −ln π(a) Â and H; delta[r] = share · ∂(−ln π(a) Â − c H)/∂μ; adds share · ∂(same)/∂ln σ to slope.

    a: action[row].
    """
    log_p, entropy = 0.0, 0.0
    half_log = 0.5 * math.log(2 * math.pi)
    for k in range(size):
        inverse = math.exp(-_f64(log_std[k]))
        z = (_f64(action[row, k]) - _f64(mean[r, k])) * inverse
        log_p -= 0.5 * z * z + _f64(log_std[k]) + half_log
        entropy += _f64(log_std[k]) + half_log + 0.5
        delta[r, k] = -share * advantage * z * inverse
        slope[k] += share * (advantage * (1 - z * z) - ent_coef)
    return -log_p * advantage, entropy


@kernel
def categorical_log_prob(logits, r, actions, action, e):
    """ln π(a)."""
    top, rest = exponentials(logits, r, actions, e, 0)
    return _f64(logits[r, action]) - _f64(logits[r, top]) - math.log1p(rest)


@kernel
def gaussian_log_prob(mean, r, log_std, size, action, row):
    """ln π(a), a: action[row]."""
    log_p, half_log = 0.0, 0.5 * math.log(2 * math.pi)
    for k in range(size):
        z = (_f64(action[row, k]) - _f64(mean[r, k])) * math.exp(-_f64(log_std[k]))
        log_p -= 0.5 * z * z + _f64(log_std[k]) + half_log
    return log_p


@kernel
def phi(x):
    """φ(x) = eˣ − 1 − x; the series near 0."""
    if abs(x) > _NEAR:
        return math.expm1(x) - x
    total = 1.0
    for k in range(9, 2, -1):
        total = 1.0 + total * x / k
    return 0.5 * x * x * total


@kernel
def psi(t):
    """ψ(t) = (1 + t) ln(1 + t) + (1 − t) ln(1 − t); the series near 0."""
    if abs(t) > _NEAR:
        plus = (1 + t) * math.log1p(t) if t > -1 else 0.0
        return plus + ((1 - t) * math.log1p(-t) if t < 1 else 0.0)
    square, total = t * t, 0.0
    for k in range(9, 0, -1):
        total = (total + 1.0 / (k * (2 * k - 1))) * square
    return total


@kernel
def categorical_kl(before, after, r, actions, e):
    """Returns KL(p‖q) = log1p(Σ p φ(δ − m)), δ = after − before, and m = Σ p δ. p, q: softmax of before, of after."""
    top, rest = exponentials(before, r, actions, e, 0)
    base = _f64(after[r, top]) - _f64(before[r, top])  # a common offset, subtracted exactly
    m = 0.0
    for j in range(actions):
        m += e[j] / (1 + rest) * (_f64(after[r, j]) - _f64(before[r, j]) - base)
    kl, overflows = 0.0, False
    for j in range(actions):
        d = _f64(after[r, j]) - _f64(before[r, j]) - base - m
        overflows |= not abs(d) < 600
        kl += e[j] / (1 + rest) * phi(d)
    if overflows:  # ln Σ e^after − ln Σ e^before − Σ p δ, without cancellation at this size
        other, others = exponentials(after, r, actions, e, 0)
        gap = _f64(after[r, other]) - _f64(after[r, top])
        return math.log1p(others) - math.log1p(rest) + gap - m, base + m
    return math.log1p(kl), base + m


@kernel
def categorical_js(before, after, r, actions, kl, mean, e):
    """JS(p, q) = ½ Σ m ψ(tanh(r/2)), m = (p + q)/2, r = ln(p/q) = KL(p‖q) + Σ p δ − δ.

    kl, mean: KL(p‖q) and Σ p δ, from `categorical_kl`; e: float64[2 · actions].
    """
    _, rest = exponentials(before, r, actions, e, 0)
    _, others = exponentials(after, r, actions, e, actions)
    js = 0.0
    for j in range(actions):
        p, q = e[j] / (1 + rest), e[actions + j] / (1 + others)
        log_ratio = kl + mean - (_f64(after[r, j]) - _f64(before[r, j]))
        js += 0.25 * (p + q) * psi(math.tanh(0.5 * log_ratio))
    return js


@kernel
def gaussian_kl(before, after, r, log_std, size):
    """KL = ½ Σ [φ(2 (ln σ₀ − ln σ₁)) + ((μ₀ − μ₁) / σ₁)²]. before[r]: (μ₀, ln σ₀); after[r]: μ₁; log_std: ln σ₁."""
    kl = 0.0
    for k in range(size):
        z = (_f64(before[r, k]) - _f64(after[r, k])) * math.exp(-_f64(log_std[k]))
        kl += 0.5 * (phi(2 * (_f64(before[r, size + k]) - _f64(log_std[k]))) + z * z)
    return kl


@kernel
def categorical_kl_slope(before, row, after, r, actions, weight, delta, e):
    """Adds weight · ∂KL(p‖q)/∂z = weight · (q − p) to delta[r]. p, q: softmax of before[row] and of z = after[r]."""
    _, rest = exponentials(before, row, actions, e, 0)
    _, others = exponentials(after, r, actions, e, actions)
    for j in range(actions):
        delta[r, j] += weight * (e[actions + j] / (1 + others) - e[j] / (1 + rest))


@kernel
def gaussian_kl_slope(before, row, after, r, log_std, size, weight, delta, slope):
    """Adds weight · ∂KL/∂μ₁ to delta[r] and weight · ∂KL/∂ln σ₁ to slope: see `gaussian_kl`; before[row] is π₀."""
    for k in range(size):
        inverse = math.exp(-_f64(log_std[k]))
        z = (_f64(before[row, k]) - _f64(after[r, k])) * inverse
        delta[r, k] -= weight * z * inverse
        slope[k] -= weight * (math.expm1(2 * (_f64(before[row, size + k]) - _f64(log_std[k]))) + z * z)


@kernel
def relative_score(logits, r, actions, action, e):
    """‖∇_z ln p(a)‖² / E_b ‖∇_z ln p(b)‖² = [(1 − p_a)² + Σ_{j ≠ a} p_j²] / Σ p_j (1 − p_j); 0 if p is certain."""
    top, rest = exponentials(logits, r, actions, e, 0)
    own, mean = 0.0, 0.0
    for j in range(actions):
        others = rest if j == top else 1 + rest - e[j]
        own += others * others if j == action else e[j] * e[j]
        mean += e[j] * others
    return own / mean if mean > 0 else 0.0
