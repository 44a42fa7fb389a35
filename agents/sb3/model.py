"""`build`: an A2C or PPO of Stable-Baselines3 with our settings."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from inspect import signature

import gymnasium as gym
import stable_baselines3 as sb3
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize
from torch import nn, optim

from agents.maths.schedules import Function, Linear, Ramp, Schedule, value_at
from agents.networks.actor_critic import ACTIVATIONS
from agents.networks.encoders import image_parts
from agents.settings.a2c import SCHEDULED, A2CSettings
from agents.settings.ppo import PPOSettings
from agents.settings.schema import setting_defaults
from agents.settings.values import ConfigError
from envs import builder
from envs.spaces import StackedBox, check_action_space, check_observation_space, is_flat

Model = sb3.A2C | sb3.PPO
_SAME = ("n_steps", "gamma", "gae_lambda", "normalize_advantage")  # the same name and meaning in SB3
_SB3_TAKES = signature(sb3.A2C).parameters

# may be schedules here, but must be numbers in SB3, where only the learning rate can be a schedule
NUMBERS = tuple(name for name in SCHEDULED if name in _SB3_TAKES and name != "learning_rate")

_NOT_DROPPED = (  # these change the meaning of the parameters or the optimizer state
    "network",
    "layer_norm",
    "gru_size",
    "shared_layers",
    "state_dependent_std",
    "use_sde",
    "squash_output",
    "action_masks",
    "optimizer",
    "optimizer_kwargs",
)

_TRAINING_SETTINGS = (
    *(name for name in SCHEDULED if name not in _SB3_TAKES), "reward_scale", "reward_clip", "sparsity", "kl_coef",
)  # fmt: skip


def same(algorithm: type[Model]) -> tuple[str, ...]:
    """The settings of an algorithm that have the same name and meaning in SB3."""
    return (*_SAME, "batch_size", "n_epochs", "target_kl") if algorithm is sb3.PPO else _SAME


def epochs_of(model: Model) -> int:
    """The amount by which SB3 increases its update counter per update."""
    return model.n_epochs if isinstance(model, sb3.PPO) else 1


def algorithm_of(settings: A2CSettings) -> type[Model]:
    """SB3's class for these settings."""
    return sb3.PPO if isinstance(settings, PPOSettings) else sb3.A2C


@dataclass(frozen=True)
class Remaining:
    """A ramp as a function of the remaining share of training, SB3's form of a schedule."""

    ramp: Ramp

    def __call__(self, progress_remaining: float) -> float:
        return value_at(self.ramp, 1 - progress_remaining)


def build(settings: A2CSettings, drop: Collection[str] = ()) -> Model:
    """An untrained SB3 model with these settings and new environments, in VecNormalize if the settings normalize.

    A PPO for PPO's settings, otherwise an A2C. drop: settings to ignore, of those that SB3 lacks.
    Raises ConfigError if another such setting differs from its default, and as `envs.make` does.
    """
    check_settings(settings, drop)
    algorithm = algorithm_of(settings)
    clips = {} if not isinstance(settings, PPOSettings) else {
        name: clip if clip is None else _schedule(clip)
        for name, clip in (("clip_range", settings.clip_range), ("clip_range_vf", settings.clip_range_vf))
    }  # fmt: skip
    return algorithm(
        "MlpPolicy",
        _environments(settings),
        learning_rate=_schedule(settings.learning_rate),
        policy_kwargs={
            "net_arch": dict(zip(("pi", "vf"), map(list, settings.widths), strict=True)),
            "activation_fn": ACTIVATIONS[settings.activation],
            "ortho_init": settings.ortho_init,
            "log_std_init": settings.log_std_init,
            "optimizer_class": _optimizer(settings),
            "optimizer_kwargs": {"eps": settings.rms_prop_eps} | ({"alpha": 0.99} if settings.use_rms_prop else {}),
        },
        seed=settings.seed,
        device="cpu",
        **{name: getattr(settings, name) for name in same(algorithm)}
        | {name: value_at(getattr(settings, name), 0.0) for name in NUMBERS}
        | clips,
    )


