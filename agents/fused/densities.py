"""Categorical and Gaussian distributions in float64: sampling, loss, gradient, KL and JS.

The compiled form of `agents.maths.distributions`, with the formulas of `agents.maths.information`. Functions that
every update needs loop over the rows themselves, because a call with arrays costs as much as a row.

z: float64[rows, P], the parameters. Discrete actions: the logits of all factors, concatenated, −inf for an illegal
choice; sizes: int64[K], the number of choices of each factor. n-dimensional Gaussian: the means, then the log-stds.
g: gradients, e: scratch space, both shaped like z. order: int64[rows], row indices into discrete and continuous.
"""

import math

from envs.kernels import kernel

_NEAR = 0.125  # φ and ψ use their series for |x| up to this, as in agents.maths.information.numerics
_HALF_LOG = 0.5 * math.log(2 * math.pi)


@kernel
def categorical_samples(sizes, z, noise, discrete, first):
    """discrete[first + r, k]: the first action whose cumulative probability exceeds noise[r, k]. Overwrites z."""
    for r in range(len(z)):
        end = 0
        for k in range(len(sizes)):
            begin, end = end, end + sizes[k]
            largest, total, action = z[r, begin], 0.0, 0
            for j in range(begin + 1, end):
                largest = z[r, j] if z[r, j] > largest else largest
            for j in range(begin, end):
                z[r, j] = math.exp(z[r, j] - largest)
                total += z[r, j]
            left = noise[r, k] * total
            for j in range(begin, end - 1):
                left -= z[r, j]
                action += left >= 0
            discrete[first + r, k] = action


@kernel
def categorical_losses(sizes, z, discrete, order, advantage, ent_coef, share, g):
    """Returns Σ −ln π(a) Â and Σ H; g = share · ∂(−ln π(a) Â − c H)/∂z = share · [Â (p − 1_a) + c p (ln p + H)].

    c: ent_coef; 1_a: the one-hot vector of the action.
    """
    loss, entropy = 0.0, 0.0
    for r in range(len(order)):
        end = 0
        for k in range(len(sizes)):
            begin, end = end, end + sizes[k]
            top, rest, mean_z, action = begin, 0.0, 0.0, begin + discrete[order[r], k]
            for j in range(begin + 1, end):
                top = j if z[r, j] > z[r, top] else top
            largest = z[r, top]
            for j in range(begin, end):
                g[r, j] = math.exp(z[r, j] - largest) if j != top else 1.0
                rest += g[r, j] if j != top else 0.0  # without the top action, whose 1 would absorb a tiny sum
            inverse, log_total = 1 / (1 + rest), math.log1p(rest)
            for j in range(begin, end):
                mean_z += g[r, j] * inverse * (z[r, j] - largest) if g[r, j] > 0 else 0.0
            for j in range(begin, end):
                p = g[r, j] * inverse
                slope = p
                if j == action:
                    slope = -rest * inverse if j == top else p - 1
                curve = p * (z[r, j] - largest - mean_z) if p > 0 else 0.0
                g[r, j] = share * (advantage[r] * slope + ent_coef * curve)
            loss -= (z[r, action] - largest - log_total) * advantage[r]
            entropy += log_total - mean_z
    return loss, entropy


@kernel
def gaussian_losses(n, z, continuous, order, advantage, ent_coef, share, g):
    """Returns Σ −ln π(a) Â and Σ H; g = share · ∂(−ln π(a) Â − c H)/∂z, c = ent_coef."""
    loss, entropy = 0.0, 0.0
    for k in range(n):
        log_std, inverse = 0.0, 1.0
        for r in range(len(order)):
            if z[r, n + k] != log_std:  # often equal in all rows
                log_std = z[r, n + k]
                inverse = math.exp(-log_std)
            gap = (continuous[order[r], k] - z[r, k]) * inverse
            loss += (0.5 * gap * gap + log_std + _HALF_LOG) * advantage[r]
            entropy += log_std + _HALF_LOG + 0.5
            g[r, k] = -share * advantage[r] * gap * inverse
            g[r, n + k] = share * (advantage[r] * (1 - gap * gap) - ent_coef)
    return loss, entropy


@kernel
def categorical_log_probs(sizes, z, discrete, order, log_prob):
    """log_prob[r] = Σ ln π(a) over the factors."""
    for r in range(len(order)):
        log_prob[r], end = 0.0, 0
        for k in range(len(sizes)):
            begin, end = end, end + sizes[k]
            top, rest = begin, 0.0
            for j in range(begin + 1, end):
                top = j if z[r, j] > z[r, top] else top
            for j in range(begin, end):
                rest += math.exp(z[r, j] - z[r, top]) if j != top else 0.0
            log_prob[r] += z[r, begin + discrete[order[r], k]] - z[r, top] - math.log1p(rest)


