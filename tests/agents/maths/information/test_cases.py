"""Every function of rl.information against 50-digit arithmetic: the table that make_cases.py writes.

Also the KL divergence of many random neighbors, against a formula that is exact enough in float64.
"""

import json
import math
from fnmatch import fnmatch
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import torch
from torch import Tensor

from agents.maths import information
from tests.agents.maths.information import make_cases
from tests.agents.maths.information.logit_formulas import kl_from_logits

TABLE = json.loads(make_cases.PATH.read_text(encoding="utf-8"))
RELATIVE = {"float32": 1e-6, "float64": 1e-12}
GRADIENT = {"float32": 1e-6, "float64": 1e-10}
QUADRATURE = 1e-9
QUADRATURE_SLOPE = 1e-8  # for its gradient, which the documentation does not specify
ZERO = 1e-16  # where every entry of a gradient is 0, because terms near 0.1 cancel that are rounded to 1e-17 in float64

KNOWN_VALUE: dict[str, list[str]] = {}
KNOWN_GRADIENT: dict[str, list[str]] = {}


def name(row: dict[str, Any]) -> str:
    return f"{row['function']}, {row['case']}, {row['dtype']}"


def table(known: dict[str, list[str]], rows: list[dict[str, Any]]) -> pytest.MarkDecorator:
    def marks(row: dict[str, Any]) -> list[pytest.MarkDecorator]:
        reasons = [reason for reason, patterns in known.items() if any(fnmatch(name(row), x) for x in patterns)]
        return [pytest.mark.xfail(strict=True, reason=reason) for reason in reasons]

    return pytest.mark.parametrize("row", [pytest.param(row, id=name(row), marks=marks(row)) for row in rows])


def arguments(row: dict[str, Any], differentiable: bool = False) -> list[Tensor]:
    """Tensors of the row's dtype; integers are indices."""

    def tensor(x: Any, gradient: Any) -> Tensor:
        array = np.array(x, dtype=object)
        if all(isinstance(v, int) for v in array.flat):
            return torch.tensor(x)
        floats = torch.from_numpy(array.astype(np.float64)).to(getattr(torch, row["dtype"]))
        return floats.requires_grad_(differentiable and gradient is not None)

    gradients = row.get("gradients", [[]] * len(row["arguments"]))
    return [tensor(*x) for x in zip(row["arguments"], gradients, strict=True)]


def exact(x: Any) -> Tensor:
    """Converts to float64, which holds the 25 digits to 1.1e-16."""
    return torch.from_numpy(np.array(x, dtype=object).astype(np.float64))


def call(row: dict[str, Any], inputs: list[Tensor]) -> Tensor:
    output = getattr(information, row["function"])(*inputs, **row.get("keywords", {}))
    assert output.dtype == getattr(torch, row["dtype"])
    return output


def largest(x: Tensor) -> float:
    return float(x.abs().max()) if x.numel() else 0.0


def spacing(x: Tensor) -> float:
    """Doubled for subnormal numbers, since float32's exp has that accuracy below 1e-38."""
    limits = torch.finfo(x.dtype)
    return 2 * limits.smallest_normal * limits.eps


@table(KNOWN_VALUE, TABLE)
def test_value(row: dict[str, Any]) -> None:
    got, expected = call(row, arguments(row)), exact(row["value"])
    expected = expected.where(expected.abs() <= torch.finfo(got.dtype).max, expected.sign() * math.inf)
    infinite = expected.isinf()
    assert got.shape == expected.shape
    assert not got.isnan().any()
    assert (got[infinite] == expected[infinite]).all()
    assert (got[expected == 0] == 0).all()
    error, size = (got.double() - expected)[~infinite].abs(), expected[~infinite].abs()
    relative = RELATIVE[row["dtype"]]
    if row["function"] == "tanh_gaussian_entropy":  # the documented scale: H(u) and E[ln(1 − tanh²u)] may cancel
        inside = information.gaussian_entropy(arguments(row)[1].double())
        relative, size = max(relative, QUADRATURE), inside.abs() + (expected - inside).abs()
    assert (error <= relative * size + spacing(got)).all(), f"{got.tolist()} instead of {row['value']}"


@table(KNOWN_GRADIENT, TABLE)
def test_gradient(row: dict[str, Any]) -> None:
    inputs = arguments(row, differentiable=True)
    output = call(row, inputs)
    torch.testing.assert_close(output.detach(), call(row, arguments(row)), rtol=0, atol=0)
    weights = torch.arange(1.0, output.numel() + 1, dtype=output.dtype).reshape(output.shape)
    if output.ndim:  # an infinite element is excluded from the sum
        weights = weights.where(output.isfinite(), 0.0)
    differentiable = [x for x in inputs if x.requires_grad]
    gradients = torch.autograd.grad(output, differentiable, weights)
    expected = [x for x in row.get("gradients", ()) if x is not None] or [None] * len(gradients)
    for x, got, truth in zip(differentiable, gradients, expected, strict=True):
        assert (got[x == -math.inf] == 0).all()
        compare(got, None if truth is None else exact(truth), row)


