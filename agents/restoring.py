"""What is needed to rebuild an agent: environment and settings from a checkpoint, and what replaces them."""

from collections.abc import Mapping
from typing import cast

import numpy as np

from agents.checkpoint import Checkpoint, CheckpointError
from agents.settings.agent import settings_of_object
from agents.settings.schema import merge_layers
from agents.settings.values import ConfigError
from envs import EnvLike, Variant, saved
from envs.absent import absent

_WORLDS = {*Variant._fields, "num_envs", "backend"}  # without these, environments cannot continue


def restored(
    read: Checkpoint,
    env: EnvLike | None,
    engine: str | None,
    known: Mapping[str, object],
    changes: Mapping[str, object],
) -> tuple[EnvLike, dict[str, object], bool]:
    """The environment (by default the saved id, or one that knows only the spaces), the settings, and whether the
    environments continue from their saved state.

    known: name → type; changes: settings that replace saved ones. Raises ConfigError for an unknown setting.
    """
    changed = merge_layers(known, [("load", changes)])
    if "seed" in changed:
        raise ConfigError("load: a loaded agent goes on with its own random numbers: leave seed out")
    if env is not None or read.env is not None:
        found = cast(EnvLike, read.env if env is None else env)
        return found, _settings_on(read, env, engine, known) | changed, env is None and not changed.keys() & _WORLDS
    if read.absent is None:
        raise CheckpointError(f"{read.path} was trained on an environment object, which no file can hold: pass env=")
    if lacking := sorted(changed.keys() & _WORLDS):
        raise ConfigError(f"load: {lacking[0]} is for environments, and this agent is loaded without: pass env=")
    try:
        stand_in, count = absent(read.absent)
    except saved.Misfit as error:
        raise CheckpointError(f"{read.path}: {error}") from None
    settings = _settings_on(read, stand_in, engine, known) | changed
    plain = {**Variant._field_defaults, "backend": "auto", "step_timeout": None, "on_crash": "fail"}
    return stand_in, settings | plain | {"num_envs": count}, False


def _settings_on(
    read: Checkpoint, env: EnvLike | None, engine: str | None, known: Mapping[str, object]
) -> dict[str, object]:
    """The settings in `known`, name → type. With an environment object, those that apply only to an id are reset."""
    settings = merge_layers(known, [(read.path, {key: x for key, x in read.settings.items() if key in known})])
    if engine is not None and "engine" in known:
        settings |= {"engine": engine}
    if env is None or isinstance(env, str):
        return settings
    obs = read.loop.get("obs") if read.env is None else None  # with an id, the settings contain the number, or it is 8
    count = len(obs) if isinstance(obs, np.ndarray) and obs.ndim and len(obs) else None
    return settings | settings_of_object(env, settings, count)
