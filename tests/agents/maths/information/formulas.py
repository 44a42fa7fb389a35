"""The defining formulas of rl.information in 50-digit arithmetic; each returns the value and its gradients.

Gradients are those of Σ c_i · output_i, one list per argument, with c = 1, 2, 3, …, or 0 where the output is infinite.
"""

import math
from itertools import product

import mpmath as mp

INF = math.inf


def total(terms):
    return mp.fsum(terms)


def ln_p(x, temperature=1):
    """Log-probabilities that stay accurate to 50 digits near 0, where ln(1 + S) would not."""
    top = max(range(len(x)), key=x.__getitem__)
    z = [(v - x[top]) / temperature for v in x]
    rest = mp.log1p(total(mp.exp(v) for i, v in enumerate(z) if i != top))
    return [v - rest for v in z]


def exp(x):
    return [mp.exp(v) for v in x]


def times(p, x):
    """p · x, where 0 · ∞ = 0."""
    return [a * b if a else mp.mpf(0) for a, b in zip(p, x, strict=True)]


def counts(outputs):
    return [i if mp.isfinite(v) else 0 for i, v in enumerate(outputs, 1)]


def softmax(x, temperature=1):
    p, c = exp(ln_p(x, temperature)), range(1, len(x) + 1)
    return p, [
        [a / temperature * total(b * (i - j) for b, j in zip(p, c, strict=True)) for a, i in zip(p, c, strict=True)]
    ]


def log_softmax(x, temperature=1):
    log_p = ln_p(x, temperature)
    c = counts(log_p)
    return log_p, [[(i - p * sum(c)) / temperature for i, p in zip(c, exp(log_p), strict=True)]]


def entropy_from_logits(x):
    log_p = ln_p(x)
    p = exp(log_p)
    value = -total(times(p, log_p))
    return value, [times(p, [-(a + value) for a in log_p])]


def compared(a, b):
    """p, q, and ln(q/p) (0 if both are masked)."""
    log_p, log_q = ln_p(a), ln_p(b)
    r = [y - x if max(x, y) > -INF else mp.mpf(0) for x, y in zip(log_p, log_q, strict=True)]
    return exp(log_p), exp(log_q), r


def kl_from_logits(a, b):
    p, q, r = compared(a, b)
    value = -total(times(p, r))
    change = [x * mp.expm1(s) if x else y for x, y, s in zip(p, q, r, strict=True)]  # q − p
    if value == INF:
        return value, [[mp.mpf(0)] * len(a), [0 if y == -INF else d for y, d in zip(b, change, strict=True)]]
    return value, [times(p, [-(s + value) for s in r]), change]


def cross_entropy_from_logits(a, b):
    (h, (dh,)), (d, (da, db)) = entropy_from_logits(a), kl_from_logits(a, b)
    return h + d, None if d == INF else [[x + y for x, y in zip(dh, da, strict=True)], db]


def js_from_logits(a, b):
    def half(x, y):
        p, _, r = compared(x, y)
        terms = [-mp.log1p(mp.expm1(s) / 2) for s in r]  # ln(p/m)
        kl = total(times(p, terms))
        return kl / 2, times(p, [(s - kl) / 2 for s in terms])

    (u, du), (v, dv) = half(a, b), half(b, a)
    return u + v, [du, dv]


def generalized_js_from_logits(x, w=None):
    weights = w or [mp.mpf(1) / len(x)] * len(x)
    log_p, value, gradient = [ln_p(row) for row in x], mp.mpf(0), []
    for share, row in zip(weights, log_p, strict=True):
        others = list(zip(weights, log_p, strict=True))
        terms = [
            -mp.log1p(total(u * mp.expm1(other[i] - v) for u, other in others)) if v > -INF else mp.mpf(0)
            for i, v in enumerate(row)
        ]  # ln(p/m)
        kl = total(times(exp(row), terms))
        value += share * kl
        gradient.append(times(exp(row), [share * (s - kl) for s in terms]))
    return value, [gradient] if w is None else [gradient, None]


def factors(x, sizes):
    ends = [sum(sizes[: k + 1]) for k in range(len(sizes))]
    return [x[end - size : end] for end, size in zip(ends, sizes, strict=True)]


def product_of(function, arguments, sizes):
    parts = [function(*rows) for rows in zip(*(factors(x, sizes) for x in arguments), strict=True)]
    gradients = [[v for _, g in parts for v in g[k]] for k in range(len(arguments))]
    return total(v for v, _ in parts), gradients


