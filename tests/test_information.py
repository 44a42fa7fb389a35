"""Entropy and KL against 50-digit arithmetic, and their gradients against the analytic ones."""

import math
from collections.abc import Callable

import mpmath as mp
import pytest
import torch
from torch import Tensor

from rl import information

INF = math.inf
BASE = [0.3, -1.2, 0.7, 2.0]
STEP = [1.0, -0.5, 0.25, -1.0]


def shifted(scale: float) -> list[float]:
    return [b + scale * s for b, s in zip(BASE, STEP, strict=True)]


PAIRS: dict[str, tuple[list[float], list[float]]] = {
    "kl 1e-14": (BASE, shifted(2e-7)),
    "kl 1e-10": (BASE, shifted(2e-5)),
    "kl 1e-6": (BASE, shifted(2e-3)),
    "kl 1e-2": (BASE, shifted(0.2)),
    "kl below ln 2": ([0.0, 0.0], [0.0, 2.63]),
    "kl above ln 2": ([0.0, 0.0], [0.0, 2.65]),
    "kl 20": ([0.0, -20.0, 3.0], [25.0, 0.0, 5.0]),
    "kl 1e4": ([1e4, 0.0], [0.0, 1e4]),
    "q lifts a rare action": ([0.0, -30.0, -1.0], [0.0, -3.0, -1.0]),
    "q lifts an underflowed action": ([0.0, -900.0], [0.0, -1.0]),
    "nearly deterministic": ([0.0, -16.0], [0.0, -15.0]),
    "masked in both, near": ([-INF, 0.1, 0.5], [-INF, 0.1, 0.501]),
    "masked in both, far": ([-INF, 0.0, 9.0], [-INF, 9.0, 0.0]),
    "masked in p": ([-INF, 0.0, 1.0], [-1.0, 0.0, 1.0]),
    "masked in p, rare in q": ([-INF, 0.0, 1.0], [-12.0, 0.0, 1.0]),
    "one legal action": ([-INF, 0.0, -INF], [-INF, 5.0, -INF]),
}
FORBIDDEN = {
    "q forbids one": ([0.0, 1.0, 2.0], [0.0, -INF, 2.0]),
    "disjoint": ([0.0, -INF], [-INF, 0.0]),
    "disjoint pairs": ([0.0, 1.0, -INF, -INF], [-INF, -INF, 0.0, 1.0]),
}
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])


@pytest.fixture(autouse=True)
def fifty_digits():
    with mp.workdps(50):
        yield


def exact_softmax(logits: Tensor) -> list[mp.mpf]:
    weight = [mp.exp(mp.mpf(x)) for x in logits.tolist()]
    return [w / mp.fsum(weight) for w in weight]


def exact_kl(p: list[mp.mpf], q: list[mp.mpf]) -> mp.mpf:
    return mp.fsum(x * mp.log(x / y) for x, y in zip(p, q, strict=True) if x > 0)


def largest_error(got: Tensor, exact: list[mp.mpf]) -> float:
    return float(max(abs(mp.mpf(x) - y) for x, y in zip(got.tolist(), exact, strict=True)))


@DTYPES
@pytest.mark.parametrize("logits", [BASE, [0.0, -40.0], [-INF, 3.0, 1.0], [1e4, 0.0, 1e4], [1003.0, 1000.5]])
def test_log_softmax(logits: list[float], dtype: torch.dtype) -> None:
    x = torch.tensor(logits, dtype=dtype)
    for got, p in zip(information.log_softmax(x).tolist(), exact_softmax(x), strict=True):
        assert got == -INF if p == 0 else got == pytest.approx(float(mp.log(p)), rel=4 * torch.finfo(dtype).eps)


@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        ([0.0, -INF, -INF], 0.0),
        ([0.0], 0.0),
        ([math.log(2), 0.0, 0.0], 1.5 * math.log(2)),
        ([7.0, 7.0, 7.0], math.log(3)),
        ([1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0], None),
        ([0.0, -40.0], None),
        ([1e4, 0.0], 0.0),
    ],
)
@pytest.mark.parametrize("offset", [0.0, 3.0, 1000.0])
@DTYPES
def test_entropy(logits: list[float], expected: float | None, offset: float, dtype: torch.dtype) -> None:
    x = torch.tensor(logits, dtype=dtype) + offset
    p = exact_softmax(x)
    exact = float(-mp.fsum(y * mp.log(y) for y in p if y > 0))
    got = float(information.entropy_from_logits(x))
    assert got == pytest.approx(exact, rel=4 * torch.finfo(dtype).eps)
    if expected is not None:
        assert got == pytest.approx(expected, rel=1e-4 if dtype == torch.float32 else 1e-12)


