"""What cases.json evaluates: functions of rl.information, each with its arguments and keywords."""

import math
from itertools import product

INF, LN2 = math.inf, math.log(2)
BASE, STEP = [0.3, -1.2, 0.7, 2.0], [1.0, -0.5, 0.25, -1.0]


def move(start, scale, step=STEP, offset=0.0):
    return [a + scale * b + offset for a, b in zip(start, step, strict=True)]


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
    "log_sigmoid": {
        "from -5 to 5": ([0.0, 0.3, -2.0, 5.0, -5.0],),
        "20 to 1000": ([20.0, -20.0, 100.0, -100.0, 1000.0, -1000.0],),
        "infinite": ([INF, -INF, 1.0],),
    },
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
    """Rows of (function, label, arguments, keywords)."""
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
