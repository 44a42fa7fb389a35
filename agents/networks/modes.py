"""Training mode and evaluation mode of networks, on which dropout and batch normalization depend."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Generator, nn

from agents.networks.actor_critic import Policy, Trunk, Value
from agents.networks.encoders import GRU, CustomModule, ImageEncoder

_ACTIVATIONS = {kind for kind in vars(nn.modules.activation).values() if isinstance(kind, type)}
_ALIKE = _ACTIVATIONS - {nn.RReLU, nn.MultiheadAttention} | {  # the same in both modes
    nn.Linear, nn.Conv2d, nn.LayerNorm, nn.Flatten, nn.GRUCell, nn.Sequential, nn.ModuleList,
    Policy, Value, Trunk, GRU, ImageEncoder, CustomModule,
}  # fmt: skip


def has_modes(*networks: nn.Module) -> bool:
    """Whether a network may differ between the modes: if it holds a module that is not known to be the same in both."""
    return any(type(module) not in _ALIKE for network in networks for module in network.modules())


@contextmanager
def training_mode(networks: Sequence[nn.Module], generator: Generator) -> Iterator[None]:
    """Training mode inside, evaluation mode afterwards; nothing if the networks are the same in both.

    Dropout draws from torch's global generator, which is seeded from `generator` inside and restored afterwards.
    """
    if not has_modes(*networks):
        yield
        return
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for network in networks:
            network.train()
        try:
            yield
        finally:
            for network in networks:
                network.eval()