@pytest.mark.parametrize("offset", [0.0, 3.0, 1000.0])
@pytest.mark.parametrize("name", PAIRS)
@DTYPES
def test_kl(name: str, offset: float, dtype: torch.dtype) -> None:
    a, b = (torch.tensor(x, dtype=dtype) for x in PAIRS[name])
    b = b + offset
    exact = exact_kl(exact_softmax(a), exact_softmax(b))
    got = float(information.kl_from_logits(a, b))
    assert got >= 0
    if exact < 1e-40:
        assert got < 1e-40
        return
    subtraction = 2**-52 * offset / math.sqrt(exact)  # rounding of δ beside the offset, in float64
    tolerance = 1.2e-7 if dtype == torch.float32 else 1e-13 + 2 * subtraction
    assert abs(mp.mpf(got) - exact) <= tolerance * exact


@DTYPES
def test_kl_of_a_mixed_batch_equals_its_rows(dtype: torch.dtype) -> None:
    rows = [(p, q) for p, q in PAIRS.values() if len(p) == 3] + [FORBIDDEN["q forbids one"]]
    a, b = (torch.tensor(x, dtype=dtype) for x in zip(*rows, strict=True))
    single = torch.stack([information.kl_from_logits(x, y) for x, y in zip(a, b, strict=True)])
    torch.testing.assert_close(information.kl_from_logits(a, b), single, rtol=4 * torch.finfo(dtype).eps, atol=0)
    assert information.kl_from_logits(a.expand(2, -1, -1), b.expand(2, -1, -1)).shape == (2, len(rows))


@DTYPES
def test_kl_is_never_negative(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    a = 5 * torch.randn(10_000, 5, generator=generator, dtype=dtype)
    step = 10 ** (11 * torch.rand(10_000, 1, generator=generator, dtype=dtype) - 9)
    b = a + step * torch.randn(10_000, 5, generator=generator, dtype=dtype)
    for x, y in zip(a.split(1000), b.split(1000), strict=True):
        assert (information.kl_from_logits(x, y) >= 0).all()
        assert (information.kl_from_logits(x, x.clone()) == 0).all()
    assert all(information.kl_from_logits(x, y) >= 0 for x, y in zip(a[:200], b[:200], strict=True))


@DTYPES
@pytest.mark.parametrize("name", FORBIDDEN)
def test_kl_is_infinite_where_q_forbids_what_p_allows(name: str, dtype: torch.dtype) -> None:
    a, b = (torch.tensor(x, dtype=dtype, requires_grad=True) for x in FORBIDDEN[name])
    kl = information.kl_from_logits(a, b)
    assert kl == INF
    assert all(torch.isfinite(grad).all() for grad in torch.autograd.grad(kl, (a, b)))


@DTYPES
@pytest.mark.parametrize("name", PAIRS)
def test_kl_gradient(name: str, dtype: torch.dtype) -> None:
    a, b = (torch.tensor(x, dtype=dtype, requires_grad=True) for x in PAIRS[name])
    grad_a, grad_b = torch.autograd.grad(information.kl_from_logits(a, b), (a, b))
    p, q = exact_softmax(a.detach()), exact_softmax(b.detach())
    kl = exact_kl(p, q)
    exact_a = [x * (mp.log(x / y) - kl) if x > 0 else mp.mpf(0) for x, y in zip(p, q, strict=True)]
    exact_b = [y - x for x, y in zip(p, q, strict=True)]
    tolerance = 1e-6 if dtype == torch.float32 else 1e-9
    floor = 4 * torch.finfo(torch.float64).eps
    assert largest_error(grad_a, exact_a) <= tolerance * max(map(abs, exact_a)) + floor
    assert largest_error(grad_b, exact_b) <= tolerance * max(map(abs, exact_b)) + floor
    assert (grad_a[a == -INF] == 0).all()
    assert (grad_b[b == -INF] == 0).all()


@DTYPES
@pytest.mark.parametrize("function", [information.log_softmax, information.entropy_from_logits])
def test_gradient_at_masked_logits_is_zero(function: Callable[[Tensor], Tensor], dtype: torch.dtype) -> None:
    x = torch.tensor([[-INF, 0.0, 1.0], [-INF, -INF, 2.0]], dtype=dtype, requires_grad=True)
    out = function(x)
    (grad,) = torch.autograd.grad(out[torch.isfinite(out)].sum(), x)
    assert torch.isfinite(grad).all()
    assert (grad[x == -INF] == 0).all()


def test_gradcheck() -> None:
    p, q = zip(BASE[:3], shifted(1e-3)[:3], strict=True), zip([0.0, -6.0, 1.0], [0.0, -1.0, 1.0], strict=True)
    rows = [tuple(zip(*x, strict=True)) for x in (p, q)] + [PAIRS["kl 20"]]
    a, b = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in zip(*rows, strict=True))
    kl = information.kl_from_logits(a, b)
    assert kl[0] < 1e-5 < kl[1] < math.log(2) < kl[2], "one row through each of the three formulas"
    assert torch.autograd.gradcheck(information.kl_from_logits, (a, b))
    assert torch.autograd.gradcheck(information.kl_from_logits, (a[:1], b[:1]))
    assert torch.autograd.gradcheck(information.log_softmax, (a,))
    assert torch.autograd.gradcheck(information.entropy_from_logits, (a,))
    assert torch.autograd.gradcheck(information.gaussian_kl, (a[:2], b[:2] / 4, b[:2], a[:2] / 4))
    assert torch.autograd.gradcheck(information.gaussian_log_prob, (a[:2], b[:2], a[:2] / 4))


