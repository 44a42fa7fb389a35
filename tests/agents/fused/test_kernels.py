"""Single kernels of the fused engine, compared with NumPy and the information module."""

import numpy as np
import pytest
import torch

from agents.fused.densities import categorical_js, categorical_kl, gaussian_kl
from agents.fused.matmul import matmul, transpose
from agents.fused.optimizers import adam, rmsprop
from agents.fused.vectors import PAD
from agents.maths import information

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1, 16), (5, 3, 64), (8, 64, 16), (7, 20, 144), (33, 130, 80)])
def test_matmul(shape: tuple[int, int, int], dtype: type) -> None:
    rows, depth, columns = shape
    x, w, b = (RNG.normal(size=size).astype(dtype) for size in ((rows, depth + 2), (depth, columns), columns))
    y = np.full((rows, columns), np.nan, dtype)
    matmul(x, w, b, y)
    np.testing.assert_allclose(y, x[:, :depth] @ w + b, rtol=1e-5, atol=2e-5 if dtype == np.float32 else 1e-13)
    gradient = np.full((depth + 2, columns), np.nan, dtype)
    matmul(x.T, y, np.zeros(columns, dtype), gradient)
    np.testing.assert_allclose(gradient, x.T @ y, rtol=2e-5, atol=1e-3 if dtype == np.float32 else 1e-11)


@pytest.mark.parametrize("rows", [1, 4, 16, 33, 64])
def test_transpose(rows: int) -> None:
    w = RNG.normal(size=(rows, 48)).astype(np.float32)
    turned = np.full((48, -(-rows // PAD) * PAD), np.nan, np.float32)
    transpose(w, turned)
    np.testing.assert_array_equal(turned[:, :rows], w.T)
    assert not turned[:, rows:].any()


@pytest.mark.parametrize("gap", [0.0, 1e-6, 1e-3, 1.0, 30.0, 700.0, 1e4])
@pytest.mark.parametrize("actions", [2, 5])
def test_policy_shift_is_that_of_the_information_module(gap: float, actions: int) -> None:
    before = RNG.normal(size=(50, actions)) * 3
    after = before + gap * RNG.normal(size=(50, actions))
    e, (p, q) = np.empty((50, actions)), (torch.from_numpy(x) for x in (before, after))
    pairs = [categorical_kl(before, after, r, 0, actions, e) for r in range(50)]
    kl = [pair[0] for pair in pairs]
    js = [categorical_js(before, after, r, 0, actions, *pairs[r], e) for r in range(50)]
    np.testing.assert_allclose(kl, information.kl_from_logits(p, q), rtol=1e-9, atol=1e-25)
    np.testing.assert_allclose(js, information.js_from_logits(p, q), rtol=1e-7, atol=1e-25)
    log_std = RNG.normal(size=actions)
    log_stds = np.broadcast_to(log_std, after.shape)
    kl = [gaussian_kl(actions, np.hstack([before, 0 * before]), np.hstack([after, log_stds]), r) for r in range(50)]
    expected = information.gaussian_kl(p, torch.zeros(50, actions).double(), q, torch.tensor(log_stds))
    np.testing.assert_allclose(kl, expected, rtol=1e-9)


@pytest.mark.parametrize("optimizer", ["RMSprop", "Adam"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-13)])
def test_optimizers_are_those_of_torch_and_leave_no_denormal_numbers(
    optimizer: str, dtype: type, tolerance: float
) -> None:
    """Gradients of all sizes for ten steps, then zeros until torch's running means become denormal."""
    sizes = np.geomspace(1e-18, 10, 400)
    gradients = [(sizes * RNG.choice([-1, 1], 400)).astype(dtype) for _ in range(10)]
    theta, square_avg, grad_avg = np.ones(400, dtype), np.zeros(400, dtype), np.zeros(400, dtype)
    parameter = torch.nn.Parameter(torch.ones(400, dtype=torch.from_numpy(theta).dtype))
    judge = getattr(torch.optim, optimizer)([parameter], lr=1e-3)
    for step in range(1, 9_000):
        grad = gradients[step - 1] if step <= 10 else np.zeros(400, dtype)
        if optimizer == "Adam":
            adam(theta, grad, square_avg, grad_avg, 1.0, 1e-3, 1e-8, step)
        else:
            rmsprop(theta, grad, square_avg, 1.0, 1e-3, 0.0, 1e-8)
        if step <= 100:
            parameter.grad = torch.from_numpy(grad)
            judge.step()
            np.testing.assert_allclose(theta - 1, parameter.detach().numpy() - 1, rtol=tolerance, atol=tolerance)
    tiny = np.finfo(np.float32).tiny
    for means in (square_avg, grad_avg):
        assert not ((means != 0) & (abs(means) < tiny)).any()