@kernel
def gaussian_log_probs(n, z, continuous, order, log_prob):
    """log_prob[r] = ln π(a)."""
    for r in range(len(order)):
        log_prob[r] = 0.0
        for k in range(n):
            gap = (continuous[order[r], k] - z[r, k]) * math.exp(-z[r, n + k])
            log_prob[r] -= 0.5 * gap * gap + z[r, n + k] + _HALF_LOG


@kernel
def exponentials(z, r, begin, end, e):
    """e[r, j] = exp(z_j − max z), j in begin … end − 1; returns the index of the maximum, and Σ e_j over the others."""
    top, rest = begin, 0.0
    for j in range(begin + 1, end):
        top = j if z[r, j] > z[r, top] else top
    for j in range(begin, end):
        e[r, j] = math.exp(z[r, j] - z[r, top]) if j != top else 1.0
        rest += e[r, j] if j != top else 0.0
    return top, rest


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
def categorical_kl(before, after, r, begin, end, e):
    """Returns KL(p‖q) = log1p(Σ p φ(δ − m)), δ = after − before, and m = Σ p δ. p, q: softmax of before, of after.

    For row r and the actions begin … end − 1; the same ones must be legal in both.
    """
    top, rest = exponentials(before, r, begin, end, e)
    base = after[r, top] - before[r, top]  # a common offset, subtracted exactly
    m = 0.0
    for j in range(begin, end):
        if before[r, j] != -math.inf:
            m += e[r, j] / (1 + rest) * (after[r, j] - before[r, j] - base)
    kl, overflows = 0.0, False
    for j in range(begin, end):
        if before[r, j] != -math.inf:
            d = after[r, j] - before[r, j] - base - m
            overflows |= not abs(d) < 600
            kl += e[r, j] / (1 + rest) * phi(d)
    if overflows:  # ln Σ e^after − ln Σ e^before − Σ p δ, which does not cancel at this size
        other, others = exponentials(after, r, begin, end, e)
        gap = after[r, other] - after[r, top]
        return math.log1p(others) - math.log1p(rest) + gap - m, base + m
    return math.log1p(kl), base + m


@kernel
def categorical_js(before, after, r, begin, end, kl, mean, e):
    """JS(p, q) = ½ Σ m ψ(tanh(r/2)), m = (p + q)/2, ln(p/q) = KL(p‖q) + Σ p δ − δ.

    kl, mean: KL(p‖q) and Σ p δ, from `categorical_kl`.
    """
    top, rest = exponentials(before, r, begin, end, e)
    _, others = exponentials(after, r, begin, end, e)
    js = 0.0
    for j in range(begin, end):
        if before[r, j] != -math.inf:
            p, q = math.exp(before[r, j] - before[r, top]) / (1 + rest), e[r, j] / (1 + others)
            log_ratio = kl + mean - (after[r, j] - before[r, j])
            js += 0.25 * (p + q) * psi(math.tanh(0.5 * log_ratio))
    return js


@kernel
def gaussian_kl(n, before, after, r):
    """KL = ½ Σ [φ(2 (ln σ₀ − ln σ₁)) + ((μ₀ − μ₁) / σ₁)²], of row r."""
    kl = 0.0
    for k in range(n):
        gap = (before[r, k] - after[r, k]) * math.exp(-after[r, n + k])
        kl += 0.5 * (phi(2 * (before[r, n + k] - after[r, n + k])) + gap * gap)
    return kl


@kernel
def categorical_kl_slopes(sizes, before, after, weight, g, e):
    """Adds weight · ∂KL(p‖q)/∂z = weight · (q − p) to g. p, q: softmax of before and of z = after."""
    for r in range(len(after)):
        end = 0
        for k in range(len(sizes)):
            begin, end = end, end + sizes[k]
            _, rest = exponentials(before, r, begin, end, e)
            for j in range(begin, end):
                g[r, j] -= weight * e[r, j] / (1 + rest)
            _, rest = exponentials(after, r, begin, end, e)
            for j in range(begin, end):
                g[r, j] += weight * e[r, j] / (1 + rest)


@kernel
def gaussian_kl_slopes(n, before, after, weight, g):
    """Adds weight · ∂KL/∂(μ₁, ln σ₁) to g: see `gaussian_kl`."""
    for r in range(len(after)):
        for k in range(n):
            inverse = math.exp(-after[r, n + k])
            gap = (before[r, k] - after[r, k]) * inverse
            g[r, k] -= weight * gap * inverse
            g[r, n + k] -= weight * (math.expm1(2 * (before[r, n + k] - after[r, n + k])) + gap * gap)


@kernel
def squared_scores(z, r, begin, end, action, e):
    """‖∇_z ln p(a)‖² = (1 − p_a)² + Σ_{j ≠ a} p_j², and its mean over actions, Σ p_j (1 − p_j)."""
    top, rest = exponentials(z, r, begin, end, e)
    own, mean, total = 0.0, 0.0, 1 + rest
    for j in range(begin, end):
        others = (rest if j == top else total - e[r, j]) / total
        own += others * others if j == action else (e[r, j] / total) ** 2
        mean += e[r, j] / total * others
    return own, mean
