"""DiagonalGaussian and TanhGaussian: moments, densities against torch.distributions and integrals, extreme values."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch import distributions as reference

from agents.maths.distributions import DiagonalGaussian, TanhGaussian

INF, NAN = math.inf, math.nan
DRAWS = 40_000
Gaussian = DiagonalGaussian | TanhGaussian
KINDS = pytest.mark.parametrize("kind", [DiagonalGaussian, TanhGaussian])
Kind = Callable[..., Gaussian]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def torch_gaussian(mean: Tensor, log_std: Tensor) -> reference.Distribution:
    return reference.Independent(reference.Normal(mean, log_std.exp()), 1)


def torch_tanh_gaussian(mean: Tensor, log_std: Tensor) -> reference.Distribution:
    base = reference.Normal(mean, log_std.exp())
    squashed = reference.TransformedDistribution(base, [reference.TanhTransform(cache_size=1)])
    return reference.Independent(squashed, 1)


def density(mean: float, log_std: float) -> tuple[Tensor, Tensor]:
    """a and ln p(a), float64[20,001], dense near ±1."""
    a = torch.linspace(-17, 17, 20_001, dtype=torch.float64).tanh()
    parameters = (torch.full((len(a), 1), x, dtype=torch.float64) for x in (mean, log_std))
    return a, TanhGaussian(*parameters).log_prob(a.unsqueeze(-1))


# --- sampling ---


def test_moments() -> None:
    mean, log_std = torch.tensor([1.0, -50.0]), torch.tensor([0.5, -3.0], requires_grad=True)
    x = DiagonalGaussian(mean.expand(DRAWS, -1), log_std.expand(DRAWS, -1)).sample(seeded())
    assert not x.requires_grad
    z = (x - mean) / log_std.detach().exp()
    assert (z.mean(0).abs() < 4 / math.sqrt(DRAWS)).all()
    assert ((z.var(0) - 1).abs() < 4 * math.sqrt(2 / DRAWS)).all()
    assert z.T.corrcoef()[0, 1].abs() < 4 / math.sqrt(DRAWS)


def test_squashed_quantiles() -> None:
    """P(a ≤ tanh(μ + zσ)) = Φ(z), for any effect of squashing on mean and variance."""
    mean, log_std = torch.tensor([[0.8, -2.0]]), torch.tensor([[0.5, -1.0]], requires_grad=True)
    a = TanhGaussian(mean.expand(DRAWS, -1), log_std.expand(DRAWS, -1)).sample(seeded())
    assert not a.requires_grad
    assert (a.abs() <= 1).all()
    for z in (-2.0, -0.5, 0.0, 1.0):
        share = (a <= (mean + z * log_std.detach().exp()).tanh()).double().mean(0)
        expected = 0.5 * (1 + math.erf(z / math.sqrt(2)))
        assert ((share - expected).abs() < 4 * math.sqrt(expected * (1 - expected) / DRAWS)).all()


@KINDS
def test_samples_come_from_the_generator_alone(kind: Kind) -> None:
    pi, state = kind(normal(6, 50, 4), normal(6, 50, 4, seed=1)), torch.get_rng_state()
    assert torch.equal(pi.sample(seeded(1)), pi.sample(seeded(1)))
    assert not torch.equal(pi.sample(seeded(1)), pi.sample(seeded(2)))
    assert torch.equal(state, torch.get_rng_state())


# --- numbers ---


def test_gaussian_matches_torch() -> None:
    mean, log_std, other_mean, other_log_std = normal(4, 3, 4, 2)
    pi, other = DiagonalGaussian(mean, log_std), DiagonalGaussian(other_mean, other_log_std)
    expected, expected_other = torch_gaussian(mean, log_std), torch_gaussian(other_mean, other_log_std)
    action = pi.sample(seeded())
    torch.testing.assert_close(pi.log_prob(action), expected.log_prob(action))
    torch.testing.assert_close(pi.entropy(), expected.entropy())
    torch.testing.assert_close(pi.kl(other), reference.kl_divergence(expected, expected_other))
    assert torch.equal(pi.mode(), mean)


def test_tanh_gaussian_matches_torch() -> None:
    mean, log_std, other_mean, other_log_std = normal(4, 3, 4, 2)
    pi, other = TanhGaussian(mean, log_std), TanhGaussian(other_mean, other_log_std)
    action = pi.sample(seeded())
    torch.testing.assert_close(pi.log_prob(action), torch_tanh_gaussian(mean, log_std).log_prob(action))
    inner = (torch_gaussian(mean, log_std), torch_gaussian(other_mean, other_log_std))
    torch.testing.assert_close(pi.kl(other), reference.kl_divergence(*inner))  # a bijection preserves KL
    assert torch.equal(pi.mode(), mean.tanh())


def test_kl_of_squashed_gaussians_is_that_of_the_actions() -> None:
    a, log_p = density(0.4, -0.5)
    _, log_q = density(-0.3, 0.2)
    expected = torch.trapezoid(log_p.exp() * (log_p - log_q), a)
    pi, other = (TanhGaussian(torch.tensor([m]), torch.tensor([s])) for m, s in ((0.4, -0.5), (-0.3, 0.2)))
    assert float(pi.kl(other)) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("mean", [0.0, 0.7, -2.0])
@pytest.mark.parametrize("log_std", [-3.0, -0.5, 0.0, 0.1, 0.8])
def test_tanh_gaussian_integrates(mean: float, log_std: float) -> None:
    """∫ p = 1 and H = −∫ p ln p over (−1, 1), both by the trapezoidal rule."""
    a, log_p = density(mean, log_std)
    p = log_p.exp()
    assert float(torch.trapezoid(p, a)) == pytest.approx(1, abs=1e-5)
    pi = TanhGaussian(torch.tensor([mean]).double(), torch.tensor([log_std]).double())
    assert float(pi.entropy()) == pytest.approx(float(-torch.trapezoid(p * log_p, a)), abs=1e-4)
    assert float(pi.entropy()) <= math.log(2)


def test_tanh_gaussian_entropy_matches_monte_carlo() -> None:
    mean, log_std = normal(2, 5, 3)
    pi = TanhGaussian(mean, log_std)
    wide = TanhGaussian(mean.expand(DRAWS, -1, -1), log_std.expand(DRAWS, -1, -1))
    surprise = -wide.log_prob(wide.sample(seeded()))
    assert ((surprise.mean(0) - pi.entropy()).abs() < 4 * surprise.std(0) / math.sqrt(DRAWS)).all()


@KINDS
def test_gradients(kind: Kind) -> None:
    """Gradients of every loss against finite differences; includes σ = 1, where the entropy's quadrature changes."""
    mean, log_std, other_mean, other_log_std = normal(4, 4, 2).unbind(0)
    parameters = [x.clone().requires_grad_() for x in (mean, log_std.index_fill(0, torch.tensor(0), 0.0))]
    action, other = kind(*parameters).sample(seeded()), kind(other_mean, other_log_std)
    for loss in (
        lambda m, s: kind(m, s).log_prob(action),
        lambda m, s: kind(m, s).entropy(),
        lambda m, s: kind(m, s).kl(other),
        lambda m, s: other.kl(kind(m, s)),
    ):
        assert torch.autograd.gradcheck(loss, parameters, atol=1e-6)


