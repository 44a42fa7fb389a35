"""The settings of A2C, with the names, meanings and defaults of Stable-Baselines3 where it has them."""

from dataclasses import dataclass
from typing import Literal, get_args

from agents.maths.schedules import Ramp, Schedule, lowest, stays_below
from agents.settings.agent import SMALLEST, AgentSettings
from agents.settings.schema import setting_types
from agents.settings.values import ConfigError

Activation = Literal["tanh", "relu"]
Engine = Literal["auto", "torch", "fused"]
Sharing = Literal["auto", "nothing", "features", "all"]
_NETWORKS = ("auto", "mlp", "cnn", "small_cnn")


@dataclass(eq=False)  # agents are compared by identity
class A2CSettings(AgentSettings):
    """The settings of `A2C`. The one default that differs from Stable-Baselines3's is `n_steps`: 1 here, 5 there.

    The comment beside a field says what it does; null is None in Python. A `Schedule` is a number or a function of
    training progress, such as linear(7e-4, 0): see `agents.maths.schedules`.
    Raises ConfigError, a ValueError, if a setting is out of range.
    """

    # The update
    learning_rate: Schedule = 7e-4  # learning rate of the optimizer
    gamma: float = 0.99  # discount factor
    gae_lambda: float = 1.0  # λ of generalized advantage estimation; 1: n-step advantages
    ent_coef: Schedule = 0.0  # weight of the entropy bonus in the loss
    vf_coef: Schedule = 0.5  # weight of the value loss in the loss
    max_grad_norm: Schedule = 0.5  # bound on the L2 norm of the gradient of π_θ and V_φ together
    use_rms_prop: bool = True  # optimizer; true: RMSprop with α = 0.99, false: Adam
    rms_prop_tf_like: bool = False  # use TensorFlow's RMSprop, with ε inside the root: `agents.optimizer.RMSpropTFLike`
    rms_prop_eps: float = 1e-5  # ε of RMSprop or Adam
    normalize_advantage: bool = False  # normalize the advantages of each rollout to mean 0, standard deviation 1

    # Step size and entropy (not in Stable-Baselines3)
    critic_lr_scale: Schedule = 1.0  # learning rate of V_φ, as a multiple of learning_rate
    target_policy_shift: Schedule | None = None  # target KL(π_before ‖ π_after) in nats; adapts π_θ's step; null: off
    max_policy_shift: Schedule | None = None  # bound on KL(π_before ‖ π_after) in nats; shortens π_θ's step; null: off
    target_entropy: Schedule | None = None  # entropy target in nats; adapts ent_coef, the initial value; null: off

    # Scaling of observations and rewards
    reward_scale: float = 1.0  # factor on the rewards that the critic learns from; reported returns are unscaled
    reward_clip: float | None = None  # bound on the size of scaled rewards, before normalization; Atari: 1, null: off
    normalize_observations: bool = False  # subtract the running mean, divide by the running standard deviation
    normalize_rewards: bool = False  # divide by the running standard deviation of the discounted return
    clip_normalized: float = 10.0  # bound on the size of normalized observations and rewards

    # Networks
    net_arch: tuple[int, ...] = (64, 64)  # hidden units of each layer, the same in π_θ and V_φ
    activation: Activation = "tanh"  # activation function of the hidden layers
    network: str = "auto"  # feature extractor: mlp (none), cnn, small_cnn, module:Class; auto: cnn for uint8 images
    features_dim: int = 512  # number of features that the convolutions extract from each image
    gru_size: int | None = None  # units of a GRU between the feature extractor and the hidden layers; null: no GRU
    shared_layers: Sharing = "auto"  # layers that π_θ and V_φ share: nothing, features, all; auto: features if any
    log_std_init: float = 0.0  # initial log standard deviation of Gaussian policies
    state_dependent_std: bool = False  # make the log standard deviation an output of the network
    use_sde: bool = False  # explore with generalized state-dependent exploration (gSDE)
    sde_sample_freq: int = -1  # steps between draws of the gSDE noise; −1: n_steps
    squash_output: bool = False  # squash actions by tanh into the bounds of the action space

    # Computation
    engine: Engine = "auto"  # what computes updates: torch, or fused (compiled); auto: fused where supported

    def check(self) -> None:
        super().check()
        self.check_bounds((
            (("features_dim", "gru_size"), 1, "be at least 1"),
            (("learning_rate", "ent_coef", "vf_coef", "max_grad_norm", "critic_lr_scale"), 0, "not be negative"),
            (("rms_prop_eps", "reward_scale", "clip_normalized"), SMALLEST, "be positive"),
            (("target_policy_shift", "max_policy_shift", "reward_clip"), SMALLEST, "be positive or null"),
        ))  # fmt: skip
        self._check_combinations()
        if self.network not in _NETWORKS and ":" not in self.network:
            raise ConfigError(f"network must be one of {', '.join(_NETWORKS)}, or module:Class, got {self.network!r}")
        if self.sde_sample_freq == 0:
            raise ConfigError("sde_sample_freq must be positive, or −1 for n_steps, got 0")
        if not all(width >= 1 for width in self.net_arch):
            raise ConfigError(f"net_arch must hold positive widths, got {list(self.net_arch)}")
        for name in ("gamma", "gae_lambda"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must lie between 0 and 1, got {getattr(self, name)}")

    def _check_combinations(self) -> None:
        if self.rms_prop_tf_like and not self.use_rms_prop:
            raise ConfigError("rms_prop_tf_like needs use_rms_prop: it is a form of RMSprop")
        target, limit = self.target_policy_shift, self.max_policy_shift
        if target is not None and limit is not None and not stays_below(target, limit):
            raise ConfigError(f"target_policy_shift must stay below max_policy_shift {limit}, got {target}")
        if self.target_entropy is not None and not lowest(self.ent_coef) > 0:
            raise ConfigError(
                f"target_entropy needs a positive ent_coef to start from, such as 0.01, got {self.ent_coef}"
            )


# Settings declared as a Schedule, in order of declaration
SCHEDULED = tuple(name for name, kind in setting_types(A2CSettings).items() if Ramp in get_args(kind))
