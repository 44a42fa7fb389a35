"""The defining formulas of rl.information in 50-digit arithmetic; each returns the value and its gradients.

Gradients are those of Σ c_i · output_i, one list per argument, with c = 1, 2, 3, …, or 0 where the output is infinite.
"""

import mpmath as mp

from tests.agents.maths.information.logit_formulas import INF, OF_LOGITS, counts, exp, ln_p, times, total


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
    **OF_LOGITS,
    **{f.__name__: f for f in (
        nll_loss, entropy, cross_entropy, kl, js, mutual_information, bernoulli_entropy, gaussian_entropy, gaussian_kl,
        gaussian_log_prob, tanh_gaussian_entropy, cross_entropy_loss,
    )},
    "self_information": elementwise(lambda p: -mp.log(p) if p else mp.inf, lambda p: -1 / p),
    "log_sigmoid": elementwise(lambda x: -mp.log1p(mp.exp(-x)), lambda x: 1 / (1 + mp.exp(x))),
    "log_tanh_slope": elementwise(lambda u: -2 * mp.log(mp.cosh(u)), lambda u: -2 * mp.tanh(u)),
    "kl_k1": elementwise(lambda x: -x, lambda x: mp.mpf(-1)),
    "kl_k2": elementwise(lambda x: x**2 / 2, lambda x: x),
    "kl_k3": elementwise(lambda x: mp.expm1(x) - x, mp.expm1),
}  # fmt: skip