# --- extremes ---


@KINDS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("log_std", [-60.0, -20.0, 0.0, 20.0, 60.0])
def test_extreme_parameters(kind: Kind, log_std: float, dtype: torch.dtype) -> None:
    """Value and gradient are never NaN, and infinite only if out of the dtype's range."""
    mean = torch.tensor([[-1e4, -20.0, 0.0, 0.5, 1e4]], dtype=dtype, requires_grad=True)
    scale = torch.full_like(mean, log_std).detach().requires_grad_()
    pi, unit = kind(mean, scale), kind(torch.zeros(1, 5, dtype=dtype), torch.zeros(1, 5, dtype=dtype))
    edge = torch.tensor([[-1.0, 1.0, -1.0, 0.0, 1.0]], dtype=dtype)
    sample = pi.sample(seeded())
    for value in (pi.log_prob(edge), pi.log_prob(sample), pi.entropy(), pi.kl(unit), unit.kl(pi)):
        assert not value.isnan().any()
        for grad in torch.autograd.grad(value.sum(), (mean, scale), allow_unused=True):
            assert grad is None or not grad.isnan().any()
    assert pi.entropy().isfinite().all()
    assert sample.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_actions_at_the_edge(dtype: torch.dtype) -> None:
    """±1 has the density of the nearest number inside, with finite gradients; larger actions are refused."""
    mean = torch.tensor([[0.5, -1.0]], dtype=dtype, requires_grad=True)
    pi = TanhGaussian(mean, torch.zeros(1, 2, dtype=dtype))
    edge = torch.tensor([[1.0, -1.0]], dtype=dtype)
    below = edge.nextafter(torch.zeros(1, 2, dtype=dtype))
    assert torch.equal(pi.log_prob(edge), pi.log_prob(below))
    (grad,) = torch.autograd.grad(pi.log_prob(edge).sum(), mean)
    assert grad.isfinite().all()
    for outside in (1 + 1e-6, -1.5, INF, NAN):
        with pytest.raises(ValueError, match=r"outside \[−1, 1\]"):
            pi.log_prob(torch.tensor([[0.0, outside]], dtype=dtype))


