"""Regression tests for former errors of rl.information."""

from collections.abc import Callable

import pytest
import torch

from agents.maths import information
from tests.agents.maths.information.test_derivatives import BITS, INF, LOG_P, MEAN, NAN, WEIGHTS, P, refused, rows

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # torch's own, in forward mode


def rises(match: str, *call: object) -> bool:
    refused(match, *call)
    return True


def close(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    return torch.allclose(found, wanted, rtol=1e-6, atol=0)


EXACT = rows(0.0, 0.0, 0.0, 76 / 1024).float()
DEFECTS: dict[str, Callable[[], object]] = {
    "p = 1 + 1e-6 is accepted, and NaN": lambda: information.bernoulli_entropy(rows(1 + 1e-6)) == 0,
    "p = 1 + 1e-6 is accepted, and negative": lambda: information.entropy(rows(1 + 1e-6, 0.0)) >= 0,
    "0 · ∞ at the mean": lambda: information.gaussian_log_prob(*(rows(x).float() for x in (0.0, 0.0, -100.0))) > 0,
    "0 · ∞ at the mean, float64": lambda: information.gaussian_log_prob(rows(0.0), rows(0.0), rows(-800.0)) > 0,
    "∞ − ∞": lambda: not information.kl_k3(rows(-INF), rows(-INF)).isnan(),
    "∞ − ∞ where p forbids its sample": lambda: information.kl_k3(rows(-INF), rows(0.0)) == INF,
    "a huge gap beside a mask is cut at 1e9": lambda: close(
        information.kl_from_logits(rows(0.0, 0.0, -INF), rows(0.0, -1e12, -INF)), rows(5e11)[0]
    ),
    "the other differences vanish beside that of a first action masked by large numbers": lambda: close(
        information.kl_from_logits(rows(-3e38, 0.0, 0.5).float(), rows(-1e9, 1.0, 0.5).float()),
        information.kl_from_logits(rows(0.0, 0.5).float(), rows(1.0, 0.5).float()),
    ),
    "a row of low entropy changes the others": lambda: torch.equal(
        information.entropy_from_logits(rows([0.0, -16.0], [0.0, -40.0]))[:1],
        information.entropy_from_logits(rows([0.0, -16.0])),
    ),
    "a shift is not 0 in float32": lambda: information.kl_from_logits(EXACT, EXACT + 3.0) == 0,
    "float64 is lost": lambda: information.gaussian_kl(MEAN.float(), MEAN.float(), MEAN, MEAN).dtype == torch.float64,
    "a tangent in float64": lambda: (
        torch.func.jvp(information.self_information, (BITS.float(),), (BITS.float(),))[1].dtype == torch.float32
    ),
    "weights that require grad warn": lambda: information.generalized_js_from_logits(
        P, WEIGHTS.clone().requires_grad_()
    ),
    "a refusal of what requires grad warns": lambda: (
        rises(r"logits\[0\].* is nan", "log_sigmoid", rows(NAN).requires_grad_())
        and rises(r"p\[0\].* is 2", "self_information", rows(2.0).requires_grad_())
        and rises(r"p.* sums to 1\.5", "entropy", rows(0.5, 1.0).requires_grad_())
    ),
    "RuntimeError of three shapes": lambda: rises(
        "differ in shape", "gaussian_log_prob", torch.zeros(3), torch.zeros(2, 3), torch.zeros(4, 3)
    ),
    "the row is not named": lambda: rises(
        r"log_p\[1\]", "nll_loss", torch.stack([LOG_P[0][0], P[0]]), torch.tensor([0, 1])
    ),
    "too few values to unpack": lambda: rises("needs a last dimension", "nll_loss", rows(0.0)[0], torch.tensor(0)),
    "the entry is not named": lambda: rises(r"target\[1\]", "cross_entropy_loss", P, torch.tensor([0, 3])),
    "truth values are indices": lambda: rises("target", "cross_entropy_loss", P, torch.tensor([True, False])),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_it_stays_mended(name: str) -> None:
    assert DEFECTS[name]()


def test_the_gradient_at_the_likely_action_keeps_its_digits() -> None:
    """∂ ln p_top / ∂x = −S/(1 + S) for the others: e^{−20} here, which 1 − p would round to 0 in float32."""
    logits = torch.tensor([20.0, 0.0, -1.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(information.log_softmax(logits)[0], logits)
    exact = torch.softmax(logits.detach().double(), -1)
    torch.testing.assert_close(gradient[0], (exact[1] + exact[2]).float(), rtol=1e-6, atol=0)
    torch.testing.assert_close(gradient[1:], -exact[1:].float(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("offset", [1e12, -1e20], ids=str)
@pytest.mark.parametrize("name", ["kl_from_logits", "js_from_logits", "cross_entropy_from_logits"])
def test_float32_offsets_too_far_apart_for_float64(name: str, offset: float) -> None:
    """1e12 − 0.1 is rounded to 1e-4 in float64, which had become the error of ln(q/p)."""
    function, q = getattr(information, name), torch.tensor([-0.1, 0.5, 1.0])
    found = [torch.full((3,), offset, requires_grad=True), q.clone().requires_grad_()]
    wanted = [torch.zeros(3, requires_grad=True), q.clone().requires_grad_()]
    for a, b in ((0, 1), (1, 0)):
        value, exact = function(found[a], found[b]), function(wanted[a], wanted[b])
        torch.testing.assert_close(value, exact, rtol=1e-6, atol=0)
        gradients = torch.autograd.grad(value, found), torch.autograd.grad(exact, wanted)
        torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("dtype", "gap"), [(torch.float32, 65504.0), (torch.float64, 1e15)], ids=str)
def test_gradient_of_a_large_kl(dtype: torch.dtype, gap: float) -> None:
    """∂KL/∂x_q = q − p, where ln(q/p) is close to 0 and the KL, from which it had been computed, is large."""
    p, q = torch.tensor([0.0, 0.3, 0.1], dtype=dtype), torch.tensor([0.0, 0.4, -gap], dtype=dtype, requires_grad=True)
    (gradient,) = torch.autograd.grad(information.kl_from_logits(p, q), q)
    exact = torch.softmax(q.detach().double(), -1) - torch.softmax(p.double(), -1)
    torch.testing.assert_close(gradient, exact.to(dtype), rtol=1e-6 if dtype == torch.float32 else 1e-12, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_log_softmax_rounds_only_the_result(dtype: torch.dtype) -> None:
    """Float32 rounds a gap of 86.2 by 2.5e-6, which had been the relative error of ln p of the likely action."""
    logits = torch.tensor([[-1.8248342, -88.0], [6.279748, -4.3172984], [0.1, 7.3]], dtype=dtype)
    assert torch.equal(information.log_softmax(logits), information.log_softmax(logits.double()).to(dtype))
