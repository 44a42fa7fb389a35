"""Laws of information theory that hold for every policy, on policies found by Hypothesis."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from agents.maths import information

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
PAIR_FUNCTIONS = pytest.mark.parametrize(
    "function",
    [information.kl_from_logits, information.js_from_logits, information.cross_entropy_from_logits],
    ids=lambda f: f.__name__,
)
law = settings(derandomize=True, deadline=None, max_examples=100, database=None)
LN2 = math.log(2)
SQUARED_ROUNDING = 1e-24  # the mean of δ beside an offset of 1000 is rounded to 1e-13, and a KL is a square
RELATIVE = {torch.float32: 1e-6, torch.float64: 1e-12}


@st.composite
def policies(draw: st.DrawFn, number: int = 2, masks: bool = True, actions: int | None = None) -> Tensor:
    """float64[number, A], logits in 1024ths, exact in float32 too even beside an offset; at times one action is masked
    everywhere, or all policies are close to the first."""
    n = draw(st.integers(2, 8)) if actions is None else actions
    grid = st.lists(st.integers(-20_000, 20_000), min_size=n, max_size=n)
    rows = torch.tensor([draw(grid) for _ in range(number)], dtype=torch.float64)
    if draw(st.booleans()):
        rows[1:] = rows[0] + (rows[1:] / draw(st.sampled_from([100.0, 5000.0]))).round()
    logits = rows / 1024
    if masks and draw(st.booleans()):
        logits[:, draw(st.integers(0, n - 1))] = -math.inf
    return logits


def close(x: Tensor, y: Tensor, scale: Tensor | float = 0.0) -> None:
    """Equal to the accuracy of the package; relative to `scale` where the law itself subtracts larger terms."""
    assert x.shape == y.shape
    assert x.dtype == y.dtype
    assert ((x - y).abs() <= RELATIVE[x.dtype] * (torch.maximum(x.abs(), y.abs()) + scale)).all(), (x, y)


@DTYPES
@given(policies())
@law
def test_cross_entropy_is_entropy_plus_kl(dtype: torch.dtype, logits: Tensor) -> None:
    p, q = logits.to(dtype)
    expected = information.entropy_from_logits(p) + information.kl_from_logits(p, q)
    close(information.cross_entropy_from_logits(p, q), expected)
    from_probabilities = information.cross_entropy(*information.softmax(logits))
    torch.testing.assert_close(from_probabilities.to(dtype), expected, rtol=RELATIVE[dtype], atol=1e-15)  # q near 1
    assert from_probabilities >= information.entropy(information.softmax(logits[0])) * (1 - 1e-13)  # Gibbs


@given(policies(2, masks=False, actions=4), policies(8, actions=3))
@law
def test_chain_rules_of_joint_tables(marginals: Tensor, conditionals: Tensor) -> None:
    """H(X, Y) = H(X) + H(Y|X) and KL(p_xy‖q_xy) = KL(p_x‖q_x) + E_p KL(p_y|x‖q_y|x)."""
    x, y = information.softmax(marginals), information.softmax(conditionals.reshape(2, 4, 3))  # [pq, X], [pq, X, Y]
    p, q = (x.unsqueeze(-1) * y).flatten(-2)
    close(information.entropy(p), information.entropy(x[0]) + (x[0] * information.entropy(y[0])).sum(), 1.0)
    close(information.kl(p, q), information.kl(x[0], x[1]) + (x[0] * information.kl(y[0], y[1])).sum(), 1.0)


@given(policies(5, actions=5))
@law
def test_mutual_information(logits: Tensor) -> None:
    """I = H(X) + H(Y) − H(X, Y) ≥ 0, symmetric in X and Y, at most the smaller entropy."""
    p = information.softmax(logits.flatten()).reshape(5, 5)
    x, y = information.entropy(p.sum(1)), information.entropy(p.sum(0))
    mutual = information.mutual_information(p)
    close(mutual, x + y - information.entropy(p.flatten()), 10.0)
    close(mutual, information.mutual_information(p.T), 1.0)
    assert 0 <= mutual <= torch.minimum(x, y) + 1e-12


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@given(policies(2), policies(2, actions=3))
@example(torch.tensor([[0, 11440], [0, 0]]) / 1024.0, torch.tensor([[0, 0, 13373], [0, 0, 0]]) / 1024.0)
@law
def test_products_are_joint_distributions(dtype: torch.dtype, first: Tensor, second: Tensor) -> None:
    sizes = [first.shape[-1], second.shape[-1]]
    p, q = torch.cat([first, second], -1).to(dtype)
    p_joint, q_joint = (first.unsqueeze(-1) + second.unsqueeze(-2)).flatten(-2).to(dtype)
    close(information.product_entropy_from_logits(p, sizes), information.entropy_from_logits(p_joint))
    close(information.product_kl_from_logits(p, q, sizes), information.kl_from_logits(p_joint, q_joint))
    close(information.product_js_from_logits(p, q, sizes), information.js_from_logits(p_joint, q_joint))


@pytest.mark.parametrize("function", [information.kl_from_logits, information.js_from_logits], ids=["kl", "js"])
@given(policies())
@law
def test_merging_two_actions_never_raises_a_divergence(function: Callable[..., Tensor], logits: Tensor) -> None:
    merged = torch.cat([logits[:, :2].logsumexp(-1, keepdim=True), logits[:, 2:]], -1)
    rows = (merged > -math.inf).any(-1)
    if rows.all():
        before, after = function(*logits), function(*merged)
        assert after <= before + 1e-12 * before + 4e-15 * before.sqrt() + 1e-30  # the merged logit is rounded to 2e-15


@DTYPES
@given(policies())
@law
def test_pinsker(dtype: torch.dtype, logits: Tensor) -> None:
    """KL ≥ ½ ‖p − q‖₁², and JS ≥ ⅛ ‖p − q‖₁²."""
    distance = (information.softmax(logits[0]) - information.softmax(logits[1])).abs().sum()
    p, q = logits.to(dtype)
    slack = 1 - 4 * torch.finfo(dtype).eps
    assert information.kl_from_logits(p, q) >= 0.5 * slack * distance.square() - 1e-15
    assert information.js_from_logits(p, q) >= 0.125 * slack * distance.square() - 1e-15


@DTYPES
@given(policies(3))
@law
def test_js_is_the_square_of_a_metric(dtype: torch.dtype, logits: Tensor) -> None:
    a, b, c = logits.to(dtype)
    ab, bc, ac = (information.js_from_logits(x, y) for x, y in ((a, b), (b, c), (a, c)))
    assert 0 <= ab <= torch.tensor(LN2, dtype=dtype)
    close(ab, information.js_from_logits(b, a))
    assert ac.sqrt() <= (ab.sqrt() + bc.sqrt()) * (1 + 4 * torch.finfo(dtype).eps)


@DTYPES
@given(policies(3))
@law
def test_js_of_a_set(dtype: torch.dtype, logits: Tensor) -> None:
    x = logits.to(dtype)
    close(information.generalized_js_from_logits(x[:2]), information.js_from_logits(x[0], x[1]))
    weights = torch.tensor([0.25, 0.625, 0.125], dtype=dtype)
    js = information.generalized_js_from_logits(x, weights)
    assert 0 <= js <= information.entropy(weights)
    close(js, information.generalized_js_from_logits(x[[2, 0, 1]], weights[[2, 0, 1]]))
    assert 0 <= information.generalized_js_from_logits(x) <= torch.tensor(math.log(3), dtype=dtype)


@DTYPES
@PAIR_FUNCTIONS
@given(policies(), st.tuples(st.integers(-(2**20), 2**20), st.integers(-(2**20), 2**20)))
@law
def test_shifts_and_permutations_change_nothing(
    function: Callable[..., Tensor], dtype: torch.dtype, logits: Tensor, shift: tuple[int, int]
) -> None:
    p, q = logits.to(dtype)
    value = function(p, q)
    close(function(p + shift[0] / 1024, q + shift[1] / 1024), value, SQUARED_ROUNDING / RELATIVE[dtype])
    order = torch.randperm(len(p), generator=torch.Generator().manual_seed(abs(shift[0])))
    close(function(p[order], q[order]), value)


@DTYPES
@given(policies())
@law
def test_equal_policies(dtype: torch.dtype, logits: Tensor) -> None:
    p, q = logits.to(dtype)
    assert information.kl_from_logits(p, p.clone()) == information.js_from_logits(p, p.clone()) == 0
    assert information.generalized_js_from_logits(torch.stack([p, p, p])) == 0
    assert information.kl_from_logits(p, p + 3) <= SQUARED_ROUNDING
    assert information.js_from_logits(p, p - 1) <= SQUARED_ROUNDING
    assert information.kl_from_logits(p, q) >= 0
    assert 0 <= information.entropy_from_logits(p) <= math.log(len(p)) * (1 + torch.finfo(dtype).eps)


@DTYPES
@pytest.mark.parametrize("function", [information.kl_from_logits, information.js_from_logits], ids=["kl", "js"])
@given(policies(4))
@law
def test_batches_are_their_rows_and_broadcast(
    function: Callable[..., Tensor], dtype: torch.dtype, logits: Tensor
) -> None:
    x = logits.to(dtype)
    table = function(x.unsqueeze(1), x)  # [4, 1, A] and [4, A]
    assert table.shape == (4, 4)
    close(table, torch.stack([torch.stack([function(p, q) for q in x]) for p in x]))
    close(function(x, x[0]), table[:, 0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@given(policies(4))
@example(torch.tensor([[0, 13760], [0, 17089]]) / 1024.0)
@law
def test_entropies_of_a_batch_are_those_of_its_rows(dtype: torch.dtype, logits: Tensor) -> None:
    x = logits.to(dtype)
    close(information.entropy_from_logits(x), torch.stack([information.entropy_from_logits(row) for row in x]))


@DTYPES
@PAIR_FUNCTIONS
@given(policies(4), st.sampled_from([2.0, 10.0, 0.5]))
@law
def test_base_and_reduction(function: Callable[..., Tensor], dtype: torch.dtype, logits: Tensor, base: float) -> None:
    p, q = logits[:2].to(dtype), logits[2:].to(dtype)
    value = function(p, q)
    close(function(p, q, base=base), value / math.log(base))
    assert function(p, q, reduction="mean") == value.mean()
    assert function(p, q, reduction="sum", base=base) == function(p, q, base=base).sum()


@given(policies())
@law
def test_estimators_of_kl_are_right_on_average(logits: Tensor) -> None:
    """Σ p k1 = Σ p k3 = KL; k1 may cancel, k2 ≥ 0 and k3 ≥ 0."""
    log_p, log_q = (x[x > -math.inf] for x in information.log_softmax(logits))
    p, kl = log_p.exp(), information.kl_from_logits(*logits)
    k1, k2, k3 = (f(log_p, log_q) for f in (information.kl_k1, information.kl_k2, information.kl_k3))
    close((p * k1).sum(), kl, 10.0)
    close((p * k3).sum(), kl, kl.sqrt())
    assert (k2 >= 0).all()
    assert (k3 >= 0).all()


@DTYPES
@given(policies(3), st.sampled_from([0.0, 0.125, 1.0]))
@law
def test_losses_are_cross_entropies(dtype: torch.dtype, logits: Tensor, smoothing: float) -> None:
    x, legal = logits.to(dtype), torch.isfinite(logits).to(dtype)
    target = logits.argmax(-1).roll(1)
    one_hot = torch.nn.functional.one_hot(target, logits.shape[-1]).to(dtype)
    loss = information.cross_entropy_loss(x, target, label_smoothing=smoothing, reduction="none")
    close(loss, information.cross_entropy_loss(x, one_hot, label_smoothing=smoothing, reduction="none"))
    smooth = (1 - smoothing) * one_hot + smoothing * legal / legal.sum(-1, keepdim=True)
    y, p = smooth.double(), information.softmax(logits)
    torch.testing.assert_close(
        loss, information.cross_entropy(y, p).to(dtype), rtol=4e-6 if dtype.itemsize == 4 else 1e-12, atol=1e-15
    )
