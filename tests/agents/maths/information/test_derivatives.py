"""Derivatives, batches and errors of rl.information; for its values, see test_cases.py."""

import inspect
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from agents.maths import information
from tests.agents.maths.information.arguments import PAIRS

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # torch's own, in forward mode
INF, NAN = math.inf, math.nan
FLOATS = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
NAMES = pytest.mark.parametrize("name", information.__all__)


def rows(*x: list[float] | float) -> Tensor:
    return torch.tensor(x, dtype=torch.float64)


# Two rows each: neighbors, and distant policies of which one action uses Bregman's terms.
P, Q = rows([0.3, -1.2, 0.7], [0.0, -6.0, 1.0]), rows([0.301, -1.2005, 0.7002], [0.0, -1.0, 1.0])
BITS = rows([0.5, 0.25, 0.125], [0.3, 0.7, 0.9])
MEAN, LOG_STD = rows([0.1, -0.4], [2.0, 0.3]), rows([-0.5, 0.2], [0.6, -1.0])
WEIGHTS = rows(0.25, 0.75)
TABLE = torch.stack([rows([0.1, 0.2, 0.1], [0.3, 0.1, 0.2]), rows([0.25, 0.1, 0.15], [0.2, 0.1, 0.2])])
LOG_P = P.log_softmax(-1), Q.log_softmax(-1)
PROBABILITIES = LOG_P[0].exp(), LOG_P[1].exp()
FACTORS = torch.cat([P, Q], -1), torch.cat([Q, P], -1), [2, 4]
EXAMPLES: dict[str, tuple[Tensor | list[int], ...]] = {
    **dict.fromkeys(("entropy_from_logits", "log_softmax", "softmax", "bernoulli_entropy_from_logits"), (P,)),
    **dict.fromkeys(("kl_from_logits", "js_from_logits", "cross_entropy_from_logits"), (P, Q)),
    **dict.fromkeys(("kl", "js", "cross_entropy"), PROBABILITIES),
    **dict.fromkeys(("kl_k1", "kl_k2", "kl_k3"), LOG_P),
    **dict.fromkeys(("product_kl_from_logits", "product_js_from_logits"), FACTORS),
    **dict.fromkeys(("bernoulli_entropy", "self_information"), (BITS,)),
    "bernoulli_kl_from_logits": (P, Q),
    "product_entropy_from_logits": FACTORS[1:],
    "entropy": PROBABILITIES[:1],
    "mutual_information": (TABLE,),
    "generalized_js_from_logits": (torch.stack([P, Q]), WEIGHTS),
    "cross_entropy_loss": (P, PROBABILITIES[1]),
    "nll_loss": (LOG_P[0], PROBABILITIES[1]),
    **dict.fromkeys(("log_sigmoid", "log_tanh_slope"), (MEAN,)),
    "tanh_gaussian_entropy": (MEAN, LOG_STD),
    "gaussian_entropy": (LOG_STD,),
    "gaussian_kl": (MEAN, LOG_STD, -MEAN, 2 * LOG_STD),
    "gaussian_log_prob": (MEAN + 1, MEAN, LOG_STD),
}


def parameters(name: str) -> list[str]:
    return list(inspect.signature(getattr(information, name)).parameters)


def differentiable(name: str) -> tuple[Callable[..., Tensor], list[Tensor]]:
    """The function, without validation, of those arguments in its example that are differentiable."""
    inputs, keywords = EXAMPLES[name], {"validate": False} if "validate" in parameters(name) else {}
    free = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x is not WEIGHTS]

    def function(*values: Tensor) -> Tensor:
        given = dict(zip(free, values, strict=True))
        return getattr(information, name)(*(given.get(i, x) for i, x in enumerate(inputs)), **keywords)

    return function, [inputs[i].clone() for i in free]


def test_every_public_function_has_an_example() -> None:
    assert set(EXAMPLES) == set(information.__all__)


# --- derivatives ---


