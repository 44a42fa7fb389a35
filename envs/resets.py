"""Supports environments whose `reset` lacks Gymnasium's parameter `seed` or `options`."""

import inspect
import warnings

import gymnasium as gym
from gymnasium.utils.seeding import np_random

from envs.errors import EnvironmentWarning

AnyEnv = gym.Env[object, object]


def with_full_reset(env: AnyEnv) -> AnyEnv:
    """The environment, where every layer, down to the innermost, can be reset with a seed and options."""
    if isinstance(env, gym.Wrapper):
        inner = with_full_reset(env.env)
        if inner is not env.env:
            env.env = inner
    try:
        parameters = inspect.signature(env.reset).parameters
    except (TypeError, ValueError):
        return env
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return env
    return env if {"seed", "options"} <= parameters.keys() else _FullReset(env, "seed" in parameters)


class _FullReset(gym.Wrapper[object, object, object, object]):
    """Does not pass empty options on. takes_seed: whether the environment's reset accepts a seed."""

    def __init__(self, env: AnyEnv, takes_seed: bool) -> None:
        super().__init__(env)
        self.takes_seed = takes_seed
        if not takes_seed:
            text = f"reset of {type(env).__name__} takes no seed: a run may not be reproducible"
            warnings.warn(text, EnvironmentWarning, stacklevel=2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, object] | None = None
    ) -> tuple[object, dict[str, object]]:
        if options:
            return self.env.reset(seed=seed, options=options)
        if self.takes_seed:
            return self.env.reset(seed=seed)
        if seed is not None:
            self.unwrapped.np_random = np_random(seed)[0]  # its reset may use this generator
        return self.env.reset()