def check_settings(settings: A2CSettings, drop: Collection[str] = ()) -> None:
    """Raises ConfigError if a setting that SB3 lacks differs from its default, unless `drop` names it."""
    defaults = setting_defaults(PPOSettings if isinstance(settings, PPOSettings) else A2CSettings)
    name_of = f"Stable-Baselines3's {algorithm_of(settings).__name__}"
    droppable = [name for name in (*_TRAINING_SETTINGS, *NUMBERS) if name in defaults]
    if unknown := [name for name in drop if name not in droppable]:
        raise ConfigError(
            f"drop takes settings that Stable-Baselines3 lacks: {', '.join(droppable)}; got {unknown[0]!r}"
        )
    for name in _NOT_DROPPED:
        if getattr(settings, name) not in (defaults[name], "mlp", "nothing", False):
            raise ConfigError(
                f"{name} is {getattr(settings, name)}, for which {name_of} has no counterpart; "
                "only agents with the default can be converted or compared"
            )
    if isinstance(settings, PPOSettings) and settings.clip_range is None:
        raise ConfigError(f"clip_range is null, but {name_of} always clips: set it")
    used = [name for name in droppable if name not in NUMBERS and getattr(settings, name) != defaults[name]]
    used += [name for name in NUMBERS if not isinstance(getattr(settings, name), float)]
    if lacking := [name for name in used if name not in drop]:
        name = lacking[0]
        default = "null" if defaults[name] is None else defaults[name]
        raise ConfigError(
            f"{name_of} has no counterpart of {name}: {getattr(settings, name)}; "
            f"set it to its default, {default}; to_sb3 can ignore it, with drop={lacking}"
        )


def _environments(settings: A2CSettings) -> VecEnv:
    """SB3's DummyVecEnv, each environment in SB3's Monitor."""
    env = settings.env
    if isinstance(env, VectorEnv):
        raise ConfigError("Stable-Baselines3 cannot step a Gymnasium vector environment; pass an id or a function")
    make_one, count = builder(env, settings.num_envs, settings.variant)

    def monitored() -> gym.Env[object, object]:
        env = Monitor(make_one())
        if isinstance(space := env.observation_space, StackedBox):  # so that a saved model needs no class of ours
            env.observation_space = spaces.Box(space.low, space.high, dtype=space.dtype)
        return env

    envs: VecEnv = DummyVecEnv([monitored] * count)
    name = str(env)
    observations = check_observation_space(envs.observation_space, name)
    actions = check_action_space(envs.action_space, name)
    plain = is_flat(observations) and not image_parts(observations, settings.network)
    if not (plain and isinstance(actions, spaces.Discrete | spaces.Box)):
        raise ConfigError(
            f"{name} has observations {observations} and actions {actions}; Stable-Baselines3 is supported for "
            "vector or Discrete observations, and Discrete or Box actions"
        )
    if isinstance(actions, spaces.Discrete) and actions.start != 0:
        raise ConfigError(f"Stable-Baselines3 does not support {actions}: its actions must count from 0")
    if settings.normalize_observations or settings.normalize_rewards:
        if settings.normalize_observations and not isinstance(envs.observation_space, spaces.Box):
            raise ConfigError("VecNormalize cannot normalize Discrete observations; unset normalize_observations")
        envs = VecNormalize(
            envs, norm_obs=settings.normalize_observations, norm_reward=settings.normalize_rewards,
            clip_obs=settings.clip_normalized, clip_reward=settings.clip_normalized, gamma=settings.gamma,
        )  # fmt: skip
    return envs


def _schedule(schedule: Schedule) -> float | Function | LinearSchedule | Remaining:
    if isinstance(schedule, Linear) and not schedule.begin:
        return LinearSchedule(schedule.initial, schedule.final, schedule.share)
    return Remaining(schedule) if isinstance(schedule, Ramp) else schedule


def _optimizer(settings: A2CSettings) -> type[optim.Optimizer]:
    if not settings.use_rms_prop:
        return optim.Adam
    return RMSpropTFLike if settings.rms_prop_tf_like else optim.RMSprop


def linears(*nets: Sequence[nn.Module] | nn.Sequential) -> list[nn.Linear]:
    """The linear layers of the networks, in order."""
    return [layer for net in nets for layer in net if isinstance(layer, nn.Linear)]