@DTYPES
@pytest.mark.parametrize(
    ("p", "q"),
    [
        ((0.3, -0.5), (0.3 + 1e-7, -0.5 - 1e-7)),
        ((0.3, -0.5), (0.4, -0.2)),
        ((1.0, 0.0), (-2.0, 3.0)),
        ((1.0, 2.0), (1.0, -2.0)),
        ((1e-9, -20.0), (2e-9, -20.5)),
        ((0.0, -40.0), (1e-17, -39.0)),
        ((5.0, -80.0), (5.0, -79.75)),
    ],
)
def test_gaussian_kl(p: tuple[float, float], q: tuple[float, float], dtype: torch.dtype) -> None:
    mean_p, log_p, mean_q, log_q = (torch.tensor([x, 0.0], dtype=dtype) for x in (*p, *q))
    m0, s0, m1, s1 = (mp.mpf(float(x[0])) for x in (mean_p, log_p, mean_q, log_q))
    ratio = 2 * (s0 - s1)
    exact = (mp.exp(ratio) - 1 - ratio + ((m0 - m1) * mp.exp(-s1)) ** 2) / 2
    got = float(information.gaussian_kl(mean_p, log_p, mean_q, log_q))
    assert got == pytest.approx(float(exact), rel=1e-5 if dtype == torch.float32 else 1e-13, abs=0)


@DTYPES
@pytest.mark.parametrize("log_std", [-100.0, -40.0, -1.0, 0.0, 2.0, 60.0])
def test_gaussian_kl_of_equals_is_exactly_zero(log_std: float, dtype: torch.dtype) -> None:
    mean, log = torch.tensor([0.1, -1e8], dtype=dtype), torch.full((2,), log_std, dtype=dtype)
    assert information.gaussian_kl(mean, log, mean.clone(), log.clone()) == 0.0


def test_gaussian_entropy_and_log_prob() -> None:
    log_std = torch.tensor([[0.0, 1.0], [-30.0, 2.0]], dtype=torch.float64)
    constant = 1 + math.log(2 * math.pi)
    assert information.gaussian_entropy(log_std).tolist() == pytest.approx([1 + constant, -28 + constant], rel=1e-14)
    x = torch.tensor([1.0, 3.0], dtype=torch.float64)
    mean, log = torch.tensor([0.0, 1.0], dtype=torch.float64), torch.tensor([0.0, math.log(2)], dtype=torch.float64)
    expected = -(0.5 + 0.5 + math.log(2) + math.log(2 * math.pi))
    assert float(information.gaussian_log_prob(x, mean, log)) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("row", [[0.0, math.nan], [math.nan, INF], [-INF, -INF], [0.0, INF], [-INF, math.nan]])
@DTYPES
def test_broken_logits_are_refused(row: list[float], dtype: torch.dtype) -> None:
    good = torch.zeros(3, 2, dtype=dtype)
    bad = good.clone()
    bad[1] = torch.tensor(row, dtype=dtype)
    for call in (
        lambda: information.log_softmax(bad),
        lambda: information.entropy_from_logits(bad),
        lambda: information.kl_from_logits(bad, good),
        lambda: information.kl_from_logits(good, bad),
    ):
        with pytest.raises(ValueError, match=r"\(3, 2\)"):
            call()


@pytest.mark.parametrize("shape", [(3,), (4, 2), (3, 1), (2, 3)])
def test_kl_refuses_unequal_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        information.kl_from_logits(torch.zeros(3, 2), torch.zeros(shape))
