"""Worlds for agents: `make` is the only way in."""

from envs.errors import EnvironmentFailure, EnvironmentUsageError, UnknownEnvironment, UnsupportedSpace
from envs.make import Backend, EnvLike, builder, environment_seeds, make
from envs.worlds import Worlds

__all__ = [
    "Backend",
    "EnvLike",
    "EnvironmentFailure",
    "EnvironmentUsageError",
    "UnknownEnvironment",
    "UnsupportedSpace",
    "Worlds",
    "builder",
    "environment_seeds",
    "make",
]
