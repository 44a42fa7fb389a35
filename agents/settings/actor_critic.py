"""The settings that algorithms with a policy π_θ and a value network V_φ share."""

from dataclasses import dataclass
from typing import Literal

from agents.settings.agent import SMALLEST, AgentSettings
from agents.settings.ranges import Frequency, Width, Widths
from agents.settings.values import ConfigError

Activation = Literal["tanh", "relu", "leaky_relu"]
Engine = Literal["auto", "torch", "fused"]
Sharing = Literal["auto", "nothing", "features", "all"]
_NETWORKS = ("auto", "mlp", "cnn", "small_cnn")


@dataclass(eq=False)  # agents are compared by identity
class ActorCriticSettings(AgentSettings):
    """Discount, scaling and networks, with the names, meanings and defaults of Stable-Baselines3 where it has them.

    Raises ConfigError, a ValueError, if a setting is out of range.
    """

    gamma: float = 0.99  # discount factor

    # Scaling of observations and rewards
    reward_scale: float = 1.0  # factor on the rewards that the critic learns from; reported returns are unscaled
    reward_clip: float | None = None  # bound on the size of scaled rewards, before normalization; Atari: 1, null: off
    normalize_observations: bool = False  # subtract the running mean, divide by the running standard deviation
    normalize_rewards: bool = False  # divide by the running standard deviation of the discounted return
    clip_normalized: float = 10.0  # bound on the size of normalized observations and rewards

    # Networks
    net_arch: Widths = (64, 64)  # hidden units of each layer, the same in π_θ and V_φ
    activation: Activation = "tanh"  # activation function of the hidden layers; leaky_relu has slope 0.01 below 0
    layer_norm: bool = False  # normalize the units of each hidden layer before the activation, without gain or bias
    sparsity: float = 0.0  # fraction of each unit's weights that start at 0, the others uniform; 0: orthogonal
    network: str = "auto"  # feature extractor: mlp (none), cnn, small_cnn, module:Class; auto: cnn for uint8 images
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

    def check(self) -> None:
        super().check()
        self.check_bounds((
            (("reward_scale", "clip_normalized"), SMALLEST, "be positive"),
            (("reward_clip",), SMALLEST, "be positive or null"),
        ))  # fmt: skip
        if self.network not in _NETWORKS and ":" not in self.network:
            raise ConfigError(f"network must be one of {', '.join(_NETWORKS)}, or module:Class, got {self.network!r}")
        if self.sde_sample_freq == 0:
            raise ConfigError("sde_sample_freq must be positive, or −1 for n_steps, got 0")
        if not 0 <= self.sparsity < 1:
            raise ConfigError(f"sparsity must be at least 0 and below 1, got {self.sparsity}")
        self.check_fractions("gamma")

    def check_fractions(self, *names: str) -> None:
        """Raises ConfigError if a setting lies outside [0, 1]."""
        for name in names:
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must lie between 0 and 1, got {getattr(self, name)}")
