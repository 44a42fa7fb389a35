"""Writes tests/information_cases.json, from the repository's root: python -m tests.make_information_cases

A row holds a function of rl.information, its arguments, which are exact in the row's dtype, and what it must return, by
the defining formula in 50-digit arithmetic. `gradients` are those of Σ c_i · output_i, one list per argument (null: not
differentiable), with c = 1, 2, 3, …, or 0 where the output is infinite. The gradient at a logit of −inf is 0.
"""

import json
import math
from itertools import product
from pathlib import Path

import mpmath as mp
import numpy as np

PATH = Path(__file__).with_name("information_cases.json")
FLOATS = {"float32": np.float32, "float64": np.float64}
INF, LN2 = math.inf, math.log(2)
BASE, STEP = [0.3, -1.2, 0.7, 2.0], [1.0, -0.5, 0.25, -1.0]


def move(start, scale, step=STEP, offset=0.0):
    return [a + scale * b + offset for a, b in zip(start, step, strict=True)]


# --- the formulas: each returns the value and its gradients ---


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
    """p, q, ln(q/p) (0 where both are masked)."""
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
    """The sum over bits: logit x is (0, x), or (−x, 0) if x > 0."""

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
    off = 2 * (total(x) - 1)  # of rounded tables
    width = len(y)
    gradient = [v + off for v in log_ratio]
    return value, [[gradient[i : i + width] for i in range(0, len(flat), width)]]


def bernoulli_entropy(p):
    value = -total(times(p, [mp.log(v) if v else 0 for v in p])) - total((1 - v) * mp.log1p(-v) for v in p if v < 1)
    return value, [[mp.log((1 - v) / v) if 0 < v < 1 else mp.mpf(0) for v in p]]


def elementwise(function, slope):
    """Of x, or of x = log_q − log_p: one output for each input."""

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
    "log_tanh_slope": elementwise(lambda u: -2 * mp.log(mp.cosh(u)), lambda u: -2 * mp.tanh(u)),
    "kl_k1": elementwise(lambda x: -x, lambda x: mp.mpf(-1)),
    "kl_k2": elementwise(lambda x: x**2 / 2, lambda x: x),
    "kl_k3": elementwise(lambda x: mp.expm1(x) - x, mp.expm1),
}  # fmt: skip


# --- the arguments ---

