"""The settings shared by algorithms with a policy π_θ and a value network V_φ."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from agents.settings.agent import SMALLEST, AgentSettings
from agents.settings.ranges import Architecture, Frequency, Width
from agents.settings.values import ConfigError

Activation = Literal[
    "tanh", "relu", "leaky_relu", "celu", "elu", "gelu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh",
    "logsigmoid", "mish", "relu6", "selu", "sigmoid", "silu", "softplus", "softshrink", "softsign", "tanhshrink",
]  # fmt: skip
Network = str | Callable[..., nn.Module]
Engine = Literal["auto", "torch", "fused"]
Sharing = Literal["auto", "nothing", "features", "all"]
_LOG_STD_LIMIT = 40  # beyond it, squares of σ or of 1/σ overflow in single precision
_NETWORKS = ("auto", "mlp", "cnn", "small_cnn")


@dataclass(eq=False, kw_only=True)  # agents are compared by identity
class ActorCriticSettings(AgentSettings):
    """Discount, scaling and networks, with the names, meanings and defaults of Stable-Baselines3 where it has them.

    Raises ConfigError, a ValueError, if a setting is out of range.
    """

    changeable: ClassVar[tuple[str, ...]] = ("reward_scale", "reward_clip")

    # The update
    gamma: float = 0.99  # discount factor

    # Scaling of observations and rewards
    reward_scale: float = 1.0  # factor on the rewards that the critic learns from; reported returns are unscaled
    reward_clip: float | None = None  # bound on |scaled reward|, before normalization; Atari: 1, null: off
    normalize_observations: bool = False  # subtract the running mean, divide by the running standard deviation
    normalize_rewards: bool = False  # divide by the running standard deviation of the discounted return
    clip_normalized: float = 10.0  # bound on |x| of normalized observations and rewards

    # Networks
    net_arch: Architecture = (64, 64)  # hidden units of each layer of π_θ and V_φ, or {pi: [64], vf: [64]}
    activation: Activation = "tanh"  # activation function of the hidden layers, torch's, with torch's defaults
    ortho_init: bool = (
        True  # orthogonal initial weights, also in a custom network; false: that network's own, and torch's defaults
    )
    layer_norm: bool = False  # normalize the units of each hidden layer before the activation, without gain or bias
    sparsity: float = 0.0  # fraction of each unit's weights that start at 0, the others uniform; 0: orthogonal
    network: Network = "auto"  # feature extractor: mlp (none), cnn, small_cnn, module:Class; auto: cnn for uint8 images
    network_kwargs: dict[str, object] | None = None  # arguments of a custom feature extractor, module:Class
    features_dim: Width = 512  # number of features that the convolutions extract from each image
    gru_size: Width | None = None  # units of a GRU between the feature extractor and the hidden layers; null: no GRU
    shared_layers: Sharing = "auto"  # layers that π_θ and V_φ share: nothing, features, all; auto: features if any
    log_std_init: float = 0.0  # initial log standard deviation of Gaussian policies
    state_dependent_std: bool = False  # make the log standard deviation an output of the network
    use_sde: bool = False  # explore with generalized state-dependent exploration (gSDE)
    sde_sample_freq: Frequency = -1  # steps between draws of the gSDE noise; −1: n_steps
    squash_output: bool = False  # squash actions by tanh into the bounds of the action space

    # Computation
    engine: Engine = "auto"  # what computes updates: torch, or fused (compiled); auto: fused where supported
    device: str = "auto"  # for the torch engine: cpu, cuda, cuda:N; auto: cuda for images if available, else cpu

    def check(self) -> None:
        super().check()
        self.check_bounds((
            (("reward_scale", "clip_normalized"), SMALLEST, "be positive"),
            (("reward_clip",), SMALLEST, "be positive or null"),
        ))  # fmt: skip
        self._check_networks()
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,3})?", self.device):
            raise ConfigError(f"device must be auto, cpu, cuda or cuda:N, got {self.device!r}")
        if self.sde_sample_freq == 0:
            raise ConfigError("sde_sample_freq must be positive, or −1 for n_steps, got 0")
        self.check_fractions("gamma")
        if abs(self.log_std_init) > _LOG_STD_LIMIT:
            limit = f"−{_LOG_STD_LIMIT} and {_LOG_STD_LIMIT}"
            raise ConfigError(f"log_std_init must lie between {limit}, got {self.log_std_init:g}; σ is e^log_std_init")

    def _check_networks(self) -> None:
        if isinstance(self.network, str) and self.network not in _NETWORKS and ":" not in self.network:
            raise ConfigError(f"network must be one of {', '.join(_NETWORKS)}, or module:Class, got {self.network!r}")
        if self.network_kwargs is not None and not self.own_network:
            raise ConfigError(f"network_kwargs are for a network module:Class; network is {self.network}")
        if isinstance(self.net_arch, dict) and self.net_arch.keys() != {"pi", "vf"}:
            raise ConfigError(f"net_arch must be a list, or a mapping with pi and vf, got {self.net_arch}")
        if not 0 <= self.sparsity < 1:
            raise ConfigError(f"sparsity must be at least 0 and below 1, got {self.sparsity}")
        if self.sparsity and not self.ortho_init:
            raise ConfigError("sparsity sets the initial weights: leave ortho_init true, or set sparsity to 0")

    @property
    def own_network(self) -> bool:
        """Whether the feature extractor is a user's class."""
        return callable(self.network) or ":" in self.network

    @property
    def widths(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Hidden units of each layer of π_θ, and of V_φ."""
        arch = self.net_arch
        return (tuple(arch["pi"]), tuple(arch["vf"])) if isinstance(arch, dict) else (arch, arch)

    def check_fractions(self, *names: str) -> None:
        """Raises ConfigError if a setting lies outside [0, 1]."""
        for name in names:
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must lie between 0 and 1, got {getattr(self, name)}")
