"""Categorical, MultiCategorical and Bernoulli: frequencies, densities and divergences."""

import math
from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor
from torch import distributions as reference

from agents.maths.distributions import Bernoulli, Categorical, MultiCategorical

INF, NAN = math.inf, math.nan
DRAWS = 40_000
SIZES = (2, 4, 3)
Discrete = Categorical | MultiCategorical | Bernoulli


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def multi(logits: Tensor) -> MultiCategorical:
    return MultiCategorical(logits, SIZES)


KINDS = pytest.mark.parametrize("kind", [Categorical, multi, Bernoulli])  # each from 9 logits
Kind = Callable[[Tensor], Discrete]
LOSSES: tuple[Callable[[Discrete, Discrete], Tensor], ...] = (
    lambda pi, _: pi.log_prob(pi.sample(seeded())),
    lambda pi, _: pi.entropy(),
    lambda pi, other: pi.kl(other),
    lambda pi, other: other.kl(pi),
    lambda pi, other: pi.js(other),
)


def outcomes(pi: Discrete) -> Tensor:
    """All possible actions, int64[outcomes] or int64[outcomes, K]."""
    if isinstance(pi, Categorical):
        return torch.arange(pi.logits.shape[-1])
    sizes = pi.sizes if isinstance(pi, MultiCategorical) else (2,) * pi.logits.shape[-1]
    return torch.tensor(list(product(*map(range, sizes))))


def joint(kind: Kind, logits: Tensor) -> Tensor:
    """Log-probabilities of all actions, float[outcomes], for one row of logits."""
    actions = outcomes(kind(logits))
    return kind(logits.expand(len(actions), -1)).log_prob(actions)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("kind", "logits"),
    [
        (Categorical, [0.0, 1.0, -INF, 2.0, -1.0]),
        (Categorical, [-INF, 3.0, 3.5, 4.0, -INF]),
        (Categorical, [1000.0, 1002.0, 1001.0]),
        (multi, [0.0, -1.0, 2.0, -INF, 1.0, 1.5, -INF, 0.5, 0.0]),
        (Bernoulli, [0.5, -1.0, 2.0]),
    ],
)
def test_frequencies(kind: Kind, logits: list[float], dtype: torch.dtype) -> None:
    """Every joint outcome within 4.5 standard deviations: factors are correct and independent."""
    x = torch.tensor(logits, dtype=dtype)
    action, every = kind(x.expand(DRAWS, -1)).sample(seeded()), outcomes(kind(x))
    assert (action.dtype, action.shape) == (torch.int64, (DRAWS, *every.shape[1:]))
    same = action.unsqueeze(1) == every
    count, p = (same.all(-1) if same.ndim == 3 else same).sum(0), joint(kind, x).exp()
    assert ((count - DRAWS * p).abs() <= 4.5 * (DRAWS * p * (1 - p)).sqrt()).all()  # none where p = 0


@KINDS
def test_samples_come_from_the_generator_alone(kind: Kind) -> None:
    pi, state = kind(normal(6, 50, 9)), torch.get_rng_state()
    assert torch.equal(pi.sample(seeded(1)), pi.sample(seeded(1)))
    assert not torch.equal(pi.sample(seeded(1)), pi.sample(seeded(2)))
    assert torch.equal(state, torch.get_rng_state())


def test_illegal_actions_are_never_drawn() -> None:
    logits, legal = 5 * normal(1000, 6).float(), torch.rand(1000, 6, generator=seeded()) < 0.5
    legal[:, 3] = True
    pi = Categorical.masked(logits, legal)
    wide = Categorical.masked(logits.expand(100, -1, -1), legal)
    assert legal.expand(100, -1, -1).gather(-1, wide.sample(seeded()).unsqueeze(-1)).all()  # 1e5 draws
    assert torch.equal(pi.log_p.exp() > 0, legal)
    torch.testing.assert_close(pi.log_p.exp().sum(-1), torch.ones(1000))
    assert legal.gather(-1, pi.mode().unsqueeze(-1)).all()


@pytest.mark.parametrize("u", [0.0, 1 - 2**-24])  # smallest and largest value of torch.rand
def test_illegal_actions_are_not_drawn_by_rounding(u: float, monkeypatch: pytest.MonkeyPatch) -> None:
    legal = torch.ones(1000, dtype=torch.bool).index_fill(0, torch.tensor([0, 999]), False)
    pi = Categorical.masked(normal(500, 1000).float(), legal)
    monkeypatch.setattr(torch, "rand", lambda shape, **_: torch.full(shape, u))
    assert legal[pi.sample(seeded())].all()


@pytest.mark.parametrize("loss", LOSSES)
def test_illegal_actions_have_no_gradient(loss: Callable[[Discrete, Discrete], Tensor]) -> None:
    x, y = normal(50, 5).float().requires_grad_(), normal(50, 5, seed=1).float().requires_grad_()
    legal = torch.tensor([True, False, True, True, False])
    value = loss(Categorical.masked(x, legal), Categorical.masked(y, legal))
    assert value.isfinite().all()
    value.sum().backward()
    for grad in (x.grad, y.grad):
        if grad is not None:
            assert (grad[:, ~legal] == 0).all()
            assert grad.isfinite().all()
            assert (grad[:, legal] != 0).any(0).all()


