"""Questions about generative adversarial nets that the toys answer, and their settings."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from agents.maths import information
from agents.maths.gan import Form, jsd_estimate, train, value
from rl.experiments.gan import toys
from rl.experiments.gan.games import Array, Setting, Trace, play, play_likelihood

WELL_BALANCED = Setting(
    iterations=2_000, k=10, minibatch=2_048, momentum=0.9, generator_lr=3e-4, discriminator_lr=0.4, final_share=0.01
)

_PERCEPTRON = replace(
    WELL_BALANCED, iterations=1_000, k=5, degree=None, minibatch=512, generator_lr=5e-4, discriminator_lr=0.1
)

_SLOW = Setting(discriminator_lr=1e-3)
_FAR = replace(_SLOW, mean=8.0)
_NARROW = Setting(iterations=2_000, k=5, mean=1.0, std=0.4, learns_std=True, generator_lr=0.02, minibatch=256)
_BUDGET = 6_000  # gradient steps of both networks together
_SAMPLES = 100_000
BINS = np.linspace(-5, 5, 61)
_MODES_ITERATIONS, _MODES_K, _MODES_MINIBATCH, _WIDTH, _PRIOR = 1_200, 3, 256, 32, 4


class Line(NamedTuple):
    """A game with its name in tables and figures."""

    label: str
    setting: Setting
    trace: Trace


class Modes(NamedTuple):
    """Games of perceptrons on two modes, known only through samples. Arrays over runs, [R] or [R, bins]."""

    before: Array  # JSD of histograms, in nats
    after: Array
    bound: Array  # ½ (V + log 4) after training, on held-out samples
    data: Array  # shares of the bins
    model_before: Array
    model: Array


class Slopes(NamedTuple):
    """|d loss / dθ| of both generator losses at D*, and C(G), against θ."""

    theta: Array
    saturating: Array
    non_saturating: Array
    optimum: Array


class Findings(NamedTuple):
    seeds: Sequence[int]
    balanced: list[Line]
    alone: list[Line]  # (a)
    likelihood: Array  # θ, [T, R]
    modes: Modes
    slopes: Slopes  # (b)
    strong: list[Line]
    slow: list[Line]  # (c)
    capacity: list[Line]
    balance: list[Line]


def explore(seeds: Sequence[int], iterations: int | None, say: Callable[[str], object]) -> Findings:
    """Plays all games. iterations: upper bound, for a quick look. say: called with each game's name."""

    def line(label: str, setting: Setting) -> Line:
        say(label)
        setting = replace(setting, iterations=_at_most(iterations, setting.iterations))
        return Line(label, setting, play(setting, seeds))

    forms = get_args(Form)
    return Findings(
        seeds,
        balanced=[line("logit a + b x", WELL_BALANCED), line("perceptron, 16 tanh units", _PERCEPTRON)],
        alone=[
            line("D trained beside G", Setting()),
            line("D = ½, never trained", Setting(discriminator_lr=0.0)),
            line("D* of the start, never trained", Setting(discriminator_lr=0.0, knows_start=True)),
        ],
        likelihood=play_likelihood(Setting(iterations=_at_most(iterations, Setting.iterations)), seeds),
        modes=play_modes(seeds, iterations, say),
        slopes=slopes(torch.linspace(0.5, 10, 20, dtype=torch.float64)),
        strong=[line(f"{form}, k = {k}", replace(_FAR, form=form, k=k)) for form in forms for k in (1, 16)],
        slow=[line(f"D learns at {rate:g}", replace(_SLOW, discriminator_lr=rate)) for rate in (0.1, 0.01, 0.001)],
        capacity=[
            line(label, replace(_NARROW, degree=degree))
            for label, degree in (("logit a + b x", 1), ("logit a + b x + c x²", 2))
        ],
        balance=[
            line(f"{form}, k = {k}", replace(_SLOW, k=k, form=form, iterations=_BUDGET // (k + 1)))
            for form in forms
            for k in (1, 4, 16, 64, 256)
        ],
    )


def slopes(theta: Tensor) -> Slopes:
    log_p, log_q = toys.data_log_density(), toys.normal_log_density(theta.unsqueeze(-1), torch.ones(len(theta), 1))
    saturating, non_saturating = (toys.slope_at_optimum(theta, form).abs().numpy() for form in get_args(Form))
    return Slopes(theta.numpy(), saturating, non_saturating, toys.optimum_on_grid(log_p, log_q).numpy())


def play_modes(seeds: Sequence[int], iterations: int | None, say: Callable[[str], object]) -> Modes:
    """G is a perceptron of four noise numbers, whose density has no closed form; D is another perceptron."""
    say("two modes")
    generator = toys.Perceptrons((_PRIOR, _WIDTH, 1), toys.generators(seeds, 0))
    discriminator = toys.Perceptrons((1, _WIDTH, 1), toys.generators(seeds, 1))
    data = toys.two_modes(seeds, 2, _MODES_MINIBATCH)
    noise = toys.normals(seeds, 3, _MODES_MINIBATCH, _PRIOR)
    optimizers = (toys.sgd(net, rate, 0.5, len(seeds)) for net, rate in ((generator, 0.02), (discriminator, 0.1)))
    real, z = next(toys.two_modes(seeds, 4, _SAMPLES)), next(toys.normals(seeds, 5, _SAMPLES, _PRIOR))
    shares, start = _shares(real), _shares(generator(z).detach())
    steps = _at_most(iterations, _MODES_ITERATIONS)
    for _ in train(generator, discriminator, data, noise, *optimizers, iterations=steps, k=_MODES_K):
        pass
    with torch.no_grad():
        fake = generator(z)
        held_out = [value(a, b) for a, b in zip(discriminator(real), discriminator(fake), strict=True)]
    end, bound = _shares(fake), jsd_estimate(torch.stack(held_out)).double().numpy()
    before, after = (information.js(shares, x).numpy() for x in (start, end))
    return Modes(before, after, bound, shares.numpy(), start.numpy(), end.numpy())


def _at_most(limit: int | None, number: int) -> int:
    return number if limit is None else min(limit, number)


def _shares(x: Tensor) -> Tensor:
    """Share of each run's samples in each bin; the outermost bins include everything beyond: float64[R, bins]."""
    counts = [np.histogram(run.clip(BINS[0], BINS[-1]), BINS)[0] for run in x.numpy()]
    return torch.from_numpy(np.array(counts) / x.shape[1])
