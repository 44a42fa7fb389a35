"""The two networks of an agent, from its settings and spaces."""

import math

import torch
from gymnasium import spaces
from torch import Generator

from agents.networks.actor_critic import Policy, Trunk, Value, input_size, mlp
from agents.networks.encoders import Features, Memory, Own, pictures
from agents.networks.heads import Head
from agents.settings.a2c import A2CSettings
from agents.settings.values import ConfigError
from envs.spaces import Actions, Flat, Space


def networks(
    settings: A2CSettings, space: Space, flat: Flat, actions: Actions, generator: Generator
) -> tuple[Policy, Value]:
    """space: of the observations, and flat: its flat form. Raises ConfigError where a setting does not fit them."""
    head = Head(actions, settings.state_dependent_std, settings.use_sde, settings.squash_output)
    trunk = _trunk(settings, space, flat, generator)
    share = settings.shared_layers
    if share == "auto":
        share = "nothing" if trunk.empty else "features"
    if share == "nothing" and trunk.memory is not None:
        raise ConfigError("a memory (gru_size) is shared by both networks: leave shared_layers auto, or take features")
    arch = settings.net_arch
    if share == "all":
        trunk = Trunk(trunk.size, trunk.encoder, trunk.memory, _hidden(settings, trunk.size, generator), arch[-1])
        arch = ()
    policy = Policy(trunk, head, arch, settings.activation, settings.log_std_init, generator)
    apart = trunk.empty or share == "nothing"
    other = _trunk(settings, space, flat, generator) if apart else trunk
    return policy, Value(other, not apart, arch, settings.activation, generator)


def _hidden(settings: A2CSettings, size: int, generator: Generator) -> torch.nn.Sequential:
    if not settings.net_arch:
        raise ConfigError("shared_layers all needs hidden layers to share: give net_arch some, or share features")
    return mlp([size, *settings.net_arch], settings.activation, None, generator)


def _trunk(settings: A2CSettings, space: Space, flat: Flat, generator: Generator) -> Trunk:
    size = input_size(flat)
    encoder: Features | Own | None = None
    images = pictures(space, settings.network)
    if ":" in settings.network:
        own = flat if isinstance(flat, spaces.Box) else spaces.Box(0.0, 1.0, (size,))
        encoder = Own(settings.network, own, int(torch.randint(2**31, (), generator=generator)))
    elif images:
        encoder = Features(images, size, settings.features_dim, generator, settings.network)
    elif settings.network not in ("auto", "mlp"):
        raise ConfigError(f"network {settings.network} needs images of 5 × 5 pixels or more; observations are {space}")
    inputs = size if encoder is None else encoder.size
    memory = Memory(inputs, settings.gru_size, generator) if settings.gru_size else None
    return Trunk(size, encoder, memory)


def normalized_part(settings: A2CSettings, space: Space, flat: Flat) -> torch.Tensor | None:
    """Which numbers of an observation are normalized: all but those of images; None for all.

    Raises ConfigError if there are images only.
    """
    images = pictures(space, settings.network)
    if not images:
        return None
    plain = torch.ones(input_size(flat), dtype=torch.bool)
    for image in images:
        plain[image.start : image.start + math.prod(image.shape)] = False
    if not plain.any():
        raise ConfigError("images are scaled to [0, 1], not normalized: leave normalize_observations off")
    return plain
