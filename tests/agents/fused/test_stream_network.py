"""Kernels for one network's forward pass, gradient and traces, compared with torch's autograd."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from agents.fused.memory import views
from agents.fused.stream_network import StreamNet, backward, forward
from agents.fused.stream_shared import BoundNetwork
from agents.fused.stream_steps import accumulate, gradient_length, move_along, move_along_gradient
from agents.fused.units import LEAKY_RELU, RELU, TANH
from agents.networks.actor_critic import Hidden, hidden_mlp
from agents.step_rules import ObGD
from agents.traces import Traces

OUTPUTS = 3


def bound_network(hidden: Hidden, inputs: int = 5) -> tuple[nn.Sequential, StreamNet]:
    """A network in torch's default dtype, and the kernels' view of it."""
    net = hidden_mlp(inputs, hidden, OUTPUTS, 1.0, torch.Generator().manual_seed(0)).to(torch.get_default_dtype())
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())))
    bound = BoundNetwork(net, Traces([*net.parameters()], ObGD(1.0, 1.0), 0.0))
    bound.refresh()
    return net, bound.arrays()


def set_slopes(kernels: StreamNet, function: int, slope: Tensor) -> None:
    half = len(kernels.outputs)
    begin = function * half + kernels.layers[-1, 5]
    kernels.deltas[begin : begin + OUTPUTS] = slope.numpy()


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
    torch.set_default_dtype(dtype)
    try:
        net, kernels = bound_network(hidden)
        generator = torch.Generator().manual_seed(1)
        expected = [torch.zeros_like(p) for p in net.parameters()]
        exact = 1e-4 if dtype == torch.float32 else 1e-12
        layers, outputs, deltas = kernels.layers, kernels.outputs, kernels.deltas
        for _ in range(4):
            x, slope, other = (torch.randn(size, generator=generator) for size in (5, OUTPUTS, OUTPUTS))
            out = net(x)
            begin = forward(kernels, activation, hidden.layer_norm, x[None].numpy(), 0)
            np.testing.assert_allclose(outputs[begin:][:OUTPUTS], out.detach().numpy(), rtol=exact, atol=exact)
            set_slopes(kernels, 0, slope)
            set_slopes(kernels, 1, other)
            backward(kernels, activation, hidden.layer_norm, 2)
            gradients = torch.autograd.grad((out * slope).sum(), [*net.parameters()], retain_graph=True)
            length = sum(float(g.abs().sum()) for g in gradients)
            assert gradient_length(layers, outputs, deltas) == pytest.approx(length, rel=exact)
            length = accumulate(layers, kernels.trace, outputs, deltas, 0.5)
            expected = [0.5 * e + g for e, g in zip(expected, gradients, strict=True)]
            traces = [place for _, place in views(net, kernels.layers, torch.from_numpy(kernels.trace))]
            for e, place in zip(expected, traces, strict=True):
                np.testing.assert_allclose(place.numpy(), e.numpy(), rtol=exact, atol=exact)
            assert length == pytest.approx(sum(float(e.abs().sum()) for e in expected), rel=exact)
            before = [p.detach().clone() for p in net.parameters()]
            pushes = torch.autograd.grad((out * other).sum(), [*net.parameters()])
            move_along_gradient(layers, kernels.theta, outputs, deltas[len(outputs) :])
            for p, start, g in zip(net.parameters(), before, pushes, strict=True):
                np.testing.assert_allclose(p.detach().numpy(), (start + g).numpy(), rtol=exact, atol=exact)
                p.data.copy_(start)
        start = kernels.theta.copy()
        move_along(kernels.theta, kernels.trace, 0.25)
        np.testing.assert_allclose(kernels.theta, start + 0.25 * kernels.trace, rtol=exact, atol=exact)
    finally:
        torch.set_default_dtype(torch.float32)


def test_denormal_traces_are_flushed() -> None:
    _, kernels = bound_network(Hidden((4,), "relu"))
    kernels.trace[:] = 1e-25
    forward(kernels, RELU, False, np.zeros((1, 5), np.float32), 0)
    accumulate(kernels.layers, kernels.trace, kernels.outputs, kernels.deltas, 1e-10)
    assert not kernels.trace.any()
