"""The forward pass and the traces of one network's kernels, beside torch's autograd."""

import numpy as np
import pytest
import torch
from torch import nn

from agents.fused.memory import layer_table, padded, views
from agents.fused.stream_network import LEAKY_RELU, RELU, TANH, StreamNet, backward, forward
from agents.fused.stream_steps import accumulate, gradient_length, move_along, move_along_gradient
from agents.networks.actor_critic import Hidden, hidden_mlp


def bound_network(hidden: Hidden, outputs: int, dtype: torch.dtype) -> tuple[nn.Sequential, StreamNet]:
    net = hidden_mlp(5, hidden, outputs, 1.0, torch.Generator().manual_seed(0)).to(dtype)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())))
    layers, size = layer_table(net, 0)
    flat = torch.zeros(size, dtype=dtype)
    for p, place in views(net, layers, flat):
        place.copy_(p.data)
        p.data = place
    widths = int(layers[:, 2].sum())
    trace, moments, units, outputs, deltas = (
        np.zeros(shape, flat.numpy().dtype) for shape in (size, 0, widths, widths, (2, widths))
    )
    scales = np.zeros(len(layers))
    return net, StreamNet(layers, flat.numpy(), trace, moments, np.zeros(4), units, outputs, deltas, scales)


@pytest.mark.parametrize(
    ("hidden", "activation"),
    [
        (Hidden((33, 20), "leaky_relu", layer_norm=True), LEAKY_RELU),
        (Hidden((33, 20), "leaky_relu"), LEAKY_RELU),
        (Hidden((16,), "tanh", layer_norm=True), TANH),
        (Hidden((7, 7, 7), "relu"), RELU),
        (Hidden(()), TANH),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_traces_accumulate_the_gradients_of_autograd(hidden: Hidden, activation: int, dtype: torch.dtype) -> None:
    net, kernels = bound_network(hidden, 3, dtype)
    generator = torch.Generator().manual_seed(1)
    expected = [torch.zeros_like(p) for p in net.parameters()]
    exact = 1e-4 if dtype == torch.float32 else 1e-12
    for _ in range(4):
        x, slope = (torch.randn(size, generator=generator, dtype=dtype) for size in (5, 3))
        out = net(x)
        ours = forward(kernels, activation, hidden.layer_norm, x.numpy())[:3]
        np.testing.assert_allclose(ours, out.detach().numpy(), rtol=exact, atol=exact)
        kernels.deltas[0, -padded(3) :][:3] = slope.numpy()
        backward(kernels, activation, hidden.layer_norm, 1)
        gradients = torch.autograd.grad((out * slope).sum(), [*net.parameters()])
        length = sum(float(g.abs().sum()) for g in gradients)
        assert gradient_length(kernels, x.numpy()) == pytest.approx(length, rel=exact)
        length = accumulate(kernels, x.numpy(), 0.5)
        expected = [0.5 * e + g for e, g in zip(expected, gradients, strict=True)]
        traces = [place for _, place in views(net, kernels.layers, torch.from_numpy(kernels.trace))]
        for e, place in zip(expected, traces, strict=True):
            np.testing.assert_allclose(place.numpy(), e.numpy(), rtol=exact, atol=exact)
        assert length == pytest.approx(sum(float(e.abs().sum()) for e in expected), rel=exact)
    before = kernels.theta.copy()
    move_along(kernels.theta, kernels.trace, 0.25)
    np.testing.assert_allclose(kernels.theta, before + 0.25 * kernels.trace, rtol=exact, atol=exact)


@pytest.mark.parametrize("function", [0, 1])
def test_a_step_along_a_gradient_that_is_never_stored(function: int) -> None:
    net, kernels = bound_network(Hidden((33, 20), "leaky_relu", layer_norm=True), 3, torch.float64)
    x, slope = torch.linspace(-1, 2, 5, dtype=torch.float64), torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    gradients = torch.autograd.grad((net(x) * slope).sum(), [*net.parameters()])
    expected = [p.detach() + 0.25 * g for p, g in zip(net.parameters(), gradients, strict=True)]
    forward(kernels, LEAKY_RELU, True, x.numpy())
    kernels.deltas[function, -padded(3) :][:3] = slope.numpy()
    backward(kernels, LEAKY_RELU, True, function + 1)
    move_along_gradient(kernels, x.numpy(), function, 0.25)
    for p, other in zip(net.parameters(), expected, strict=True):
        torch.testing.assert_close(p.detach(), other)


def test_denormal_traces_are_flushed() -> None:
    _, kernels = bound_network(Hidden((4,), "relu"), 1, torch.float64)
    kernels.trace[:] = 1e-25
    kernels.outputs[:] = 0.0
    forward(kernels, RELU, False, np.zeros(5))
    kernels.deltas[:] = 0.0
    accumulate(kernels, np.zeros(5), 1e-10)
    assert not kernels.trace.any()
