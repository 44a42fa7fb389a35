"""The page of `python -m rl.gan`, and every number in it."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import ArrayLike

from agents.maths.gan import LOG_4
from rl.experiments.gan.experiments import Findings, Line
from rl.experiments.pages import Page, counted, image, paragraph, table
from rl.experiments.statistics import METHOD, mean_interval, reached

ERROR_RANGE = (1.0, 3.0)  # of θ; the learned logit is compared with the optimal one in this range
_THETAS = (0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0)


def page(found: Findings, command: str, machine: str) -> Page:
    introduction = f"""What can go wrong in a generative adversarial net? Here everything is known: the data are N(0, 1)
        and the model is N(θ, σ²), with G(z) = θ + σ z, where σ is 1 and fixed unless a section says that it is learned.
        With σ = 1, the logit of the optimal discriminator is θ (θ/2 − x), and C(G), the maximum of V(D, G) over D, is
        −log 4 + 2 JSD. Training is Algorithm 1 of Goodfellow et al. 2014 with momentum SGD, without anything that
        stabilizes it beyond the settings named. V and C(G) are computed by quadrature, except where held-out samples
        are named. {counted(len(found.seeds), "seed")} a line; means with 95 % {METHOD} intervals; V, C and divergences
        are in nats."""
    sections = [*_balanced(found), *_alone(found), *_strong(found), *_weak(found), *_balance(found)]
    title = "A generative adversarial net in one dimension"
    return Page(title, command, machine, [paragraph(introduction), *sections], _numbers(found))


def _numbers(found: Findings) -> dict[str, object]:
    """Settings and results of every game, one number per seed."""
    games = {
        name: [_as_json(line) for line in getattr(found, name)]
        for name in ("balanced", "alone", "strong", "slow", "capacity", "balance")
    }
    modes = {name: getattr(found.modes, name).tolist() for name in ("before", "after", "bound")}
    slopes = {name: values.tolist() for name, values in found.slopes._asdict().items()}
    return {
        "seeds": list(found.seeds), **games, "maximum likelihood, final θ": found.likelihood[-1].tolist(),
        "two modes": modes, "slopes at D*": slopes,
    }  # fmt: skip


def _as_json(line: Line) -> dict[str, object]:
    trace, errors = line.trace, line.trace.errors_between(*ERROR_RANGE)
    return {
        "label": line.label, "setting": asdict(line.setting), "theta": trace.mean[-1].tolist(),
        "sigma": trace.std[-1].tolist(), "value": trace.value[-1].tolist(), "optimum": trace.optimum[-1].tolist(),
        "value_held_out": trace.held_out.tolist(), "rms_theta_last_quarter": trace.rms_theta.tolist(),
        "optimum_minus_value": trace.gap.tolist(), "arrival": trace.arrival,
        "worst_logit_error": errors.max(0).tolist() if len(errors) else None,
    }  # fmt: skip


def _balanced(found: Findings) -> list[str]:
    low, high = ERROR_RANGE
    heads = [
        "discriminator", "V + log 4 in the end, held-out samples", "worst seed", "2 JSD in the end", "final θ",
        "error of the logit", "worst",
    ]  # fmt: skip
    rows = []
    for label, _, trace in found.balanced:
        off, errors = trace.held_out + LOG_4, trace.errors_between(low, high)
        cells = [_mean(off), _number(float(off[np.abs(off).argmax()])), _mean(trace.optimum[-1] + LOG_4)]
        shown = [f"{errors.mean():.1%}", f"{errors.max():.1%}"] if errors.size else ["–", "–"]
        rows.append([label, *cells, _mean(trace.mean[-1]), *shown])
    note = f"""Training starts from θ = 4 with the non-saturating loss. The error of the logit is its distance in L2
        from θ (θ/2 − x), weighted by ½ (p + q) and relative to the size of that logit: the mean, and the largest, over
        all seeds and all recorded moments with {low:g} ≤ θ ≤ {high:g}.
        {" ".join(f'"{line.label}": {_how([line])}' for line in found.balanced)}"""
    title = "## Algorithm 1 beside what is known"
    return [
        title,
        table(heads, rows),
        paragraph(note),
        image("densities, D beside its optimum, V beside C(G)", "gan.png"),
    ]


def _alone(found: Findings) -> list[str]:
    rows = []
    for line in found.alone:
        used = "samples of data and model" if line.setting.discriminator_lr else "samples of the model"
        rows.append([line.label, used, _mean(line.trace.mean[-1])])
    used = "samples of the data, density of the model"
    rows.append(["−log q(x), maximum likelihood", used, _mean(found.likelihood[-1])])
    modes = found.modes
    heads = ["JSD of histograms, before training", "after training", "½ (V + log 4) after training, held-out samples"]
    samples = [_mean(modes.before), _mean(modes.after), _mean(modes.bound)]
    note = """Where only samples are available: the data have two modes, ½ N(−2, ½²) + ½ N(2, ½²). G is a perceptron
        whose input is four noise numbers, so that its density has no formula, and D is another perceptron."""
    return [
        "## (a) Why a discriminator?",
        table(["G learns from", "what is used in training", "final θ (right is 0)"], rows, words=2),
        paragraph(f"Training starts from θ = 4. All lines: {_how(found.alone)}"),
        paragraph(note),
        table(heads, [samples], words=0),
        image(
            "sections (a), (b), (c) and the balance: θ, σ and the distance of D from the optimum in training",
            "questions.png",
        ),
    ]


def _strong(found: Findings) -> list[str]:
    slopes, rows = found.slopes, []
    for i in (int(np.abs(slopes.theta - theta).argmin()) for theta in _THETAS):
        weak, strong = float(slopes.saturating[i]), float(slopes.non_saturating[i])
        cells = [f"{slopes.theta[i]:g}", _number(float(slopes.optimum[i]) + LOG_4), _number(weak), _number(strong)]
        rows.append([*cells, f"{strong / weak:,.0f}" if strong / weak >= 10 else f"{strong / weak:.1f}"])
    note = """If D is optimal, what gradient does G receive? The size of d/dθ of log(1 − D) (saturating) and of −log D
        (non-saturating) at D*, expected over samples of the model:"""
    return [
        "## (b) Where D is too strong",
        paragraph(note),
        table(["θ", "C(G) + log 4", "saturating", "non-saturating", "ratio"], rows),
        paragraph(f"In training, which starts from θ = 8. All lines: {_how(found.strong)}"),
        _paths(found.strong),
    ]


def _weak(found: Findings) -> list[str]:
    rows = []
    for label, _, trace in found.capacity:
        ends = (trace.value[-1] + LOG_4, trace.optimum[-1] + LOG_4, trace.mean[-1], np.abs(trace.std[-1]))
        rows.append([label, *map(_mean, ends)])
    return [
        "## (c) Where D is too weak",
        paragraph(f"D learns too slowly: training starts from θ = 4. All lines: {_how(found.slow)}"),
        _paths(found.slow),
        paragraph(f"""D is too small: G learns θ and σ, from θ = 1 and σ = 0.4, and a logit that is linear in x cannot
            see σ. Both lines: {_how(found.capacity)}"""),
        table(["D can be", "V + log 4", "C(G) + log 4", "final θ", "final σ"], rows),
    ]


def _balance(found: Findings) -> list[str]:
    lines = {(line.setting.form, line.setting.k): line for line in found.balance}
    forms, ks = (list(dict.fromkeys(keys)) for keys in zip(*lines, strict=True))
    measured = [f"{what}, {form}" for what in ("RMS θ", "C(G) − V") for form in forms]
    rows = []
    for k in ks:
        traces, iterations = [lines[form, k].trace for form in forms], lines[forms[0], k].setting.iterations
        means = [_mean(trace.rms_theta) for trace in traces] + [_mean(trace.gap) for trace in traces]
        rows.append([str(k), f"{iterations:,}", f"{iterations * (k + 1):,}", *means])
    note = f"""k is the number of discriminator steps per generator step; all lines have about as many steps of both
        together, and start from θ = 4. RMS θ is over the last quarter of training: 0 means that the model has settled
        on the data. C(G) − V is the mean over training: 0 means that D is optimal. All lines: {_how(found.balance)}"""
    return ["## The balance", table(["k", "steps of G", "steps of both", *measured], rows, words=0), paragraph(note)]


def _paths(lines: Sequence[Line]) -> str:
    heads = ["game", "θ within ±½ reached by", "median iteration", "final abs(θ)", "RMS θ, last quarter", "C(G) − V"]
    rows = []
    for label, _, trace in lines:
        arrival = reached(trace.arrival)
        means = (np.abs(trace.mean[-1]), trace.rms_theta, trace.gap)
        rows.append([label, f"{arrival.hits} of {arrival.runs}", arrival.moment, *map(_mean, means)])
    return table(heads, rows)


def _how(lines: Sequence[Line]) -> str:
    """The settings shared by all lines, in words."""
    s = lines[0].setting
    words = {
        "iterations": f"{s.iterations:,} iterations", "k": f"k = {s.k}", "minibatch": f"minibatches of {s.minibatch:,}",
        "momentum": f"momentum {s.momentum:g}", "generator_lr": f"learning rate {s.generator_lr:g} for G",
        "discriminator_lr": f"{s.discriminator_lr:g} for D", "final_share": f"falling to {s.final_share:g} of it",
    }  # fmt: skip
    same = {name for name in words if len({getattr(line.setting, name) for line in lines}) == 1}
    same -= {"final_share"} if s.final_share == 1 else set()
    return f"{', '.join(text for name, text in words.items() if name in same)}."


def _mean(values: ArrayLike) -> str:
    """The mean with its interval over seeds."""
    return mean_interval(values).written(_number)


def _number(x: float) -> str:
    """Three decimals, or two significant digits for smaller numbers."""
    return f"{x:.3f}" if abs(x) >= 1e-2 or x == 0 else f"{x:.4f}" if abs(x) >= 1e-3 else f"{x:.1e}"
