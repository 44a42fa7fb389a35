"""Sampling frequencies, and densities against torch.distributions."""

import math

import pytest
import torch
from torch import Tensor
from torch import distributions as reference

from rl.distributions import Categorical, DiagonalGaussian

INF = math.inf
DRAWS = 40_000


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("logits", "bound"),  # the 99.99 % point of chi-square with one degree of freedom less than legal actions
    [
        ([0.0, 0.0], 15.1),
        ([0.0, 1.0, -INF, 2.0, -1.0], 21.1),
        ([-INF, 3.0, 3.5, 4.0, -INF], 18.4),
        ([1000.0, 1002.0, 1001.0], 18.4),
    ],
)
def test_categorical_frequencies(logits: list[float], bound: float, dtype: torch.dtype) -> None:
    x = torch.tensor(logits, dtype=dtype)
    action = Categorical(x.expand(DRAWS, -1)).sample(seeded())
    assert action.shape == (DRAWS,)
    assert action.dtype == torch.int64
    count, legal = action.bincount(minlength=len(logits)), x > -INF
    assert (count[~legal] == 0).all()
    expected = DRAWS * x.softmax(-1)
    assert ((count - expected).square() / expected)[legal].sum() < bound


@pytest.mark.parametrize("legal", [0, 2, 4])
def test_the_only_legal_action_is_always_drawn(legal: int) -> None:
    logits = torch.full((DRAWS, 5), -INF).index_fill(1, torch.tensor([legal]), 0.0)
    assert (Categorical(logits).sample(seeded()) == legal).all()


def test_samples_come_from_the_generator() -> None:
    for pi in (Categorical(torch.zeros(6, 50, 4)), DiagonalGaussian(torch.zeros(6, 50, 4), torch.zeros(6, 50, 4))):
        assert torch.equal(pi.sample(seeded(1)), pi.sample(seeded(1)))
        assert not torch.equal(pi.sample(seeded(1)), pi.sample(seeded(2)))


def test_categorical_matches_torch() -> None:
    a, b = torch.randn(2, 3, 4, 5, generator=seeded(), dtype=torch.float64)
    pi, other = Categorical(a), Categorical(b)
    expected, expected_other = reference.Categorical(logits=a), reference.Categorical(logits=b)
    action = pi.sample(seeded())
    torch.testing.assert_close(pi.log_prob(action), expected.log_prob(action))
    torch.testing.assert_close(pi.entropy(), expected.entropy())
    torch.testing.assert_close(pi.kl(other), reference.kl_divergence(expected, expected_other))
    assert torch.equal(pi.mode(), a.argmax(-1))


def test_illegal_action_has_probability_zero() -> None:
    pi = Categorical(torch.tensor([[-INF, 0.0, 0.0]]))
    assert pi.log_prob(torch.tensor([0])) == -INF
    assert pi.entropy().item() == pytest.approx(math.log(2))
    assert pi.mode().item() == 1
    assert pi.kl(Categorical(torch.tensor([[0.0, 0.0, -INF]]))) == INF


def test_gaussian_matches_torch() -> None:
    mean, log_std, other_mean, other_log_std = torch.randn(4, 3, 4, 2, generator=seeded(), dtype=torch.float64)
    pi, other = DiagonalGaussian(mean, log_std), DiagonalGaussian(other_mean, other_log_std)
    expected = reference.Independent(reference.Normal(mean, log_std.exp()), 1)
    expected_other = reference.Independent(reference.Normal(other_mean, other_log_std.exp()), 1)
    action = pi.sample(seeded())
    torch.testing.assert_close(pi.log_prob(action), expected.log_prob(action))
    torch.testing.assert_close(pi.entropy(), expected.entropy())
    torch.testing.assert_close(pi.kl(other), reference.kl_divergence(expected, expected_other))
    assert torch.equal(pi.mode(), mean)


def test_gaussian_samples() -> None:
    mean, log_std = torch.tensor([1.0, -50.0]), torch.tensor([0.5, -3.0], requires_grad=True)
    x = DiagonalGaussian(mean.expand(DRAWS, -1), log_std.expand(DRAWS, -1)).sample(seeded())
    assert not x.requires_grad
    z = (x - mean) / log_std.detach().exp()
    assert (z.mean(0).abs() < 4 / math.sqrt(DRAWS)).all()
    assert ((z.var(0) - 1).abs() < 4 * math.sqrt(2 / DRAWS)).all()


@pytest.mark.parametrize("action", [torch.zeros(3, 1), torch.zeros(1), torch.zeros(4), torch.zeros(())])
def test_categorical_refuses_actions_of_another_shape(action: Tensor) -> None:
    with pytest.raises(ValueError, match=r"expects \(3,\)"):
        Categorical(torch.zeros(3, 2)).log_prob(action.long())


@pytest.mark.parametrize("shape", [(3,), (3, 1), (2, 3), (1, 3, 2)])
def test_gaussian_refuses_actions_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expects \(3, 2\)"):
        DiagonalGaussian(torch.zeros(3, 2), torch.zeros(3, 2)).log_prob(torch.zeros(shape))


def test_categorical_kl_refuses_another_number_of_actions() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        Categorical(torch.zeros(3, 2)).kl(Categorical(torch.zeros(3, 4)))


def test_raw_round_trip() -> None:
    logits, mean, log_std = torch.randn(3, 7, 4, 2, generator=seeded())
    assert torch.equal(Categorical(logits).raw, logits)
    gaussian = DiagonalGaussian(mean, log_std)
    assert gaussian.raw.shape == (7, 4, 4)
    back = DiagonalGaussian(*gaussian.raw.chunk(2, -1))
    assert torch.equal(back.mean, mean)
    assert torch.equal(back.log_std, log_std)
    assert (gaussian.kl(back) == 0).all()