def product_js_from_logits(a, b, sizes):
    def joint(x):
        return [total(row) for row in product(*factors(x, sizes))]

    value, gradients = js_from_logits(joint(a), joint(b))
    outcomes = list(product(*map(range, sizes)))
    return value, [
        [total(v for v, o in zip(g, outcomes, strict=True) if o[k] == i) for k, n in enumerate(sizes) for i in range(n)]
        for g in gradients
    ]


def bits(function):
    """The sum over bits: a logit x becomes (0, x), or (−x, 0) if x > 0."""

    def exact(*arguments):
        pairs = [[[-x, mp.mpf(0)] if x > 0 else [mp.mpf(0), x] for x in logits] for logits in arguments]
        parts = [function(*rows) for rows in zip(*pairs, strict=True)]
        gradients = [
            [-g[k][0] if x > 0 else g[k][1] for (_, g), x in zip(parts, logits, strict=True)]
            for k, logits in enumerate(arguments)
        ]
        return total(v for v, _ in parts), gradients

    return exact


def entropy(p):
    return cross_entropy(p, p)[0], [[-mp.log(a) - 1 if a else mp.mpf(0) for a in p]]


def cross_entropy(p, q):
    log_q = [mp.log(b) if b else -INF for b in q]
    value = -total(times(p, log_q))
    zeros = [mp.mpf(0) if b == 0 else -a / b for a, b in zip(p, q, strict=True)]
    return value, [[-x if b else mp.mpf(0) for x, b in zip(log_q, q, strict=True)], zeros]


def kl(p, q):
    """Σ [p ln(p/q) − p + q]: rounded probabilities need not sum to exactly 1."""
    both = [(a, b) if a and b else (mp.mpf(1), mp.mpf(1)) for a, b in zip(p, q, strict=True)]
    log_ratio = [mp.log(a / b) for a, b in both]
    infinite = any(a and not b for a, b in zip(p, q, strict=True))
    value = mp.inf if infinite else total(times(p, log_ratio)) - total(p) + total(q)
    return value, [log_ratio, [1 - a / b if b else mp.mpf(0) for a, b in zip(p, q, strict=True)]]


def js(p, q):
    mean = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    logs = [[mp.log(a / m) if a else mp.mpf(0) for a, m in zip(x, mean, strict=True)] for x in (p, q)]
    return (total(times(p, logs[0])) + total(times(q, logs[1]))) / 2, [[v / 2 for v in x] for x in logs]


def mutual_information(joint):
    x, y = [total(row) for row in joint], [total(column) for column in zip(*joint, strict=True)]
    flat, independent = [v for row in joint for v in row], [a * b for a in x for b in y]
    value, (log_ratio, _) = kl(flat, independent)
    off = 2 * (total(x) - 1)  # for rounded tables
    width = len(y)
    gradient = [v + off for v in log_ratio]
    return value, [[gradient[i : i + width] for i in range(0, len(flat), width)]]


def bernoulli_entropy(p):
    value = -total(times(p, [mp.log(v) if v else 0 for v in p])) - total((1 - v) * mp.log1p(-v) for v in p if v < 1)
    return value, [[mp.log((1 - v) / v) if 0 < v < 1 else mp.mpf(0) for v in p]]


def elementwise(function, slope):
    """Functions of x, or of x = log_q − log_p, with one output per input."""

    def exact(*arguments):
        x = arguments[0] if len(arguments) == 1 else [b - a for a, b in zip(*arguments, strict=True)]
        values = [function(v) for v in x]
        gradient = [c * slope(v) if c else mp.mpf(0) for c, v in zip(counts(values), x, strict=True)]
        return values, [gradient] if len(arguments) == 1 else [[-g for g in gradient], gradient]

    return exact


def gaussian_entropy(log_std):
    return total(x + (1 + mp.log(2 * mp.pi)) / 2 for x in log_std), [[mp.mpf(1)] * len(log_std)]


def gaussian_kl(m0, s0, m1, s1):
    phi = [2 * (a - b) for a, b in zip(s0, s1, strict=True)]
    z = [(a - b) * mp.exp(-s) for a, b, s in zip(m0, m1, s1, strict=True)]
    value = total(mp.expm1(x) - x + v**2 for x, v in zip(phi, z, strict=True)) / 2
    dm = [v * mp.exp(-s) for v, s in zip(z, s1, strict=True)]
    ds = [mp.expm1(x) for x in phi]
    return value, [dm, ds, [-x for x in dm], [-x - v**2 for x, v in zip(ds, z, strict=True)]]


