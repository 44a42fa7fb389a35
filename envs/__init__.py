"""Worlds for agents: `make` is the only way in."""

from envs.build import EnvLike, Variant, builder
from envs.errors import EnvironmentFailure, EnvironmentUsageError, UnknownEnvironment, UnsupportedSpace
from envs.make import Backend, make
from envs.worlds import Origin, Worlds

__all__ = [
    "Backend",
    "EnvLike",
    "EnvironmentFailure",
    "EnvironmentUsageError",
    "Origin",
    "UnknownEnvironment",
    "UnsupportedSpace",
    "Variant",
    "Worlds",
    "builder",
    "make",
]