LOGITS = {
    "one action": [2.0],
    "uniform of three": [7.0, 7.0, 7.0],
    "nearly uniform": [0.0, 1e-3, 2e-3],
    "half, quarter, quarter": [LN2, 0.0, 0.0],
    "1234123": [1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0],
    "1234123 + 1000": move([1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0], 0.0, [0.0] * 7, 1000.0),
    "two masked of three": [0.0, -INF, -INF],
    "one masked of four": [0.5, -INF, 1.25, -0.75],
    "1e4": [1e4, -1e4, 1e4],
    "gap 5": [0.0, -5.0, -6.0],
    "gap 16": [-16.0, 0.0],
    "gap 40": [0.0, -40.0, -41.0],
    "gap 100": [0.0, -100.0],
    "gap 700": [-700.0, 0.0, -INF],
    "hundred": [((37 * i) % 101) / 16 - 3 for i in range(100)],
}
PAIRS = {
    "1e-18": (BASE, move(BASE, 2e-9)),
    "1e-14": (BASE, move(BASE, 2e-7)),
    "1e-10": (BASE, move(BASE, 2e-5)),
    "1e-6": (BASE, move(BASE, 2e-3)),
    "1e-2": (BASE, move(BASE, 0.2)),
    "1": (BASE, move(BASE, 2.0)),
    "20": ([0.0, -20.0, 3.0], [25.0, 0.0, 5.0]),
    "1e4": ([1e4, 0.0], [0.0, 1e4]),
    "2e4": ([1e4, -1e4], [-1e4, 1e4]),
    "1e-18, both + 1000": (move(BASE, 0.0, offset=1000.0), move(BASE, 2e-9, offset=1000.0)),
    "1e-18, q + 1000": (BASE, move(BASE, 2e-9, offset=1000.0)),
    "1e-6, q + 1000": (BASE, move(BASE, 2e-3, offset=1000.0)),
    "1, both + 1000": (move(BASE, 0.0, offset=1000.0), move(BASE, 2.0, offset=1000.0)),
    "equal": (BASE, BASE),
    "equal but for a shift": ([0.25, -1.5, 2.0], [1000.25, 998.5, 1002.0]),
    "q lifts a rare action": ([0.0, -30.0, -1.0], [0.0, -3.0, -1.0]),
    "q lifts an underflowed action": ([0.0, -900.0], [0.0, -1.0]),
    "gap 16": ([0.0, -16.0], [0.0, -15.0]),
    "gap 40": ([0.0, -40.0], [0.0, -41.0]),
    "gap 40, near": ([0.0, -40.0], [0.0, -40.0009765625]),
    "gap 100": ([0.0, -80.0, -80.0], [0.0, -80.5, -79.0]),
    "gap 700": ([0.0, -700.0], [0.0, -680.0]),
    "masked in both, near": ([-INF, 0.1, 0.5], [-INF, 0.1, 0.501]),
    "masked in both, far": ([-INF, 0.0, 9.0], [-INF, 9.0, 0.0]),
    "masked in p": ([-INF, 0.0, 1.0], [-1.0, 0.0, 1.0]),
    "masked in p, rare in q": ([-INF, 0.0, 1.0], [-12.0, 0.0, 1.0]),
    "one legal action": ([-INF, 0.0, -INF], [-INF, 5.0, -INF]),
    "q forbids one": ([0.0, 1.0, 2.0], [0.0, -INF, 2.0]),
    "disjoint": ([0.0, -INF], [-INF, 0.0]),
    "disjoint pairs": ([0.0, 1.0, -INF, -INF], [-INF, -INF, 0.0, 1.0]),
    "hundred": (LOGITS["hundred"], [((53 * i) % 103) / 16 - 3 for i in range(100)]),
}
DISTRIBUTIONS = {
    "equal": ([0.25, 0.5, 0.25], [0.25, 0.5, 0.25]),
    "far": ([0.75, 0.125, 0.125], [0.0625, 0.4375, 0.5]),
    "thirds": ([1 / 3, 1 / 3, 1 / 3], [0.2, 0.3, 0.5]),
    "near": ([0.1, 0.2, 0.7], [0.1 + 1e-4, 0.2, 0.7 - 1e-4]),
    "1e-14": ([0.25, 0.25, 0.5], [0.25 + 1e-7, 0.25 - 1e-7, 0.5]),
    "1e-18": ([0.25, 0.25, 0.5], [0.25 + 1e-9, 0.25 - 1e-9, 0.5]),
    "rare": ([1.0, 1e-30], [1.0, 1e-20]),
    "zero in p": ([0.0, 0.5, 0.5], [0.25, 0.25, 0.5]),
    "zero in both": ([0.0, 0.25, 0.75], [0.0, 0.5, 0.5]),
    "certain": ([1.0, 0.0], [1.0, 0.0]),
    "zero in q": ([0.25, 0.25, 0.5], [0.0, 0.5, 0.5]),
    "disjoint": ([0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]),
}
BITS = {
    "0": ([0.0], [0.5]),
    "several": ([0.3, -2.0, 5.0], [-0.4, -2.5, 3.0]),
    "near": ([0.3, -2.0], [0.3 + 1e-6, -2.0 - 1e-6]),
    "20": ([20.0], [19.0]),
    "-20": ([-20.0], [-19.0]),
    "100": ([80.0], [100.0]),
    "-100": ([-80.0], [-100.0]),
    "certain": ([INF, -INF], [3.0, -2.0]),
    "certain twice": ([INF, -INF], [INF, -INF]),
    "impossible": ([2.0, 1.0], [INF, 1.0]),
    "far": ([100.0], [-100.0]),
}
LOG_1E30 = math.log(1e30)
GAUSSIANS = {
    "equal": ([0.1, -1e8], [-100.0, 60.0], [0.1, -1e8], [-100.0, 60.0]),
    "near": ([0.3, 0.1], [-0.5, 0.5], [0.3 + 1e-6, 0.1], [-0.5 - 1e-6, 0.5 + 1e-6]),
    "ordinary": ([0.3], [-0.5], [0.4], [-0.2]),
    "wide and narrow": ([1.0, 0.0], [2.0, -1.0], [1.0, -3.0], [-2.0, 3.0]),
    "std 1e-30": ([3e-30], [-LOG_1E30], [1e-30], [-LOG_1E30]),
    "std 1e-30, same mean": ([0.25], [-LOG_1E30], [0.25], [-LOG_1E30 + 1.0]),
    "std 1e30": ([1e30], [LOG_1E30], [-2e30], [LOG_1E30 - 0.5]),
    "1e10 std away": ([1e10], [0.0], [0.0], [0.0]),
    "1e10 std away, std 1e-10": ([1.0], [-23.0], [0.0], [-23.0]),
    "std 1e-9, near": ([1e-9], [-20.0], [1.001e-9], [-20.001]),
}
WORKED = [[-0.1342, -2.5835, -0.9810], [0.1867, -1.4513, -0.3225], [0.6272, -0.1120, 0.3048]]
SOFT = [[0.7, 0.2, 0.1], [0.0, 1.0, 0.0], [0.25, 0.25, 0.5]]
MASKED = [[0.5, -INF, 1.0], [-INF, 0.0, -INF], [20.0, -10.0, 0.0]]


