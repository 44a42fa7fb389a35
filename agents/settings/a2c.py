"""The settings of A2C, with the names, meanings and defaults of Stable-Baselines3 where it has them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, get_args

from torch.optim import Optimizer

from agents.maths.schedules import Ramp, Schedule, lowest, stays_below
from agents.settings.actor_critic import ActorCriticSettings
from agents.settings.agent import SMALLEST
from agents.settings.schema import setting_defaults, setting_types
from agents.settings.values import ConfigError

OptimizerClass = str | Callable[..., Optimizer]


@dataclass(eq=False, kw_only=True)  # agents are compared by identity
class A2CSettings(ActorCriticSettings):
    """The settings of `A2C`. The one default that differs from Stable-Baselines3's is `n_steps`: 1 here, 5 there.

    The comment beside a field says what it does; null is None in Python. A `Schedule` is a number or a function of
    training progress, such as linear(7e-4, 0): see `agents.maths.schedules`.
    Raises ConfigError, a ValueError, if a setting is out of range.
    """

    changeable: ClassVar[tuple[str, ...]] = (
        "learning_rate", "gae_lambda", "ent_coef", "vf_coef", "max_grad_norm", "critic_lr_scale",
        "target_policy_shift", "max_policy_shift",
    )  # fmt: skip

    # The update
    learning_rate: Schedule = 7e-4  # learning rate of the optimizer
    gae_lambda: float = 1.0  # λ of generalized advantage estimation; 1: n-step advantages
    ent_coef: Schedule = 0.0  # weight of the entropy bonus in the loss
    vf_coef: Schedule = 0.5  # weight of the value loss in the loss
    max_grad_norm: Schedule = 0.5  # bound on the L2 norm of the gradient of π_θ and V_φ together
    use_rms_prop: bool = True  # optimizer; true: RMSprop with α = 0.99, false: Adam
    rms_prop_tf_like: bool = False  # use TensorFlow's RMSprop, with ε inside the root: `agents.rmsprop`
    rms_prop_eps: float = 1e-5  # ε of RMSprop or Adam
    optimizer: OptimizerClass | None = (
        None  # another optimizer, module:Class, such as torch.optim:AdamW; null: RMSprop or Adam
    )
    optimizer_kwargs: dict[str, object] | None = None  # further keyword arguments of the optimizer
    normalize_advantage: bool = False  # normalize the advantages of each rollout to mean 0, standard deviation 1

    # Step size and entropy (not in Stable-Baselines3)
    critic_lr_scale: Schedule = 1.0  # learning rate of V_φ, as a multiple of learning_rate
    target_policy_shift: Schedule | None = None  # target KL(π_before ‖ π_after) in nats; adapts π_θ's step; null: off
    max_policy_shift: Schedule | None = None  # bound on KL(π_before ‖ π_after) in nats; shortens π_θ's step; null: off
    target_entropy: Schedule | None = None  # entropy target in nats; adapts ent_coef, the initial value; null: off

    @property
    def penalized(self) -> bool:
        """Whether the loss contains KL(π_before ‖ π)."""
        return False

    def check(self) -> None:
        super().check()
        self.check_bounds((
            (("learning_rate", "ent_coef", "vf_coef", "max_grad_norm", "critic_lr_scale"), 0, "not be negative"),
            (("rms_prop_eps",), SMALLEST, "be positive"),
            (("target_policy_shift", "max_policy_shift"), SMALLEST, "be positive or null"),
        ))  # fmt: skip
        self.check_fractions("gae_lambda")
        self._check_combinations()

    def _check_combinations(self) -> None:
        self._check_optimizer()
        if self.rms_prop_tf_like and not self.use_rms_prop:
            raise ConfigError("rms_prop_tf_like needs use_rms_prop: it is a form of RMSprop")
        target, limit = self.target_policy_shift, self.max_policy_shift
        if target is not None and limit is not None and not stays_below(target, limit):
            raise ConfigError(f"target_policy_shift must stay below max_policy_shift {limit}, got {target}")
        if self.target_entropy is not None and not lowest(self.ent_coef) > 0:
            raise ConfigError(
                f"target_entropy needs a positive ent_coef to start from, such as 0.01, got {self.ent_coef}"
            )

    def _check_optimizer(self) -> None:
        if isinstance(self.optimizer, str) and ":" not in self.optimizer:
            raise ConfigError(f"optimizer must be module:Class, such as torch.optim:AdamW, got {self.optimizer!r}")
        if self.optimizer is not None:
            defaults = setting_defaults(type(self))
            for name in ("use_rms_prop", "rms_prop_tf_like", "rms_prop_eps"):
                if getattr(self, name) != defaults[name]:
                    raise ConfigError(f"{name} does nothing with an optimizer of its own; pass optimizer_kwargs")
        taken = {"lr": "learning_rate", "params": "the networks"}
        taken |= {} if self.optimizer else {"eps": "rms_prop_eps"}
        for name in (self.optimizer_kwargs or {}).keys() & taken:
            raise ConfigError(f"optimizer_kwargs must leave out {name}, which is {taken[name]}")


def scheduled(settings: type) -> tuple[str, ...]:
    """The settings that a class declares as schedules, in order of declaration."""
    return tuple(name for name, kind in setting_types(settings).items() if Ramp in get_args(kind))


SCHEDULED = scheduled(A2CSettings)
