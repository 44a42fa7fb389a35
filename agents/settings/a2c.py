"""The settings of A2C: names, meanings and defaults of Stable-Baselines3 where the thing is the same."""

import math
import os
from dataclasses import KW_ONLY, dataclass
from typing import Literal

from agents.maths.schedules import Schedule, lowest, stays_below
from agents.networks.actor_critic import Activation
from agents.settings.schema import convert_settings
from agents.settings.values import ConfigError
from envs import Backend, EnvLike, Variant

Engine = Literal["auto", "torch", "fused"]

Sharing = Literal["auto", "nothing", "features", "all"]

_NETWORKS = ("auto", "mlp", "cnn", "small_cnn")

_LOWER_BOUNDS = (  # of a setting that is not null, in every moment of its schedule
    (("n_steps", "threads", "features_dim", "gru_size", "frame_stack"), 1, "be at least 1"),
    (("seed", "learning_rate", "ent_coef", "vf_coef", "max_grad_norm", "critic_lr_scale"), 0, "not be negative"),
    (("rms_prop_eps", "reward_scale", "clip_normalized"), math.ulp(0.0), "be positive"),
    (("target_policy_shift", "max_policy_shift", "reward_clip", "step_timeout"), math.ulp(0.0), "be positive or null"),
)


@dataclass(eq=False)  # an agent is compared by identity
class A2CSettings:
    """What `A2C` takes. The one default that differs from Stable-Baselines3's is `n_steps`, 1 here and 5 there.

    Raises ConfigError, a ValueError, on a setting out of range.
    """

    env: EnvLike  # an id, an environment, a function that builds one, or a vector environment: see `envs.make`
    _: KW_ONLY
    seed: int = 0  # of every random stream
    num_envs: int | None = None  # environments side by side; null is 8, or 1 for an environment object

    learning_rate: Schedule = 7e-4  # a number, or a ramp over the run such as linear(7e-4, 0): `agents.maths.schedules`
    n_steps: int = 1  # steps of each environment an update; 1 is single-step TD
    gamma: float = 0.99  # discount
    gae_lambda: float = 1.0  # 1 is the n-step advantage
    ent_coef: Schedule = 0.0  # weight of the entropy bonus
    vf_coef: Schedule = 0.5  # weight of the value loss
    max_grad_norm: Schedule = 0.5  # bound of the gradient's norm over all parameters together
    use_rms_prop: bool = True  # RMSprop (α = 0.99), or else Adam
    rms_prop_tf_like: bool = False  # RMSprop with ε inside the root: `agents.optimizer.RMSpropTFLike`
    rms_prop_eps: float = 1e-5  # ε of either
    normalize_advantage: bool = False  # to mean 0 and deviation 1 over the rollout

    critic_lr_scale: Schedule = 1.0  # ours: learning rate of V_φ over that of π_θ
    target_policy_shift: Schedule | None = None  # ours: mean KL(π_before ‖ π_after) that the step of π_θ adapts to
    max_policy_shift: Schedule | None = None  # ours: bound of that KL, in nats; a longer step is shortened
    target_entropy: Schedule | None = (
        None  # ours: mean entropy in nats below which ent_coef, then its first value, rises
    )
    reward_scale: float = 1.0  # ours: multiplies the rewards that the critic sees; returns are reported as they are
    reward_clip: float | None = None  # ours: clips them to ± this after it and before normalization; Atari: 1
    normalize_observations: bool = False  # by their running mean and deviation: `agents.maths.normalize`
    normalize_rewards: bool = False  # by the running deviation of the discounted return
    clip_normalized: float = 10.0  # clips what is normalized to ± this: VecNormalize's clip_obs and clip_reward

    net_arch: tuple[int, ...] = (64, 64)  # hidden layers of π_θ and of V_φ, which share nothing
    activation: Activation = "tanh"
    network: str = "auto"  # before the hidden layers: auto (cnn for uint8 images), mlp, cnn, small_cnn, or module:Class
    features_dim: int = 512  # what convolutions make of an image
    gru_size: int | None = None  # units of a memory between them and the hidden layers; null is none
    shared_layers: Sharing = "auto"  # by π_θ and V_φ: nothing, features (convolutions, memory), or all but the last
    log_std_init: float = 0.0  # of Gaussian policies
    state_dependent_std: bool = False  # the log-std is an output of the network
    use_sde: bool = False  # generalized state-dependent exploration
    sde_sample_freq: int = -1  # steps after which its noise is drawn anew; −1 is n_steps
    squash_output: bool = False  # through tanh into the bounds of the actions

    engine: Engine = "auto"  # fused kernels, or torch; auto takes the fastest that fits
    action_masks: bool | None = None  # obey action_mask in the environments' infos; null does where an id has one
    backend: Backend = "auto"  # how environments are stepped: see `envs.make`; auto takes native where there is one
    step_timeout: float | None = None  # seconds for a step or a reset, after which training ends; backend async only
    max_episode_steps: int | None = None  # a time limit in place of the registered one
    env_kwargs: dict[str, object] | None = None  # arguments of the environment's constructor
    frame_stack: int = 1  # the last k observations as one
    wrappers: tuple[str, ...] = ()  # module:Class of Gymnasium wrappers, from the inside out
    atari_preprocessing: bool = False  # frames skipped by 4, 84 × 84, gray, as `envs.Variant` says
    threads: int = 1  # of torch during training; more are slower for networks of this size

    @property
    def variant(self) -> Variant:
        """How each environment is built, beside its id."""
        return Variant(**{name: getattr(self, name) for name in Variant._fields})

    def __post_init__(self) -> None:
        convert_settings(self, A2CSettings)
        self._check_lower_bounds()
        if self.rms_prop_tf_like and not self.use_rms_prop:
            raise ConfigError("rms_prop_tf_like needs use_rms_prop: it is a form of RMSprop")
        if self.network not in _NETWORKS and ":" not in self.network:
            raise ConfigError(f"network must be one of {', '.join(_NETWORKS)}, or module:Class, got {self.network!r}")
        if self.sde_sample_freq == 0:
            raise ConfigError("sde_sample_freq must be positive, or −1 for n_steps, got 0")
        if self.threads > (os.cpu_count() or 1):
            raise ConfigError(f"threads is {self.threads}; this machine has {os.cpu_count()} processors")
        if not all(width >= 1 for width in self.net_arch):
            raise ConfigError(f"net_arch must hold positive widths, got {list(self.net_arch)}")
        for name in ("gamma", "gae_lambda"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must lie between 0 and 1, got {getattr(self, name)}")

    def _check_lower_bounds(self) -> None:
        for names, bound, words in _LOWER_BOUNDS:
            for name in names:
                value = getattr(self, name)
                if value is not None and not lowest(value) >= bound:
                    raise ConfigError(f"{name} must {words}, got {value}")
        target, limit = self.target_policy_shift, self.max_policy_shift
        if target is not None and limit is not None and not stays_below(target, limit):
            raise ConfigError(f"target_policy_shift must stay below max_policy_shift {limit}, got {target}")
        if self.target_entropy is not None and not lowest(self.ent_coef) > 0:
            raise ConfigError(
                f"target_entropy needs a positive ent_coef, such as 0.01, to start from, got {self.ent_coef}"
            )