def test_the_density_of_a_very_narrow_gaussian_at_its_mode() -> None:
    pi = DiagonalGaussian(torch.zeros(1), torch.full((1,), -100.0))
    assert float(pi.log_prob(pi.mode())) == pytest.approx(100 - 0.5 * math.log(2 * math.pi))


# --- the interface ---


@KINDS
def test_raw_round_trip(kind: Kind) -> None:
    mean, log_std = normal(2, 7, 4, 2)
    pi = kind(mean, log_std)
    assert pi.raw.shape == (7, 4, 4)
    back = kind(*pi.raw.chunk(2, -1))
    assert torch.equal(back.mean, mean)
    assert torch.equal(back.log_std, log_std)
    assert (pi.kl(back) == 0).all()


@KINDS
@pytest.mark.parametrize("shape", [(3,), (3, 1), (2, 3), (1, 3, 2)])
def test_actions_of_another_shape_are_refused(kind: Kind, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expects \(3, 2\)"):
        kind(torch.zeros(3, 2), torch.zeros(3, 2)).log_prob(torch.zeros(shape))


@KINDS
def test_kl_refuses_another_number_of_actions(kind: Kind) -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        kind(torch.zeros(3, 2), torch.zeros(3, 2)).kl(kind(torch.zeros(3, 1), torch.zeros(3, 1)))


@KINDS
def test_js_says_what_to_use_instead(kind: Kind) -> None:
    pi = kind(torch.zeros(3, 2), torch.zeros(3, 2))
    with pytest.raises(NotImplementedError, match=r"Gaussians has no closed form; use kl"):
        pi.js(pi)


@KINDS
@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_invalid_parameters(kind: Kind, bad: float) -> None:
    good = torch.zeros(3, 2)
    broken = good.index_put((torch.tensor(1), torch.tensor(0)), torch.tensor(bad))
    for name, parameters in (("mean", (broken, good)), ("log_std", (good, broken))):
        with pytest.raises(ValueError, match=rf"{name}\[1, 0\], of shape \(3, 2\), is {bad:g}"):
            kind(*parameters)
        kind(*parameters, validate=False)
    with pytest.raises(ValueError, match=r"mean \(3, 2\) and log_std \(2,\) differ in shape"):
        kind(good, torch.zeros(2))
    assert kind(good, torch.zeros(2), validate=False).sample(seeded()).shape == (3, 2)