LOSSES = [
    ("worked example", WORKED, [0, 2, 1], {}),
    ("sum, smoothing", WORKED, [0, 2, 1], {"reduction": "sum", "label_smoothing": 0.125}),
    ("probabilities", WORKED, SOFT, {}),
    ("probabilities, smoothing", WORKED, SOFT, {"label_smoothing": 0.25}),
    ("mask", MASKED, [2, 1, 0], {}),
    ("mask, smoothing", MASKED, [0, 1, 2], {"label_smoothing": 0.125}),
    ("mask, probabilities", MASKED, [[0.25, 0.0, 0.75], [0.0, 1.0, 0.0], [0.5, 0.25, 0.25]], {}),
    ("target is masked", MASKED, [1, 1, 0], {}),
    ("nearly certain", [[16.0, 0.0, -1.0], [0.0, 40.0, 0.0]], [0, 1], {}),
]
TABLES = {
    "independent": [[0.125, 0.375], [0.125, 0.375]],
    "deterministic": [[0.0, 0.5], [0.5, 0.0]],
    "dependent": [[0.25, 0.125, 0.0], [0.0625, 0.1875, 0.375]],
    "1e-8": [[0.28 + 5e-5, 0.42 - 5e-5], [0.12 - 5e-5, 0.18 + 5e-5]],
}
SAMPLES = (
    [-1.0, -1.0, -3.5, -0.25, -60.1, -2.0, -50.0, -2.3],
    [-1.0, -1.000001, -3.25, -9.0, -10.3, -INF, -2.0, -2.3001],
)
TANH_GAUSSIANS = {
    "certain": ([0.5], [-20.0]),
    "narrow": ([0.0, 1.5], [-3.0, -1.0]),
    "unit": ([0.3], [0.0]),
    "wider": ([-1.0], [0.5]),
    "wide": ([0.0, 5.0], [1.0, 2.5]),
    "far": ([30.0, -8.0], [0.0, -0.5]),
    "very wide": ([2.0], [7.0]),
}
SETS = {
    "two": ([BASE, move(BASE, 1.0)],),
    "two, 1e-6 apart": ([BASE, move(BASE, 1e-6)],),
    "three, 1e-6 apart": ([BASE, move(BASE, 1e-6), move(BASE, -2e-6)],),
    "three, equal": ([BASE, BASE, BASE],),
    "three, disjoint": ([[0.0, -INF, -INF], [-INF, 0.0, -INF], [-INF, -INF, 0.0]],),
    "four, a mask": ([BASE, STEP, [-INF, 0.0, 1.0, 2.0], [0.0, -INF, 1.0, -30.0]],),
    "five": ([BASE, STEP, move(BASE, 3.0), move(STEP, 0.01), [0.0, -10.0, 20.0, 0.0]],),
    "three, weights": ([BASE, STEP, move(BASE, -1.0)], [0.5, 0.125, 0.375]),
}
FIVE = [0.3, -1.2, 0.7, 2.0, 0.1]
PRODUCTS = {
    "far": (FIVE, [3.0, 0.0, -INF, 2.0, -1.0]),
    "near": (FIVE, move(FIVE, 1e-5, [1.0, -1.0, 0.5, 2.0, -1.0])),
}
LOG_P = [[math.log(v) for v in row] for row in SOFT[::2]]


def first(cases):
    return {label: arguments[:1] for label, arguments in cases.items()}


def single(cases):
    return {label: (x,) for label, x in cases.items()}


def only(cases, *labels):
    return {label: cases[label] for label in labels}


def without(cases, *labels):
    return {label: x for label, x in cases.items() if label not in labels}


