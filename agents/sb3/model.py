"""From our settings to a Stable-Baselines3 model of the same meaning."""

from collections.abc import Collection, Sequence
from dataclasses import fields

import gymnasium as gym
import stable_baselines3 as sb3
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize
from torch import nn, optim

from agents.settings import A2CSettings
from envs import builder
from envs.spaces import check_action_space, check_observation_space
from rl.schedules import Linear, Schedule
from rl.typed import ConfigError

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}
_SAME = ("n_steps", "gamma", "gae_lambda", "vf_coef", "max_grad_norm", "normalize_advantage")  # name and meaning
_OURS_ALONE = ("critic_lr_scale", "target_policy_shift", "max_policy_shift", "target_entropy")


def build(settings: A2CSettings, drop: Collection[str] = ()) -> sb3.A2C:
    """An untrained SB3 A2C with these settings, environments of its own, and VecNormalize where they normalize.

    drop: names of settings that SB3 has no counterpart of and that are to be left behind. Raises ConfigError if one
    that is not named there is in use, and as `envs.make` does.
    """
    check_settings(settings, drop)
    return sb3.A2C(
        "MlpPolicy",
        _environments(settings),
        learning_rate=_schedule(settings.learning_rate),
        ent_coef=_number(settings.ent_coef),
        policy_kwargs={
            "net_arch": list(settings.net_arch),
            "activation_fn": ACTIVATIONS[settings.activation],
            "log_std_init": settings.log_std_init,
            "optimizer_class": _optimizer(settings),
            "optimizer_kwargs": {"eps": settings.rms_prop_eps} | ({"alpha": 0.99} if settings.use_rms_prop else {}),
        },
        seed=settings.seed,
        device="cpu",
        **{name: getattr(settings, name) for name in _SAME},
    )


def check_settings(settings: A2CSettings, drop: Collection[str] = ()) -> None:
    """Raises ConfigError if a setting is in use that SB3's A2C does not have, unless its name is in `drop`."""
    usual = {field.name: field.default for field in fields(A2CSettings)}
    known = (*_OURS_ALONE, "ent_coef")
    if unknown := [name for name in drop if name not in known]:
        raise ConfigError(f"drop takes settings that Stable-Baselines3 lacks, {', '.join(known)}; got {unknown[0]!r}")
    used = [name for name in _OURS_ALONE if getattr(settings, name) != usual[name]]
    used += ["ent_coef"] if isinstance(settings.ent_coef, Linear) else []
    if left := [name for name in used if name not in drop]:
        name = left[0]
        raise ConfigError(
            f"Stable-Baselines3's A2C has no counterpart of {name}: {getattr(settings, name)}; "
            f"set it to its default, or leave it behind with to_sb3(agent, drop={left})"
        )


def _environments(settings: A2CSettings) -> VecEnv:
    """SB3's own vector environment, each environment under SB3's own Monitor."""
    env = settings.env
    if isinstance(env, VectorEnv):
        raise ConfigError("Stable-Baselines3 cannot step a Gymnasium vector environment; pass an id or a function")
    make_one, count = builder(env, settings.num_envs, settings.variant)

    def monitored() -> gym.Env[object, object]:
        return Monitor(make_one())

    envs: VecEnv = DummyVecEnv([monitored] * count)
    name = str(env)
    check_observation_space(envs.observation_space, name)
    actions = check_action_space(envs.action_space, name)
    if isinstance(actions, spaces.Discrete) and actions.start != 0:
        raise ConfigError(f"Stable-Baselines3 takes no {actions}, whose actions do not count from 0")
    if settings.normalize_observations or settings.normalize_rewards:
        if settings.normalize_observations and not isinstance(envs.observation_space, spaces.Box):
            raise ConfigError("VecNormalize normalizes no Discrete observations; unset normalize_observations")
        envs = VecNormalize(
            envs, norm_obs=settings.normalize_observations, norm_reward=settings.normalize_rewards, gamma=settings.gamma
        )
    return envs


def _schedule(learning_rate: Schedule) -> float | LinearSchedule:
    if isinstance(learning_rate, Linear):
        return LinearSchedule(learning_rate.initial, learning_rate.final, 1.0)
    return learning_rate


def _number(coefficient: Schedule) -> float:
    return coefficient.initial if isinstance(coefficient, Linear) else coefficient


def _optimizer(settings: A2CSettings) -> type[optim.Optimizer]:
    if not settings.use_rms_prop:
        return optim.Adam
    return RMSpropTFLike if settings.rms_prop_tf_like else optim.RMSprop


def linears(*nets: Sequence[nn.Module] | nn.Sequential) -> list[nn.Linear]:
    return [layer for net in nets for layer in net if isinstance(layer, nn.Linear)]