@NAMES
@pytest.mark.parametrize("batch", [slice(0, 1), slice(0, 2)], ids=["neighbors", "mixed"])
def test_derivatives_of_first_and_second_order(name: str, batch: slice) -> None:
    function, inputs = differentiable(name)
    inputs = [x[batch].requires_grad_() for x in inputs]
    assert torch.autograd.gradcheck(function, inputs, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(function, inputs)


@pytest.mark.parametrize("logits", [P[0], torch.cat([P[1], Q[0]])], ids=["3 actions", "6 actions"])
@pytest.mark.parametrize(
    "hessian",
    [lambda f, x: torch.func.hessian(f)(x), torch.autograd.functional.hessian],
    ids=["torch.func", "torch.autograd"],
)
def test_hessian_of_the_divergences_is_the_fisher_matrix(hessian: Callable[..., Tensor], logits: Tensor) -> None:
    """∂²KL(p‖q) = diag(p) − p pᵀ at q = p, for either argument, and ∂²JS is a quarter of it."""
    p = logits.softmax(-1)
    fisher = p.diag() - torch.outer(p, p)
    for divergence, scale in ((information.kl_from_logits, 1.0), (information.js_from_logits, 0.25)):
        for function in (lambda x, f=divergence: f(x, logits), lambda x, f=divergence: f(logits, x)):
            torch.testing.assert_close(hessian(function, logits), scale * fisher, rtol=0, atol=1e-12)


@FLOATS
def test_second_derivative_of_log_sigmoid_at_extremes(dtype: torch.dtype) -> None:
    """−σ(x) σ(−x) = −e^{−|x|} / (1 + e^{−|x|})², which 1 − σ(x) would round to 0 for x ≥ 37."""
    x = torch.tensor([0.0, 2.0, -20.0, 40.0, -40.0, 80.0, 1000.0, -1000.0, INF, -INF], dtype=dtype, requires_grad=True)
    (first,) = torch.autograd.grad(information.log_sigmoid(x)[:-1].sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    e = (-x.detach().abs().double()).exp()
    torch.testing.assert_close(second, (-e / (1 + e).square()).to(dtype), rtol=8 * torch.finfo(dtype).eps, atol=0)


@NAMES
def test_jvp_is_the_gradient(name: str) -> None:
    function, inputs = differentiable(name)
    tangents = [torch.linspace(-1, 2, x.numel(), dtype=x.dtype).reshape(x.shape) for x in inputs]
    inputs = [x.requires_grad_() for x in inputs]
    output, forward = torch.func.jvp(function, tuple(inputs), tuple(tangents))
    gradients = torch.autograd.grad(function(*inputs).sum(), inputs)
    reverse = sum((g * t).sum() for g, t in zip(gradients, tangents, strict=True))
    assert forward.shape == output.shape
    torch.testing.assert_close(forward.sum(), reverse, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["kl_from_logits", "js_from_logits", "entropy_from_logits"])
def test_vmap_of_gradients(name: str) -> None:
    function, inputs = differentiable(name)
    expected = torch.autograd.grad(function(*[x.requires_grad_() for x in inputs]).sum(), inputs[0])[0]
    got = torch.func.vmap(torch.func.grad(function))(*[x.detach() for x in inputs])
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-15)


# --- batches ---


@FLOATS
@pytest.mark.parametrize("name", ["kl_from_logits", "js_from_logits", "entropy_from_logits"])
def test_large_batches_are_their_pieces(name: str, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    p = torch.randn(3, 5_000, 6, generator=generator, dtype=dtype)
    p[1, 7, 2] = -INF
    step = 10 ** (6 * torch.rand(3, 5_000, 1, generator=generator, dtype=dtype) - 5)
    q = p + step * torch.randn(p.shape, generator=generator, dtype=dtype)
    inputs = (p,) if name == "entropy_from_logits" else (p, q)
    function = getattr(information, name)
    whole = function(*inputs)
    assert whole.shape == (3, 5_000)
    small = torch.stack(
        [torch.cat([function(*x) for x in zip(*(y[i].split(100) for y in inputs), strict=True)]) for i in range(3)]
    )
    torch.testing.assert_close(whole, small, rtol=1e-6 if dtype == torch.float32 else 1e-12, atol=0)
    grad = function(*(x.clone().requires_grad_() for x in inputs))
    torch.testing.assert_close(grad.detach(), whole, rtol=0, atol=0)


@FLOATS
@pytest.mark.parametrize("actions", [2, 3, 4])
@pytest.mark.parametrize("name", ["kl_from_logits", "js_from_logits"])
def test_a_mixed_batch_equals_its_rows(name: str, actions: int, dtype: torch.dtype) -> None:
    pairs = [x for x in PAIRS.values() if len(x[0]) == actions]
    p, q = (torch.tensor(x, dtype=dtype) for x in zip(*pairs, strict=True))
    function = getattr(information, name)
    single = torch.stack([function(x, y) for x, y in zip(p, q, strict=True)])
    torch.testing.assert_close(function(p, q), single, rtol=1e-6 if dtype == torch.float32 else 1e-12, atol=1e-30)


@NAMES
def test_an_empty_batch(name: str) -> None:
    inputs = [x[:0] if isinstance(x, Tensor) and x.shape[0] == 2 and x is not WEIGHTS else x for x in EXAMPLES[name]]
    keywords = {"reduction": "none"} if name.endswith("_loss") else {}
    assert getattr(information, name)(*inputs, **keywords).numel() == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ["entropy_from_logits", "kl_from_logits", "js_from_logits", "gaussian_kl"])
def test_half_precision_rounds_only_the_result(name: str, dtype: torch.dtype) -> None:
    inputs = [x.to(dtype) for x in EXAMPLES[name]]
    exact = getattr(information, name)(*(x.double() for x in inputs))
    assert torch.equal(getattr(information, name)(*inputs), exact.to(dtype))


# --- errors ---


def refused(match: str, name: str, *inputs: object, **keywords: object) -> None:
    with pytest.raises(ValueError, match=match):
        getattr(information, name)(*inputs, **keywords)


@pytest.mark.parametrize(("name", "position"), [(x, i) for x in EXAMPLES for i in range(len(differentiable(x)[1]))])
def test_broken_numbers_are_refused_where_they_are(name: str, position: int) -> None:
    argument, logits = parameters(name)[position], parameters(name)[position].endswith("logits")
    values: list[list[float]] = [[NAN]]
    certain = name.startswith(("bernoulli", "log_sigmoid"))  # bits, which infinite logits make certain
    if argument not in ("log_p", "log_q") and not certain:
        values.append([INF])
    if logits and not certain and not name.startswith("product"):
        values += [[-INF] * 3, [NAN, -INF, INF]]
    if argument in ("p", "q", "joint", "target"):
        values += [[-0.25], [1.25]]
    for value in values:
        inputs = [x.clone() if isinstance(x, Tensor) else x for x in EXAMPLES[name]]
        inputs[position].view(2, -1)[1, : len(value)] = torch.tensor(value)
        if "validate" in parameters(name):  # log_tanh_slope accepts any number
            refused(rf"^{argument}\b.*\[1", name, *inputs)
            getattr(information, name)(*inputs, validate=False)


@NAMES
def test_wrong_base_and_reduction_are_refused(name: str) -> None:
    for base in (0.0, 1.0, -2.0, INF, NAN) if "base" in parameters(name) else ():
        refused("^base must", name, *EXAMPLES[name], base=base)
    if "reduction" in parameters(name):
        refused("^reduction must.*'average'", name, *EXAMPLES[name], reduction="average")


@pytest.mark.parametrize(
    "name", [x for x in EXAMPLES if {"q", "q_logits", "mean", "q_mean", "log_q"} & {*parameters(x)}]
)
def test_shapes_that_do_not_broadcast_are_refused(name: str) -> None:
    (a, b, *_), (first, second, *others) = parameters(name), EXAMPLES[name]
    other_events = [] if name.startswith("kl_k") else [second[:, :1], torch.zeros(2, 7)]
    for wrong in (second[[0, 1, 1]], *other_events):
        refused(rf"^{a} of shape .* and {b} of shape .*differ in shape", name, first, wrong, *others)


@pytest.mark.parametrize(
    ("match", "name", "inputs", "keywords"),
    [
        (r"^temperature .*0\.0", "softmax", (P, 0.0), {}),
        (r"^temperature .*-1", "log_softmax", (P, -1), {}),
        (r"^temperature .*nan", "log_softmax", (P, NAN), {"validate": False}),
        (r"^label_smoothing .*1\.5", "cross_entropy_loss", (P, torch.tensor([0, 1])), {"label_smoothing": 1.5}),
        (r"^target\[1\].* is 3; indices", "cross_entropy_loss", (P, torch.tensor([0, 3])), {}),
        (r"^target must hold indices of shape \(2,\)", "cross_entropy_loss", (P, torch.tensor([0, 1, 2])), {}),
        (r"^target .*\(3,\) for .*\(2, 3\)", "nll_loss", (P.log_softmax(-1), P[0].softmax(-1)), {}),
        (r"^log_p\[0\].*not normalized", "nll_loss", (P, torch.tensor([0, 1])), {}),
        (r"^p\[1\].*sums to 1\.5", "entropy", (rows([0.5, 0.5], [0.5, 1.0]),), {}),
        (r"^p must be a floating-point", "entropy", (torch.tensor([0, 1]),), {}),
        (r"^p_logits, factor 1\[1\].*illeg", "product_kl_from_logits", (rows([0, 0, 1], [0, 0, -INF]), P, [2, 1]), {}),
        (r"^logits of shape .* Σ sizes of \(2, 2\)", "product_entropy_from_logits", (P, [2, 2]), {}),
        (r"^p_logits of shape .* \(4, -1\)", "product_kl_from_logits", (P, Q, [4, -1]), {}),
        (r"131,072, the limit is 65,536", "product_js_from_logits", (torch.zeros(34), torch.zeros(34), [2] * 17), {}),
        (r"^weights must be 2", "generalized_js_from_logits", (torch.stack([P, Q]), rows(0.5, 0.6)), {}),
        (r"^weights must be 2", "generalized_js_from_logits", (torch.stack([P, Q]), rows(0.0, 1.0)), {}),
        (r"^joint has shape \(3,\)", "mutual_information", (BITS[0],), {}),
        (r"^p_logits has shape \(2, 0\)", "js_from_logits", (P[:, :0], Q[:, :0]), {}),
    ],
)  # fmt: skip
def test_wrong_settings(match: str, name: str, inputs: tuple[object], keywords: dict[str, float]) -> None:
    refused(match, name, *inputs, **keywords)
