"""The settings of PPO, with the names, meanings and defaults of Stable-Baselines3 where it has them."""

from dataclasses import dataclass
from typing import Literal

from agents.maths.schedules import Schedule, highest
from agents.settings.a2c import A2CSettings, scheduled
from agents.settings.agent import SMALLEST
from agents.settings.ranges import Count, Envs
from agents.settings.values import ConfigError

Excess = Literal["shorten", "stop"]


@dataclass(eq=False, kw_only=True)  # agents are compared by identity
class PPOSettings(A2CSettings):
    """The settings of `PPO`: those of A2C, with other defaults, and settings of epochs, minibatches and trust region.

    The comment beside a field says what it does; null is None in Python.
    Raises ConfigError, a ValueError, if a setting is out of range.
    """

    changeable = ("n_epochs", "clip_range", "clip_range_vf", "target_kl", "kl_coef", "shift_excess")

    num_envs: Envs | None = 1  # number of parallel environments; null: 8, or those of an environment object
    n_steps: Count = 2048  # steps of each environment per update
    learning_rate: Schedule = 3e-4  # learning rate of the optimizer
    gae_lambda: float = 0.95  # λ of generalized advantage estimation
    use_rms_prop: bool = False  # optimizer; false: Adam, true: RMSprop with α = 0.99
    normalize_advantage: bool = True  # normalize the advantages of each minibatch to mean 0, standard deviation 1

    # Epochs and minibatches
    n_epochs: Count = 10  # passes over each rollout
    batch_size: Count = 64  # steps per minibatch; with a GRU, rounded down to complete sequences, at least one
    clip_range: Schedule | None = 0.2  # ε; a probability ratio outside of 1 ± ε gains nothing more; null: no clipping
    clip_range_vf: Schedule | None = None  # bound on the change of V(s) that the value loss sees; null: no bound

    # Trust region
    target_kl: float | None = None  # an update ends once the sampled KL of a minibatch exceeds 1.5 × this; null: never
    kl_coef: Schedule = 0.0  # weight of KL(π_before ‖ π) in the loss; if > 0, target_policy_shift adapts it
    shift_excess: Excess = "shorten"  # an epoch beyond max_policy_shift ends the update; shorten: also scales it back

    def check(self) -> None:
        super().check()
        self.check_bounds((
            (("clip_range", "clip_range_vf"), 0, "not be negative"),
            (("target_kl",), SMALLEST, "be positive or null"),
            (("kl_coef",), 0, "not be negative"),
        ))  # fmt: skip
        if self.shift_excess != "shorten" and self.max_policy_shift is None:
            raise ConfigError("shift_excess does nothing without max_policy_shift: set it, or leave shift_excess out")
        if self.normalize_advantage and not self.by_sequence and self.batch_size == 1:
            raise ConfigError("normalize_advantage needs more than one step per minibatch: raise batch_size")

    @property
    def by_sequence(self) -> bool:
        """Whether minibatches consist of sequences of several steps, so that none has a single row."""
        return self.gru_size is not None and self.n_steps > 1

    @property
    def penalized(self) -> bool:
        return highest(self.kl_coef) > 0


SCHEDULED = scheduled(PPOSettings)