def compare(got: Tensor, expected: Tensor | None, row: dict[str, Any]) -> None:
    """Compares relative to the largest entry; numbers too large for the dtype may be infinite."""
    if expected is None:
        assert torch.isfinite(got).all()
        return
    fits = expected.abs() <= torch.finfo(got.dtype).max
    assert not got.isnan().any()
    assert torch.isfinite(got[fits]).all()
    if not fits.any():
        return
    error, size = float((got.double() - expected)[fits].abs().max()), float(expected[fits].abs().max())
    relative = QUADRATURE_SLOPE if row["function"] == "tanh_gaussian_entropy" else 0.0
    floor = ZERO if size == 0 else spacing(got)
    allowed = max(relative, GRADIENT[row["dtype"]]) * size + floor
    assert error <= allowed, f"{got.tolist()} instead of {expected.tolist()}"


def test_the_table_is_what_the_generator_writes() -> None:
    assert make_cases.text() == make_cases.PATH.read_text(encoding="utf-8")


def test_the_table_covers_every_public_function() -> None:
    assert {row["function"] for row in TABLE} == set(information.__all__)
    assert len({name(row) for row in TABLE}) == len(TABLE) >= 200


# --- random neighbors ---


def neighbors(n: int, actions: int, dtype: torch.dtype, low: float, high: float) -> tuple[Tensor, Tensor]:
    """n pairs of logits with approximately log-uniform KL between low and high."""
    generator = torch.Generator().manual_seed(actions)
    uniform = torch.rand(n, 1, generator=generator, dtype=torch.float64)
    step = (2 * low * (high / low) ** uniform).sqrt()
    a = 2 * torch.randn(n, actions, generator=generator, dtype=torch.float64)
    a = a.to(dtype).double()
    return a.to(dtype), (a + step * torch.randn(n, actions, generator=generator, dtype=torch.float64)).to(dtype)


def by_definition(a: Tensor, b: Tensor) -> np.ndarray:
    """Σ p (eʳ − 1 − r), r = ln(q/p) = δ − ln Σ p e^δ.

    For float32 logits, δ is exact, and an error of ln Σ p e^δ, which is the same for every action, cancels to first
    order. The remaining error is 1e-19 / |r| with long double, and 1e-16 / |r| without it.
    """
    x, y = (t.double().numpy().astype(np.longdouble) for t in (a, b))
    p = np.exp(x - x.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    delta = y - x
    r = delta - np.log1p((p * np.expm1(delta)).sum(-1, keepdims=True))
    return (p * (np.expm1(r) - r)).sum(-1)


def by_mpmath(a: Tensor, b: Tensor) -> np.ndarray:
    with mp.workdps(50):
        pairs = zip(a.tolist(), b.tolist(), strict=True)
        return np.array([float(kl_from_logits(*map(exact_row, x))[0]) for x in pairs])


def exact_row(x: list[float]) -> list[mp.mpf]:
    return [mp.mpf(v) for v in x]


@pytest.mark.parametrize("actions", [2, 3, 6, 18, 40])
def test_float32_kl_of_neighbors(actions: int) -> None:
    a, b = neighbors(20_000, actions, torch.float32, 1e-11, 1e-2)
    got, oracle = information.kl_from_logits(a, b).double().numpy(), by_definition(a, b)
    np.testing.assert_allclose(oracle[:20].astype(float), by_mpmath(a[:20], b[:20]), rtol=1e-9)
    assert (got >= 0).all()
    assert (np.abs(got - oracle) <= 1e-6 * oracle).all()
    assert (information.kl_from_logits(a, a.clone()) == 0).all()
    assert (information.kl_from_logits(b, a) >= 0).all()


@pytest.mark.parametrize("offset", [0.0, 3.0, 1000.0])
@pytest.mark.parametrize("actions", [2, 5, 18])
def test_float64_kl_of_neighbors(actions: int, offset: float) -> None:
    a, b = neighbors(40, actions, torch.float64, 1e-18, 1e-2)
    for shifted in ((a, b + offset), (a + offset, b + offset)):
        got = information.kl_from_logits(*shifted).numpy()
        np.testing.assert_allclose(got, by_mpmath(*shifted), rtol=1e-12, atol=0)
        rows = [float(information.kl_from_logits(x, y)) for x, y in zip(*shifted, strict=True)]
        np.testing.assert_allclose(rows, got, rtol=2e-12, atol=0)
