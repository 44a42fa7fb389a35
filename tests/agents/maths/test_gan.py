"""Generative adversarial nets: the objective against independent numbers, and Algorithm 1 against plain torch."""

import math
from collections.abc import Iterator
from itertools import count, cycle

import mpmath as mp
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from agents.maths import gan
from rl.experiments.gan import toys

INF, NAN = math.inf, math.nan
FORMS = pytest.mark.parametrize("form", ["saturating", "non-saturating"])


def row(*x: float) -> Tensor:
    return torch.tensor(x, dtype=torch.float64)


def policies(rows: int, actions: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, rows, actions, generator=generator, dtype=torch.float64).mul(3).unbind()


def jsd(theta: float, sigma: float) -> float:
    """JSD(N(0, 1) ‖ N(θ, σ²)) to 30 digits."""
    with mp.workdps(30):

        def terms(x: mp.mpf) -> mp.mpf:
            p, q = mp.npdf(x), mp.npdf(x, theta, sigma)
            return (p * mp.log(2 * p / (p + q)) + q * mp.log(2 * q / (p + q))) / 2

        return float(mp.quad(terms, [-12, -4, 0, theta / 2, theta, theta + 4, theta + 12]))


# --- the objective ---


def test_value_is_the_binary_cross_entropy() -> None:
    real, fake = torch.randn(2, 3, 5).double()
    expected = -functional.binary_cross_entropy_with_logits(real, torch.ones_like(real))
    expected -= functional.binary_cross_entropy_with_logits(fake[0, :4], torch.zeros(4).double())
    torch.testing.assert_close(gan.value(real, fake[0, :4]), expected, rtol=1e-14, atol=0)
    assert gan.discriminator_loss(real, fake) == -gan.value(real, fake)
    assert gan.value(torch.zeros(7), torch.zeros(2, 3)) == pytest.approx(-gan.LOG_4, abs=1e-7)


def test_losses_at_extremes() -> None:
    """log D and log(1 − D) are −x or 0 at extreme logits, and gradients stay finite."""
    x = row(1000, -1000, 40, -40, INF, -INF).requires_grad_()
    saturating, non_saturating = (
        gan.generator_loss(x, form, reduction="none") for form in ("saturating", "non-saturating")
    )
    tiny = math.exp(-40)
    torch.testing.assert_close(saturating, row(-1000, 0, -40 - tiny, -tiny, -INF, 0), rtol=1e-15, atol=0)
    torch.testing.assert_close(non_saturating, row(0, 1000, tiny, 40 + tiny, 0, INF), rtol=1e-15, atol=0)
    for loss, slope in ((saturating, row(-1, 0, -1, -tiny, -1, 0)), (non_saturating, row(0, -1, -tiny, -1, 0, -1))):
        (gradient,) = torch.autograd.grad(loss.sum(), x)
        torch.testing.assert_close(gradient, slope, rtol=1e-14, atol=0)
    assert gan.value(row(1000.0), row(-1000.0)) == 0


@pytest.mark.parametrize(("theta", "sigma"), [(0.5, 1), (1, 1), (2, 1), (4, 1), (0, 0.4), (1, 1.5)])
def test_at_its_optimum_the_value_of_gaussians_is_the_closed_form(theta: float, sigma: float) -> None:
    log_p, log_q = toys.data_log_density(), toys.normal_log_density(torch.tensor([[theta]]), torch.tensor([[sigma]]))
    logit = gan.optimal_logit(log_p, log_q)
    if sigma == 1:
        torch.testing.assert_close(logit, theta * (theta / 2 - toys.GRID)[None], rtol=1e-12, atol=1e-12)
    sigma = float(torch.tensor(sigma))  # as float32 holds it
    expected = -gan.LOG_4 + 2 * jsd(theta, sigma)
    assert float(toys.value_on_grid(logit, log_p, log_q)) == pytest.approx(expected, abs=1e-10)
    assert float(toys.optimum_on_grid(log_p, log_q)) == pytest.approx(expected, abs=1e-10)