GROUPS = {
    "entropy_from_logits": single(LOGITS),
    "log_softmax": single(without(LOGITS, "hundred")),
    "softmax": single(only(LOGITS, "1234123 + 1000", "one masked of four", "gap 16", "gap 40", "1e4")),
    "kl_from_logits": PAIRS,
    "js_from_logits": without(PAIRS, "equal", "equal but for a shift", "1", "1e-10", "hundred"),
    "cross_entropy_from_logits": only(PAIRS, "1e-14", "1e-2", "20", "gap 40", "masked in p", "q forbids one"),
    "cross_entropy": DISTRIBUTIONS,
    "kl": DISTRIBUTIONS,
    "js": DISTRIBUTIONS,
    "entropy": first(without(DISTRIBUTIONS, "near", "1e-14", "1e-18")),
    "self_information": {"from 0 to 1": ([0.0, 1e-30, 0.125, 0.5, 0.9999, 1.0],)},
    "mutual_information": single(TABLES),
    "kl_k1": {"of samples": SAMPLES},
    "kl_k2": {"of samples": SAMPLES},
    "kl_k3": {"of samples": SAMPLES},
    "log_tanh_slope": {"everywhere": ([0.0, 0.5, -1.0, 3.0, -20.0, 1e4],), "near 0": ([1e-3, -1e-5],)},
    "bernoulli_entropy": {"0 and 1": ([0.0, 1.0],), "several": ([0.5, 0.1, 0.999],), "rare": ([1e-30, 1e-7],)},
    "bernoulli_entropy_from_logits": first(BITS),
    "bernoulli_kl_from_logits": BITS,
    "gaussian_kl": GAUSSIANS,
    "gaussian_entropy": {"1 and -23": ([1.0, -23.0],), "1e30": ([LOG_1E30],), "near 0": ([-1.41],)},
    "gaussian_log_prob": {
        "ordinary": ([0.3, 0.0], [0.4, 1.0], [-0.5, 2.0]),
        "std 1e-30": ([3e-30, 0.0], [1e-30, 0.0], [-LOG_1E30, -LOG_1E30]),
        "1e10 std away": ([1e10], [0.0], [0.0]),
    },
    "tanh_gaussian_entropy": TANH_GAUSSIANS,
    "generalized_js_from_logits": SETS,
    "nll_loss": {"indices": (LOG_P, [1, 2]), "probabilities": (LOG_P, SOFT[1:])},
}


def rows():
    """(function, label, arguments, keywords)."""
    for function, cases in GROUPS.items():
        yield from ((function, label, arguments, {}) for label, arguments in cases.items())
    for function, t in product(("softmax", "log_softmax"), (0.1, 0.5, 2.0, 10.0)):
        yield function, f"temperature {t:g}", (BASE,), {"temperature": t}
    for label, pair in PRODUCTS.items():
        yield "product_entropy_from_logits", label, pair[1:], {"sizes": [2, 3]}
        yield "product_kl_from_logits", label, pair, {"sizes": [2, 3]}
        yield "product_js_from_logits", label, pair, {"sizes": [2, 3]}
    for label, logits, target, keywords in LOSSES:
        yield "cross_entropy_loss", label, (logits, target), keywords


def rounded(x, dtype):
    """Floats to the nearest of the dtype, as exact numbers; indices stay."""
    if isinstance(x, list | tuple):
        return [rounded(v, dtype) for v in x]
    return x if isinstance(x, int) else float(FLOATS[dtype](x))


def exact(x):
    if isinstance(x, list):
        return [exact(v) for v in x]
    return mp.mpf(x) if isinstance(x, float) else x


def encode(x, digits=25):
    """Numbers as decimal strings, infinite arguments as strings."""
    if isinstance(x, list):
        return [encode(v, digits) for v in x]
    return x if x is None else "inf" if x == mp.inf else mp.nstr(mp.mpf(x), digits, min_fixed=-5, max_fixed=8)


def arguments_of(x):
    if isinstance(x, list):
        return [arguments_of(v) for v in x]
    return str(x) if isinstance(x, float) and math.isinf(x) else x


def formula(function, inputs, keywords):
    """In 50-digit arithmetic; a gradient that is other with 80 digits is a 0 that did not cancel to the end."""
    value, gradients = FORMULAS[function](*exact(inputs), **keywords)
    with mp.workdps(80):
        _, again = FORMULAS[function](*exact(inputs), **keywords)
    return value, settled(gradients, again)


def settled(x, y):
    if isinstance(x, list):
        return [settled(a, b) for a, b in zip(x, y, strict=True)]
    return x if x is None or abs(x - y) <= 1e-9 * abs(x) else mp.mpf(0)


def case(function, label, arguments, keywords, dtype):
    """One row of the table; a gradient of a hundred numbers would fill the file."""
    inputs = rounded(arguments, dtype)
    value, gradients = formula(function, inputs, keywords)
    row = {"function": function, "case": label, "dtype": dtype, "arguments": arguments_of(inputs)}
    row |= {"keywords": keywords} if keywords else {}
    row |= {"value": encode(value, 16 if function == "tanh_gaussian_entropy" else 25)}
    return row | ({"gradients": encode(gradients, 20)} if gradients and label != "hundred" else {})


def text():
    with mp.workdps(50):
        cases = [case(*row, dtype) for row in rows() for dtype in FLOATS]
    lines = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in cases]
    return "[\n" + ",\n".join(lines) + "\n]\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
