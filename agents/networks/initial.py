"""Initial weights of a layer from the "meta" device, drawn without the global generator."""

import math
from typing import TypeVar

import torch
from torch import Generator, nn

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)
Module = TypeVar("Module", bound=nn.Module)


def on_cpu(layer: Module) -> Module:
    """The layer with uninitialized parameters in memory. `to_empty` does the same, but imports SymPy."""
    for name, parameter in [*layer.named_parameters()]:
        setattr(layer, name, nn.Parameter(torch.empty(parameter.shape, dtype=parameter.dtype)))
    return layer


def initialized(layer: Layer, gain: float | None, generator: Generator) -> Layer:
    """Orthogonal weight with this gain, zero bias. Without a gain, torch's default: both ~ U(±1/√n), n inputs."""
    layer = on_cpu(layer)
    if gain is None:
        bound = 1 / math.sqrt(layer.weight[0].numel())
        for parameter in layer.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator)
        return layer
    nn.init.orthogonal_(layer.weight, gain, generator)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def sparse(layer: nn.Linear, sparsity: float, generator: Generator) -> nn.Linear:
    """w ~ U(±1/√n), n inputs, of which ⌈sparsity · n⌉ have weight 0.

    Each unit draws its own zeros; biases are zero. If all n weights are zero (n ≤ 9 at a sparsity of 0.9), the unit
    starts at zero and still learns. Source: Elsayed, Vasan & Mahmood 2024, "Streaming deep reinforcement learning
    finally works", SparseInit.
    """
    layer = on_cpu(layer)
    inputs = layer.in_features
    nn.init.uniform_(layer.weight, -1 / math.sqrt(inputs), 1 / math.sqrt(inputs), generator)
    order = torch.rand(layer.weight.shape, generator=generator).argsort(-1)
    with torch.no_grad():
        layer.weight.scatter_(-1, order[:, : math.ceil(sparsity * inputs)], 0.0)
    nn.init.zeros_(layer.bias)
    return layer
