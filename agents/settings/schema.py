"""Settings are dataclass fields: their types, defaults and values; checking and merging layers of settings."""

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from functools import cache
from typing import get_type_hints

from agents.settings.values import ConfigError, converted, plain

ALIASES = {  # other libraries' names → ours, for suggestions
    "lr": "learning_rate",
    "n_envs": "num_envs",
    "envs": "num_envs",
    "num_steps": "n_steps",
    "rollout_length": "n_steps",
    "steps": "total_timesteps",
    "timesteps": "total_timesteps",
    "total_steps": "total_timesteps",
    "discount": "gamma",
    "lambda": "gae_lambda",
    "lam": "gae_lambda",
    "value_coef": "vf_coef",
    "clip_grad": "max_grad_norm",
    "grad_clip": "max_grad_norm",
    "max_norm": "max_grad_norm",
    "critic_lr": "critic_lr_scale",
    "eps": "rms_prop_eps",
    "norm_obs": "normalize_observations",
    "normalize_obs": "normalize_observations",
    "norm_reward": "normalize_rewards",
    "clip_obs": "clip_normalized",
    "clip_reward": "reward_clip",
    "hidden_sizes": "net_arch",
    "hidden_layers": "net_arch",
    "layers": "net_arch",
    "activation_fn": "activation",
    "lstm_size": "gru_size",
    "time_limit": "max_episode_steps",
}


def setting_types(*settings: type) -> dict[str, object]:
    """Key → type of every setting that these dataclasses take by keyword."""
    return {field.name: _hints(cls)[field.name] for cls in settings for field in _fields(cls)}


@cache
def _hints(cls: type) -> dict[str, object]:
    """Name → type. A subclass that only replaces a default, as in `n_steps: int = 64`, keeps the declared range."""
    plain, ranged = get_type_hints(cls), dict[str, object]()
    for base in cls.__mro__:
        of_base = get_type_hints(base)
        for name, kind in get_type_hints(base, include_extras=True).items():
            if of_base[name] == plain[name] != kind:
                ranged.setdefault(name, kind)
    return plain | ranged


def setting_values(instance: object) -> dict[str, object]:
    """Key → value of every setting of a dataclass instance, with the keys of `setting_types`."""
    return {field.name: getattr(instance, field.name) for field in _fields(type(instance))}


def setting_defaults(*settings: type) -> dict[str, object]:
    """Key → default of every setting, with the keys of `setting_types`."""
    return {field.name: field.default for cls in settings for field in _fields(cls)}


def _fields(cls: type) -> list[dataclasses.Field[object]]:
    return [field for field in dataclasses.fields(cls) if field.init and field.name not in ("env", "agent")]


def convert_settings(instance: object, cls: type) -> None:
    """Converts the fields that cls declares to their types, in place. Raises ConfigError on a wrong type."""
    for name, kind in setting_types(cls).items():
        object.__setattr__(instance, name, converted(name, getattr(instance, name), kind))  # also in a frozen dataclass


def plain_settings(settings: Mapping[str, object]) -> dict[str, object]:
    """Settings as checkpoints store them. Raises ConfigError that names a setting which cannot be stored."""
    stored = dict[str, object]()
    for key, value in settings.items():
        try:
            stored[key] = plain(value)
        except ConfigError as error:
            raise ConfigError(f"{key} {error}") from None
    return stored


def with_defaults(settings: Mapping[str, object], defaults: Mapping[str, object]) -> dict[str, object]:
    """Settings in YAML form, completed with defaults for settings added since the run was made."""
    return {key: plain(value) for key, value in {**defaults, **settings}.items()}


def merge_layers(types: Mapping[str, object], layers: Iterable[tuple[str, Mapping[str, object]]]) -> dict[str, object]:
    """Checks and converts (source, settings) pairs; later layers override earlier ones.

    Raises ConfigError naming the source, the key, and the nearest known key or the type expected.
    """
    merged: dict[str, object] = {}
    for source, layer in layers:
        for key, value in layer.items():
            if key not in types:
                raise ConfigError(f"{source}: unknown setting {key!r}{suggestion(key, types)}")
            merged[key] = converted(f"{source}: {key}", value, types[key])
    return merged


def suggestion(word: str, known: Iterable[str]) -> str:
    """ "; did you mean 'gamma'?" for the known setting, flag or name closest to the word, or "" if none is close."""
    words = list(known)
    meant = ALIASES.get(word.removeprefix("--").replace("-", "_"))
    flag = "--" + (meant or "").replace("_", "-")
    if meant and word.startswith("--") and "--set" in words and flag not in words:
        return f"; did you mean '--set {meant}=VALUE'?"
    close = [x for x in (meant, flag) if x in words] or difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
