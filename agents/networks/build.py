"""Builds an agent's two networks from its settings and spaces."""

import math
import warnings
from itertools import pairwise

import torch
from gymnasium import spaces
from torch import Generator, Tensor

from agents.networks.actor_critic import Hidden, Policy, Trunk, Value, input_size, mlp
from agents.networks.encoders import GRU, CustomModule, ImageEncoder, image_parts, non_image_mask
from agents.networks.heads import Head
from agents.settings.actor_critic import ActorCriticSettings
from agents.settings.values import ConfigError, ConfigWarning
from envs.memory import shortage
from envs.spaces import Actions, Flat, Space, brief

_MANY_PARAMETERS = 10_000_000  # in the convolutions of images: 84 × 84 × 4 has 1.7 million


def build_networks(
    settings: ActorCriticSettings, space: Space, flat: Flat, actions: Actions, generator: Generator,
    softplus_std: bool = False,
) -> tuple[Policy, Value]:  # fmt: skip
    """space: the observation space; flat: its flat form; softplus_std: see `Head`.

    Raises ConfigError if a setting does not fit the spaces.
    """
    _check_memory(settings, input_size(flat), flat.dtype.itemsize)
    head = Head(
        actions, settings.state_dependent_std, settings.use_sde, settings.squash_output, settings.log_std_init,
        softplus_std,
    )  # fmt: skip
    trunk = _trunk(settings, space, flat, generator)
    share = settings.shared_layers
    if share == "auto":
        share = "nothing" if trunk.empty else "features"
    if share == "nothing" and trunk.memory is not None:
        raise ConfigError("a memory (gru_size) is shared by both networks: leave shared_layers auto, or take features")
    of_policy, of_value = (
        Hidden(widths, settings.activation, settings.layer_norm, settings.sparsity, settings.ortho_init)
        for widths in settings.widths
    )
    if share == "all":
        if not of_policy.widths or of_policy != of_value:
            raise ConfigError(
                f"shared_layers all needs hidden layers to share, net_arch is {settings.net_arch}: give it a list of "
                "some, or share features"
            )
        sizes = [trunk.size, *of_policy.widths]
        layers = mlp(sizes, of_policy.activation, None, generator, *of_policy[2:])
        trunk = Trunk(sizes[-1], trunk.encoder, trunk.memory, layers)
        of_policy = of_value = of_policy._replace(widths=())
    _check_size(trunk)
    policy = Policy(trunk, head, of_policy, generator)
    shares_trunk = share != "nothing" and not trunk.empty
    value_trunk = trunk if shares_trunk else _trunk(settings, space, flat, generator)
    value = Value(value_trunk, shares_trunk, of_value, generator)
    return policy.eval(), value.eval()


def _check_memory(settings: ActorCriticSettings, size: int, obs_bytes: int) -> None:
    """Raises ConfigError if the networks or a rollout need more memory than the machine has: a lower bound.

    size: D, numbers in an observation, of obs_bytes each.
    """
    floats = 4
    features = size if settings.gru_size is None else settings.gru_size
    weights = sum(a * b for widths in settings.widths for a, b in pairwise([features, *widths]))
    weights += 3 * settings.gru_size * (size + settings.gru_size) if settings.gru_size else 0
    if lacking := shortage(3 * floats * weights):  # weights, gradients, optimizer state
        raise ConfigError(f"the networks need {lacking}: lower net_arch, gru_size or frame_stack")
    rows = settings.n_steps * (settings.num_envs or 1)
    if lacking := shortage(rows * (2 * size * (obs_bytes + floats) + floats * sum(map(sum, settings.widths)))):
        raise ConfigError(f"a rollout of {rows:,} steps needs {lacking}: lower n_steps, num_envs or net_arch")


def _check_size(trunk: Trunk) -> None:
    """Warns about images for which the convolutions have very many parameters."""
    if not isinstance(trunk.encoder, ImageEncoder):
        return
    count = sum(parameter.numel() for parameter in trunk.encoder.parameters())
    if count > _MANY_PARAMETERS:
        text = f"{trunk.encoder.describe()} have {count:,} parameters: shrink them"
        remedies = "atari_preprocessing=true for an Atari id, wrappers=[ResizeObservation:shape=[84,84]] for others"
        warnings.warn(f"{text}, by {remedies}", ConfigWarning, stacklevel=2)


def _trunk(settings: ActorCriticSettings, space: Space, flat: Flat, generator: Generator) -> Trunk:
    size = input_size(flat)
    encoder: ImageEncoder | CustomModule | None = None
    images = image_parts(space, settings.network)
    if settings.own_network:
        box = flat if isinstance(flat, spaces.Box) else spaces.Box(0.0, 1.0, (size,))
        seed = int(torch.randint(2**31, (), generator=generator))
        image = images[0] if images and math.prod(images[0].shape) == size else None
        encoder = CustomModule(settings.network, settings.network_kwargs or {}, box, image, seed, settings.ortho_init)
    elif images:
        gain = math.sqrt(2) if settings.ortho_init else None
        encoder = ImageEncoder(images, size, settings.features_dim, generator, str(settings.network), gain)
    elif settings.network not in ("auto", "mlp"):
        raise ConfigError(
            f"network {settings.network} needs images of 5 × 5 pixels or more; observations are {brief(space)}"
        )
    size = size if encoder is None else encoder.size
    memory = GRU(size, settings.gru_size, generator, settings.ortho_init) if settings.gru_size else None
    return Trunk(size if memory is None else memory.size, encoder, memory)


def normalized_mask(settings: ActorCriticSettings, space: Space, flat: Flat) -> Tensor | None:
    """bool[D]: which numbers of an observation are normalized, namely all except images; None for all.

    Raises ConfigError if an observation consists of images.
    """
    images = image_parts(space, settings.network)
    if not images:
        return None
    mask = non_image_mask(images, input_size(flat))
    if not mask.any():
        raise ConfigError("images are scaled to [0, 1], not normalized: leave normalize_observations off")
    return mask
