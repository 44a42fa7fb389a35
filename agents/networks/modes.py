"""Training and evaluation mode of networks, which affect dropout and batch normalization."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Generator, nn

from agents.networks.actor_critic import Policy, Trunk, Value
from agents.networks.contents import Contents
from agents.networks.encoders import GRU, CustomModule, ImageEncoder

_ACTIVATIONS = {kind for kind in vars(nn.modules.activation).values() if isinstance(kind, type)}
_ALIKE = _ACTIVATIONS - {nn.RReLU, nn.MultiheadAttention} | {  # equal in both modes
    nn.Linear, nn.Conv2d, nn.LayerNorm, nn.Flatten, nn.GRUCell, nn.Sequential, nn.ModuleList,
    Policy, Value, Trunk, GRU, ImageEncoder, CustomModule,
}  # fmt: skip


def has_modes(contents: Contents) -> bool:
    """Whether the networks may depend on the mode: they contain a module not known to be the same in both."""
    return not _ALIKE.issuperset(map(type, contents.modules))


@contextmanager
def training_mode(contents: Contents, generator: Generator, rows: int) -> Iterator[None]:
    """Training mode inside, evaluation mode afterwards; does nothing if the networks do not depend on the mode.

    rows: number of observations. A single one has no variance, so batch normalization then uses its running statistics.
    Dropout uses torch's global generator, which is seeded from `generator` inside and restored afterwards.
    """
    if not has_modes(contents):
        yield
        return
    seed = int(torch.randint(2**62, (), generator=generator))
    device = contents.parameters[0][0].device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        for network in contents.networks:
            network.train()
        for module in contents.modules if rows == 1 else ():
            if isinstance(module, nn.BatchNorm1d):
                module.eval()
        try:
            yield
        finally:
            for network in contents.networks:
                network.eval()
