"""Environments for agents: `make` builds all of them."""

from envs.backends import Backend, check_backend, evaluation_backend
from envs.build import EnvLike, Variant, builder
from envs.errors import (
    EnvironmentFailure,
    EnvironmentReplaced,
    EnvironmentUsageError,
    EnvironmentWarning,
    UnknownEnvironment,
    UnsupportedSpace,
)
from envs.make import make
from envs.observations import batched
from envs.worlds import Origin, Worlds

__all__ = [
    "Backend",
    "EnvLike",
    "EnvironmentFailure",
    "EnvironmentReplaced",
    "EnvironmentUsageError",
    "EnvironmentWarning",
    "Origin",
    "UnknownEnvironment",
    "UnsupportedSpace",
    "Variant",
    "Worlds",
    "batched",
    "builder",
    "check_backend",
    "evaluation_backend",
    "make",
]
