"""Data N(0, 1), a generator z ↦ θ + σ z and small discriminators: a game whose optimum is known.

For σ = 1, the logit of D* is θ (θ/2 − x). Samples are float[R, m]: R runs in parallel, each with its own seed,
parameters and random numbers, so ten seeds cost little more than one.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from agents.maths.gan import Form, expected_value, generator_loss, optimal_logit
from agents.maths.information import gaussian_log_prob

_SPACING = 0.01
GRID = torch.arange(-10.0, 20.0 + _SPACING / 2, _SPACING, dtype=torch.float64)  # quadrature points, float64[K]
_BLOCK = 2**16  # numbers drawn per call


class Affine(nn.Module):
    """G(z) = θ + σ z, z float[R, m]; θ is learned, σ only if `learns_std`."""

    def __init__(self, runs: int, mean: float, std: float, learns_std: bool) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.full((runs, 1), float(mean)))
        self.std = nn.Parameter(torch.full((runs, 1), float(std)), requires_grad=learns_std)

    def forward(self, z: Tensor) -> Tensor:
        return self.mean + self.std * z


class Polynomial(nn.Module):
    """Logit Σ_j w_j x^j, x float[R, m]; starts at w = 0: D = ½. Degree 1 contains D* for σ = 1, degree 2 for any σ."""

    def __init__(self, runs: int, degree: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(degree + 1, runs, 1))

    def forward(self, x: Tensor) -> Tensor:
        logit = self.w[-1]
        for w in reversed(self.w[:-1].unbind()):
            logit = logit * x + w
        return logit.expand_as(x)


class Perceptrons(nn.Module):
    """R multilayer perceptrons, tanh between layers: float[R, m, sizes[0]] → float[R, m, sizes[-1]].

    A last dimension of 1 is omitted on either side. Weights N(0, 1/fan-in), biases 0.
    """

    def __init__(self, sizes: Sequence[int], generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.flat_in, self.flat_out = sizes[0] == 1, sizes[-1] == 1
        weights = [
            torch.stack([torch.randn(a, b, generator=g) / math.sqrt(a) for g in generators]) for a, b in pairwise(sizes)
        ]
        self.weights = nn.ParameterList(weights)
        self.biases = nn.ParameterList([torch.zeros(len(generators), 1, b) for b in sizes[1:]])

    def forward(self, x: Tensor) -> Tensor:
        x = x.unsqueeze(-1) if self.flat_in else x
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, torch.tanh(x) if i else x, weight)
        return x.squeeze(-1) if self.flat_out else x


def generators(seeds: Sequence[int], stream: int) -> list[torch.Generator]:
    """One generator per seed, from its child `stream`; no two share a sequence."""
    states = [np.random.SeedSequence(seed, spawn_key=(stream,)).generate_state(1, np.uint64)[0] for seed in seeds]
    return [torch.Generator().manual_seed(int(state)) for state in states]


def normals(seeds: Sequence[int], stream: int, *shape: int) -> Iterator[Tensor]:
    """Endless minibatches of N(0, 1), float[R, *shape]; a run's numbers do not depend on the other runs."""
    sources, count = generators(seeds, stream), max(1, _BLOCK // math.prod(shape))
    while True:
        yield from torch.stack([torch.randn(count, *shape, generator=g) for g in sources], 1)


def two_modes(seeds: Sequence[int], stream: int, size: int) -> Iterator[Tensor]:
    """Endless minibatches of ½ N(−2, ½²) + ½ N(2, ½²), float[R, size]."""
    for z in normals(seeds, stream, size, 2):
        yield 2 * z[..., 0].sign() + 0.5 * z[..., 1]


def sgd(module: nn.Module, learning_rate: float, momentum: float, runs: int) -> torch.optim.SGD:
    """Momentum SGD for R parallel runs. The loss averages over runs, so the learning rate is multiplied by R."""
    return torch.optim.SGD(module.parameters(), lr=learning_rate * runs, momentum=momentum)


def normal_log_density(mean: Tensor, std: Tensor) -> Tensor:
    """ln N(x; θ, σ²) on the grid: float[R, 1] each → float64[R, K]."""
    log_std = std.double().abs().log().unsqueeze(-1)
    return gaussian_log_prob(GRID.unsqueeze(-1), mean.double().unsqueeze(-1), log_std, validate=False)


def data_log_density() -> Tensor:
    """ln N(x; 0, 1) on the grid, float64[1, K]."""
    return normal_log_density(torch.zeros(1, 1), torch.ones(1, 1))


def value_on_grid(logit: Tensor, log_p: Tensor, log_q: Tensor) -> Tensor:
    """V(D, G) by the trapezoidal rule, exact up to rounding for smooth densities inside the grid: float64[R]."""
    return expected_value(logit.double(), log_p.exp() * _SPACING, log_q.exp() * _SPACING, validate=False)


def optimum_on_grid(log_p: Tensor, log_q: Tensor) -> Tensor:
    """C(G) = V(D*, G), float64[R]."""
    return value_on_grid(optimal_logit(log_p, log_q, validate=False), log_p, log_q)


def logit_error(logit: Tensor, log_p: Tensor, log_q: Tensor) -> Tensor:
    """‖x̂ − x*‖ / ‖x*‖, where x* is the logit of D*, in L2 weighted by ½ (p + q). float64[R]."""
    best, weight = optimal_logit(log_p, log_q, validate=False), log_p.exp() + log_q.exp()
    return (((logit.double() - best).square() * weight).sum(-1) / (best.square() * weight).sum(-1)).sqrt()


def slope_at_optimum(theta: Tensor, form: Form) -> Tensor:
    """d/dθ E_g[generator_loss] with D fixed at D* of that θ: float64[N] → float64[N]."""
    shift = torch.zeros_like(theta).requires_grad_()
    logit = theta.unsqueeze(-1) * (theta.unsqueeze(-1) / 2 - (GRID + shift.unsqueeze(-1)))
    q = normal_log_density(theta.unsqueeze(-1), torch.ones(1, 1)).exp() * _SPACING
    return torch.autograd.grad((q * generator_loss(logit, form, reduction="none")).sum(), shift)[0]