def gaussian_log_prob(x, mean, log_std):
    z = [(a - b) * mp.exp(-s) for a, b, s in zip(x, mean, log_std, strict=True)]
    value = -total(v**2 / 2 + s + mp.log(2 * mp.pi) / 2 for v, s in zip(z, log_std, strict=True))
    dx = [-v * mp.exp(-s) for v, s in zip(z, log_std, strict=True)]
    return value, [dx, [-v for v in dx], [v**2 - 1 for v in z]]


def tanh_gaussian_entropy(mean, log_std):
    """By numerical integration to 15 digits."""
    value, gradients = gaussian_entropy(log_std)[0], [[], []]
    for m, s in zip(mean, map(mp.exp, log_std), strict=True):
        reach = 10 * s
        ends = sorted({m - reach, m, m + reach} | {x for x in (-20, -3, 0, 3, 20) if abs(x - m) < reach})

        def expect(f, m=m, s=s, ends=ends):
            with mp.workdps(20):
                return mp.quad(lambda u: f(u) * mp.npdf(u, m, s), ends)

        value += expect(lambda u: -2 * mp.log(mp.cosh(u)))
        gradients[0].append(expect(lambda u: -2 * mp.tanh(u)))
        gradients[1].append(1 + expect(lambda u, m=m: -2 * mp.tanh(u) * (u - m)))
    return value, gradients


def cross_entropy_loss(logits, target, label_smoothing=0, reduction="mean"):
    smoothing, losses, d_logits, d_target = mp.mpf(label_smoothing), [], [], []
    for row, y in zip(logits, target, strict=True):
        log_p, legal = ln_p(row), [v > -INF for v in row]
        one_hot = [mp.mpf(i == y) for i in range(len(row))] if isinstance(y, int) else y
        smooth = [
            (1 - smoothing) * v + (smoothing / sum(legal) if k else 0) for v, k in zip(one_hot, legal, strict=True)
        ]
        losses.append(-total(times(smooth, log_p)))
        mass = total(smooth)
        d_logits.append([p * mass - v if k else mp.mpf(0) for p, v, k in zip(exp(log_p), smooth, legal, strict=True)])
        d_target.append([-(1 - smoothing) * v if k else mp.mpf(0) for v, k in zip(log_p, legal, strict=True)])
    n = len(logits) if reduction == "mean" else 1
    gradients = [[[v / n for v in row] for row in d] for d in (d_logits, d_target)]
    return total(losses) / n, [gradients[0], None if isinstance(target[0], int) else gradients[1]]


def nll_loss(log_p, target):
    rows = [
        [mp.mpf(i == y) for i in range(len(x))] if isinstance(y, int) else y for x, y in zip(log_p, target, strict=True)
    ]
    n = len(rows)
    value = -total(v for y, x in zip(rows, log_p, strict=True) for v in times(y, x)) / n
    return value, [[[-v / n for v in y] for y in rows], None]


FORMULAS = {
    **{f.__name__: f for f in (
        softmax, log_softmax, entropy_from_logits, kl_from_logits, cross_entropy_from_logits, js_from_logits, nll_loss,
        generalized_js_from_logits, product_js_from_logits, entropy, cross_entropy, kl, js, mutual_information,
        bernoulli_entropy, gaussian_entropy, gaussian_kl, gaussian_log_prob, tanh_gaussian_entropy, cross_entropy_loss,
    )},
    "bernoulli_entropy_from_logits": bits(entropy_from_logits),
    "bernoulli_kl_from_logits": bits(kl_from_logits),
    "product_entropy_from_logits": lambda x, sizes: product_of(entropy_from_logits, [x], sizes),
    "product_kl_from_logits": lambda a, b, sizes: product_of(kl_from_logits, [a, b], sizes),
    "self_information": elementwise(lambda p: -mp.log(p) if p else mp.inf, lambda p: -1 / p),
    "log_sigmoid": elementwise(lambda x: -mp.log1p(mp.exp(-x)), lambda x: 1 / (1 + mp.exp(x))),
    "log_tanh_slope": elementwise(lambda u: -2 * mp.log(mp.cosh(u)), lambda u: -2 * mp.tanh(u)),
    "kl_k1": elementwise(lambda x: -x, lambda x: mp.mpf(-1)),
    "kl_k2": elementwise(lambda x: x**2 / 2, lambda x: x),
    "kl_k3": elementwise(lambda x: mp.expm1(x) - x, mp.expm1),
}  # fmt: skip
