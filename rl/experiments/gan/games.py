"""Plays one game of the toys: from a setting to a trace."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.lr_scheduler import ExponentialLR

from agents.maths.gan import Form, train, value
from agents.maths.information import gaussian_log_prob
from rl.experiments.gan import toys

Array = NDArray[np.float64]
_DATA, _NOISE, _INITIAL, _HELD_OUT = range(4)  # streams of random numbers
_RECORDS = 200  # at most, per trace
_HELD_OUT_SAMPLES = 100_000
NEAR = 0.5  # the model has arrived once |θ| is at most this


@dataclass(frozen=True)
class Setting:
    """Data N(0, 1); the model N(θ, σ²) starts at θ = mean, σ = std. k discriminator steps per generator step.

    degree: of the discriminator's polynomial; None for a perceptron with 16 hidden tanh units. knows_start: D starts as
    the D* of the initial model instead of ½. The discriminator's learning rate decays exponentially to final_share of
    its initial value.
    """

    iterations: int = 1_000
    k: int = 1
    form: Form = "non-saturating"
    mean: float = 4.0
    std: float = 1.0
    learns_std: bool = False
    degree: int | None = 1
    knows_start: bool = False
    minibatch: int = 64
    momentum: float = 0.5
    generator_lr: float = 0.05
    discriminator_lr: float = 0.1
    final_share: float = 1.0


class Trace(NamedTuple):
    """A game over training: T moments of R runs. V and C by quadrature, not from samples."""

    iteration: Array  # [T], starts at 0
    mean: Array  # θ, [T, R]
    std: Array  # σ
    value: Array  # V(D, G) of the learned D
    optimum: Array  # C(G)
    error: Array  # relative error of the logit, see toys.logit_error
    logit: Array  # of the learned D on the grid, [T, K], first run
    held_out: Array  # [R], V(D, G) after training, on held-out samples

    @property
    def rms_theta(self) -> Array:
        """Root mean square of θ over the last quarter, [R]; 0 if the model has settled on the data."""
        last = self.mean[-(len(self.mean) // 4 or 1) :]
        return np.asarray(np.sqrt(np.square(last).mean(0)))

    @property
    def gap(self) -> Array:
        """C(G) − V(D, G), averaged over training, [R]: how far the discriminator lags behind the optimum, in nats."""
        return np.asarray((self.optimum - self.value)[1:].mean(0))

    @property
    def arrival(self) -> list[float | None]:
        """The first recorded iteration with |θ| ≤ ½, for each run; None if there is none."""
        near = np.abs(self.mean) <= NEAR
        return [float(self.iteration[run.argmax()]) if run.any() else None for run in near.T]

    def errors_between(self, low: float, high: float) -> Array:
        """The logit's relative error at the moments when all runs have low ≤ θ ≤ high, [T', R]."""
        return np.asarray(self.error[((self.mean >= low) & (self.mean <= high)).all(1)])


def play(setting: Setting, seeds: Sequence[int]) -> Trace:
    """Algorithm 1 with one run per seed. Reproducible; a seed's run does not depend on the other seeds."""
    runs = len(seeds)
    generator = toys.Affine(runs, setting.mean, setting.std, setting.learns_std)
    discriminator = _discriminator(setting, seeds)
    data, noise = (toys.normals(seeds, stream, setting.minibatch) for stream in (_DATA, _NOISE))
    optimizers = [
        toys.sgd(net, rate, setting.momentum, runs)
        for net, rate in ((generator, setting.generator_lr), (discriminator, setting.discriminator_lr))
    ]
    decay = ExponentialLR(optimizers[1], setting.final_share ** (1 / setting.iterations))
    every, moments = max(1, setting.iterations // _RECORDS), [_look(0, generator, discriminator)]
    for step in train(
        generator, discriminator, data, noise, *optimizers, iterations=setting.iterations, k=setting.k,
        form=setting.form,
    ):  # fmt: skip
        decay.step()
        if step.iteration % every == 0:
            moments.append(_look(step.iteration, generator, discriminator))
    columns = (np.array(column) for column in zip(*moments, strict=True))
    return Trace._make([*columns, _held_out(generator, discriminator, seeds)])


def play_likelihood(setting: Setting, seeds: Sequence[int]) -> Array:
    """Maximum likelihood, which needs the model's density: gradient descent on −ln q(x). Returns every θ, [T, R]."""
    generator = toys.Affine(len(seeds), setting.mean, setting.std, learns_std=False)
    optimizer = toys.sgd(generator, setting.generator_lr, setting.momentum, len(seeds))
    data, path = toys.normals(seeds, _DATA, setting.minibatch), [generator.mean.detach().clone()]
    for _ in range(setting.iterations):
        optimizer.zero_grad()
        log_q = gaussian_log_prob(next(data).unsqueeze(-1), generator.mean.unsqueeze(-1), torch.zeros(1))
        (-log_q.mean()).backward()
        optimizer.step()
        path.append(generator.mean.detach().clone())
    return torch.stack(path).squeeze(-1).double().numpy()


def _discriminator(setting: Setting, seeds: Sequence[int]) -> nn.Module:
    if setting.degree is None:
        return toys.Perceptrons((1, 16, 1), toys.generators(seeds, _INITIAL))
    discriminator = toys.Polynomial(len(seeds), setting.degree)
    if setting.knows_start:  # logit of D*: θ (θ/2 − x), for σ = 1
        with torch.no_grad():
            discriminator.w[0], discriminator.w[1] = setting.mean**2 / 2, -setting.mean
    return discriminator


@torch.no_grad()
def _look(iteration: int, generator: toys.Affine, discriminator: nn.Module) -> tuple[object, ...]:
    log_p, log_q = toys.data_log_density(), toys.normal_log_density(generator.mean, generator.std)
    logit = discriminator(toys.GRID.float().expand(len(log_q), -1))
    numbers: list[Tensor] = [
        generator.mean.squeeze(-1), generator.std.squeeze(-1), toys.value_on_grid(logit, log_p, log_q),
        toys.optimum_on_grid(log_p, log_q), toys.logit_error(logit, log_p, log_q), logit[0],
    ]  # fmt: skip
    return (iteration, *(x.double().numpy().copy() for x in numbers))


@torch.no_grad()
def _held_out(generator: nn.Module, discriminator: nn.Module, seeds: Sequence[int]) -> Array:
    data, noise = (next(toys.normals(seeds, _HELD_OUT + i, _HELD_OUT_SAMPLES)) for i in range(2))
    logits = zip(discriminator(data), discriminator(generator(noise)), strict=True)
    return np.array([float(value(real, fake)) for real, fake in logits])
