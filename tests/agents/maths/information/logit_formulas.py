"""The defining formulas for logits in 50-digit arithmetic, and helpers; see formulas.py."""

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


OF_LOGITS = {
    **{f.__name__: f for f in (
        softmax, log_softmax, entropy_from_logits, kl_from_logits, cross_entropy_from_logits, js_from_logits,
        generalized_js_from_logits, product_js_from_logits,
    )},
    "bernoulli_entropy_from_logits": bits(entropy_from_logits),
    "bernoulli_kl_from_logits": bits(kl_from_logits),
    "product_entropy_from_logits": lambda x, sizes: product_of(entropy_from_logits, [x], sizes),
    "product_kl_from_logits": lambda a, b, sizes: product_of(kl_from_logits, [a, b], sizes),
}  # fmt: skip