def test_illegal_action_has_probability_zero() -> None:
    pi = Categorical(torch.tensor([[-INF, 0.0, 0.0]]))
    assert pi.log_prob(torch.tensor([0])) == -INF
    assert pi.entropy().item() == pytest.approx(math.log(2))
    assert pi.mode().item() == 1
    assert pi.kl(Categorical(torch.tensor([[0.0, 0.0, -INF]]))) == INF


def test_a_certain_bit() -> None:
    pi = Bernoulli(torch.tensor([[INF, -INF, 0.0]]).expand(1000, -1))
    assert (pi.sample(seeded())[:, :2] == torch.tensor([1, 0])).all()
    torch.testing.assert_close(pi.entropy(), torch.full((1000,), math.log(2)))
    assert (pi.log_prob(torch.zeros(1000, 3)) == -INF).all()


def reference_of(kind: Kind, logits: Tensor) -> list[reference.Distribution]:
    """The independent factors, in torch."""
    if kind is Bernoulli:
        return [reference.Independent(reference.Bernoulli(logits=logits), 1)]
    return [reference.Categorical(logits=x) for x in (logits.split(SIZES, -1) if kind is multi else [logits])]


@KINDS
def test_matches_torch(kind: Kind) -> None:
    a, b = normal(2, 3, 4, 9)
    pi, other = kind(a), kind(b)
    expected, expected_other = reference_of(kind, a), reference_of(kind, b)
    action = pi.sample(seeded())
    columns = action.unbind(-1) if kind is multi else [action.double() if kind is Bernoulli else action]
    log_p = [p.log_prob(x) for p, x in zip(expected, columns, strict=True)]
    kls = [reference.kl_divergence(p, q) for p, q in zip(expected, expected_other, strict=True)]
    torch.testing.assert_close(pi.log_prob(action), torch.stack(log_p).sum(0))
    torch.testing.assert_close(pi.entropy(), torch.stack([p.entropy() for p in expected]).sum(0))
    torch.testing.assert_close(pi.kl(other), torch.stack(kls).sum(0))


@KINDS
def test_against_enumeration(kind: Kind) -> None:
    """Σ p = 1, H, KL and JS by enumeration of all outcomes."""
    for a, b in 2 * normal(5, 2, 9):
        log_p, log_q = joint(kind, a), joint(kind, b)
        p, q, log_m = log_p.exp(), log_q.exp(), torch.logaddexp(log_p, log_q) - math.log(2)
        pi, other = kind(a), kind(b)
        torch.testing.assert_close(p.sum(), torch.ones(()).double())
        torch.testing.assert_close(pi.entropy(), -(p * log_p).sum())
        torch.testing.assert_close(pi.kl(other), (p * (log_p - log_q)).sum())
        torch.testing.assert_close(pi.js(other), ((p * (log_p - log_m)).sum() + (q * (log_q - log_m)).sum()) / 2)
        assert pi.js(pi) == 0
        torch.testing.assert_close(pi.log_prob(pi.mode()), log_p.max())


@KINDS
def test_extreme_logits(kind: Kind) -> None:
    a, b = (x.clone().requires_grad_() for x in 1e4 * torch.randint(-1, 2, (2, 50, 9), generator=seeded()).float())
    for loss in (*LOSSES, lambda pi, other: pi.log_prob(other.mode())):
        value = loss(kind(a), kind(b))
        assert value.isfinite().all()
        for grad in torch.autograd.grad(value.sum(), (a, b), allow_unused=True):
            assert grad is None or grad.isfinite().all()


@pytest.mark.parametrize("offset", [1.0, 10.0, 100.0])
def test_js_of_a_product_is_as_accurate_as_that_of_one_factor(offset: float) -> None:
    """For neighbors, as after an update: to 1e-6, like Categorical and the KL divergence of products."""
    a = (normal(1000, 6) + offset).float()
    b = a + 1e-3 * normal(1000, 6, seed=1).float()
    single = MultiCategorical(a, (2, 4)).js(MultiCategorical(b, (2, 4)))
    double = MultiCategorical(a.double(), (2, 4)).js(MultiCategorical(b.double(), (2, 4)))
    torch.testing.assert_close(single.double(), double, rtol=1e-6, atol=0.0)


@KINDS
def test_raw_round_trip(kind: Kind) -> None:
    pi = kind(normal(7, 4, 9))
    assert pi.raw.shape == (7, 4, 9)
    assert (pi.kl(kind(pi.raw)) == 0).all()
    assert torch.equal(pi.sample(seeded()), kind(pi.raw).sample(seeded()))


@KINDS
def test_relative_score_is_that_of_autograd(kind: Kind) -> None:
    """‖∇_z ln p(a)‖² over its mean under p, for every action."""
    logits = normal(9)
    every, p = outcomes(kind(logits)), joint(kind, logits).exp()
    squares = []
    for action in every:
        z = logits.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(kind(z).log_prob(action), z)
        squares.append(gradient.square().sum())
    own = torch.stack(squares)
    found = kind(logits.expand(len(every), -1)).relative_score(every)
    torch.testing.assert_close(found, own / (p * own).sum())


def test_relative_score_where_an_action_is_nearly_certain() -> None:
    """It falls like 1 − p_a, where ln p_a cannot rise further, and is 0 where nothing can change."""
    logits = torch.tensor([[30.0, 0.0], [300.0, 0.0], [0.0, -INF]])
    found = Categorical(logits).relative_score(torch.zeros(3, dtype=torch.int64))
    torch.testing.assert_close(found, torch.tensor([math.exp(-30.0), 0.0, 0.0]))