def test_at_its_optimum_the_value_of_categoricals_is_the_closed_form() -> None:
    p_logits, q_logits = policies(200, 6)
    p_logits[0], q_logits[0, :3], p_logits[1, 3:], q_logits[2, 0], p_logits[2, 0] = q_logits[0], -INF, -INF, -INF, -INF
    p, q = p_logits.softmax(-1), q_logits.softmax(-1)
    best = gan.optimal_logit(p.log(), q.log())
    at_optimum = gan.expected_value(best, p, q)
    torch.testing.assert_close(at_optimum, gan.optimal_value(p, q), rtol=0, atol=1e-12)
    torch.testing.assert_close(at_optimum, gan.optimal_value_from_logits(p_logits, q_logits), rtol=0, atol=1e-12)
    torch.testing.assert_close(at_optimum, 2 * gan.jsd_estimate(at_optimum) - gan.LOG_4, rtol=0, atol=1e-15)
    equal, apart = row(0.2, 0.8), (row(1, 0), row(0, 1))
    assert float(gan.optimal_value(equal, equal)) == -gan.LOG_4
    assert float(gan.optimal_value(*apart)) == pytest.approx(0, abs=1e-15)


def test_no_other_discriminator_is_better() -> None:
    """Proposition 1: V is concave in the logit's probabilities and stationary at D*; ½ (V + log 4) bounds the JSD."""
    p, q = (x.softmax(-1) for x in policies(50, 6))
    best = gan.optimal_logit(p.log(), q.log()).requires_grad_()
    value = gan.expected_value(best, p, q)
    (gradient,) = torch.autograd.grad(value.sum(), best)
    assert float(gradient.abs().max()) < 1e-15
    for step in (-2.0, -0.01, 0.01, 2.0):
        other = gan.expected_value(best + step * torch.linspace(-1, 1, 6), p, q)
        assert (other < value).all()
        assert (gan.jsd_estimate(other) < 0.5 * (gan.optimal_value(p, q) + gan.LOG_4)).all()


def test_optimal_logit_where_mass_is_missing() -> None:
    log_p, log_q = row(-1, -INF, -1, -INF).requires_grad_(), row(-3, -1, -INF, -INF).requires_grad_()
    logit = gan.optimal_logit(log_p, log_q)
    assert logit.tolist() == [2, -INF, INF, 0]
    gradients = torch.autograd.grad(logit[[0, 3]].sum(), (log_p, log_q))
    assert [x.tolist() for x in gradients] == [[1, 0, 0, 0], [-1, 0, 0, 0]]


@pytest.mark.parametrize("theta", [0.5, 4.0, 8.0])
def test_slopes_of_the_generator_at_the_optimal_discriminator(theta: float) -> None:
    """θ E_g[D*] against θ E_g[1 − D*]: far from the data, the first vanishes, the second does not."""
    d = mp.quad(
        lambda x: mp.npdf(x, theta) / (1 + mp.exp(theta * (x - theta / 2))), [-9, 0, theta / 2, theta, theta + 9]
    )
    saturating, other = (float(toys.slope_at_optimum(row(theta), form)) for form in ("saturating", "non-saturating"))
    assert saturating == pytest.approx(theta * float(d), rel=1e-10)
    assert other == pytest.approx(theta * float(1 - d), rel=1e-10)


@pytest.mark.parametrize(
    ("match", "function", "arguments"),
    [
        (r"^real_logit\[1\].* is nan", gan.value, (row(0, NAN), row(0))),
        (r"^fake_logit\[0\].* is nan", gan.discriminator_loss, (row(0), row(NAN))),
        (r"^fake_logit of shape \(0,\) holds no sample", gan.value, (row(0), row())),
        (r"^fake_logit\[0\].* is nan", gan.generator_loss, (row(NAN),)),
        (r"^form must .*'minimax'", gan.generator_loss, (row(0), "minimax")),
        (r"^reduction must", lambda x: gan.generator_loss(x, reduction="all"), (row(0),)),
        (r"^log_p_model\[0\].* is nan", gan.optimal_logit, (row(0), row(NAN))),
        (r"^log_p_data holds \+inf", gan.optimal_logit, (row(INF), row(0))),
        (r"differ in shape", gan.optimal_logit, (row(0, 0), row(0, 0, 0))),
        (r"^q holds -0\.5", gan.expected_value, (row(0, 0), row(0.5, 0.5), row(1.5, -0.5))),
        (r"differ in shape", gan.expected_value, (row(0), row(0.5, 0.5), row(0.5, 0.5))),
        (r"^p.*sums to 1\.5", gan.optimal_value, (row(0.5, 1), row(0.5, 0.5))),
    ],
)  # fmt: skip
def test_mistakes(match: str, function: object, arguments: tuple[object]) -> None:
    with pytest.raises(ValueError, match=match):
        function(*arguments)


# --- Algorithm 1 ---


class Shift(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(4.0, dtype=torch.float64))

    def forward(self, z: Tensor) -> Tensor:
        return z + self.theta


def game(momentum: float = 0.9) -> tuple[nn.Module, nn.Module, torch.optim.SGD, torch.optim.SGD]:
    """Ordinary modules: samples float[m, 1], logits float[m, 1]."""
    torch.manual_seed(0)
    discriminator = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    generator = Shift()
    optimizers = (torch.optim.SGD(net.parameters(), lr=0.1, momentum=momentum) for net in (generator, discriminator))
    return generator, discriminator, *optimizers


def minibatches(seed: int, drawn: Iterator[int] | None = None) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    while True:
        next(drawn or count())
        yield torch.randn(5, 1, generator=generator, dtype=torch.float64)


@FORMS
def test_the_steps_are_those_of_the_paper(form: gan.Form) -> None:
    """Three iterations of two discriminator steps, compared with plain torch with momentum written out."""
    generator, discriminator, *optimizers = game()
    steps = list(
        gan.train(generator, discriminator, minibatches(1), minibatches(2), *optimizers, iterations=3, k=2, form=form)
    )
    other_g, other_d, *_ = game()
    data, noise = minibatches(1), minibatches(2)
    velocity = {x: torch.zeros_like(x) for net in (other_g, other_d) for x in net.parameters()}

    def descend(net: nn.Module, loss: Tensor) -> None:
        for x, gradient in zip(net.parameters(), torch.autograd.grad(loss, list(net.parameters())), strict=True):
            velocity[x] = 0.9 * velocity[x] + gradient
            x.data -= 0.1 * velocity[x]

    for step in steps:
        for _ in range(2):
            fake = torch.sigmoid(other_d(other_g(next(noise)).detach()))
            value = torch.sigmoid(other_d(next(data))).log().mean() + (1 - fake).log().mean()
            descend(other_d, -value)
        d = torch.sigmoid(other_d(other_g(next(noise))))
        loss = (1 - d).log().mean() if form == "saturating" else -d.log().mean()
        descend(other_g, loss)
        torch.testing.assert_close(
            (step.value, step.generator_loss), (value.detach(), loss.detach()), rtol=1e-12, atol=0
        )
    for x, y in zip((*generator.parameters(), *discriminator.parameters()), velocity, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-12, atol=1e-14)


def test_each_step_draws_its_own_minibatches() -> None:
    drawn = count(), count()
    streams = [minibatches(i, drawn[i]) for i in range(2)]
    generator, discriminator, *optimizers = game()
    assert [
        step.iteration for step in gan.train(generator, discriminator, *streams, *optimizers, iterations=4, k=3)
    ] == [1, 2, 3, 4]
    assert [next(x) for x in drawn] == [4 * 3, 4 * (3 + 1)]


@pytest.mark.parametrize(
    ("match", "keywords", "data"),
    [
        ("^iterations must be at least 1, got 0", {"iterations": 0}, cycle([torch.zeros(2, 1).double()])),
        ("^k must be at least 1, got 0", {"iterations": 1, "k": 0}, cycle([torch.zeros(2, 1).double()])),
        ("^data ran out of minibatches", {"iterations": 3}, iter([torch.zeros(2, 1).double()])),
        (r"^real_logit\[0, 0\].* is nan", {"iterations": 1}, cycle([torch.full((2, 1), NAN).double()])),
    ],
)  # fmt: skip
def test_mistakes_in_training(match: str, keywords: dict[str, int], data: Iterator[Tensor]) -> None:
    generator, discriminator, *optimizers = game()
    with pytest.raises(ValueError, match=match):
        list(gan.train(generator, discriminator, data, minibatches(2), *optimizers, **keywords))
