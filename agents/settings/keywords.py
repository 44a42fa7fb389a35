"""Rejects unknown keywords of a class or function; suggests the nearest one, or advises on Stable-Baselines3's."""

import dataclasses
from abc import ABCMeta
from collections.abc import Callable, Collection, Iterable
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import ParamSpec, TypeVar, cast

from gymnasium.vector import VectorEnv

from agents.settings.sb3_names import ARGUMENTS
from agents.settings.schema import suggestion
from agents.settings.values import ConfigError

_POLICY = "the networks follow from network, net_arch and activation"

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


def check_keywords(what: str, given: Iterable[str], known: Collection[str]) -> None:
    """Raises ConfigError, in one line, for an unknown keyword. what: begins the message."""
    for name in given:
        if name not in known and name in ARGUMENTS:
            raise ConfigError(f"{what} takes no {name}: {ARGUMENTS[name]}")
        if name not in known:
            raise ConfigError(f"{what}: unknown setting {name!r}{suggestion(name, known)}")


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """The function, with keywords checked by `check_keywords`."""
    known = signature(function).parameters

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        check_keywords(function.__name__, kwargs, known)
        return function(*args, **kwargs)

    return call


class CheckedKeywords(ABCMeta):
    """Metaclass of classes whose constructors check their keywords.

    A default `num_envs` gives way to a vector environment, which has a number of its own.
    """

    @property
    def __signature__(cls) -> Signature:
        """The constructor's signature, as shown by `inspect` and `help`."""
        own = signature(cls.__init__)  # type: ignore[misc]
        return own.replace(parameters=[*own.parameters.values()][1:])

    def __call__(cls: type[T], *args: object, **kwargs: object) -> T:
        parameters = signature(cls).parameters
        if args and _is_policy(args[0]):
            raise ConfigError(f"{cls.__name__} takes no policy: write {cls.__name__}(env, …); {_POLICY}")
        if all(parameter.kind is not Parameter.VAR_KEYWORD for parameter in parameters.values()):
            check_keywords(cls.__name__, kwargs, parameters)
        _check_defaults(cls)
        settings = getattr(cls, "__dataclass_fields__", {})  # a subclass that replaces a default makes it positional
        if len(args) > 1 and ([*parameters, "env"][1] in settings or len(args) > len(parameters)):
            raise ConfigError(
                f"{cls.__name__}: write settings as keywords, such as learning_rate=7e-4, got {args[1]!r}"
            )
        if "num_envs" in settings and isinstance(args[0] if args else kwargs.get("env"), VectorEnv):
            kwargs.setdefault("num_envs", None)
        return cast(T, type.__call__(cls, *args, **kwargs))


def _check_defaults(cls: type) -> None:
    """Raises ConfigError if a subclass replaces a default but is no dataclass: its constructor would not see that."""
    for field in dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ():
        value = getattr(cls, field.name, field.default)
        if field.default is not dataclasses.MISSING and value is not field.default and not hasattr(value, "__set__"):
            raise ConfigError(
                f"{cls.__name__} has another default of {field.name}, so it must be a dataclass: write "
                "@dataclass(eq=False) above the class"
            )


def _is_policy(value: object) -> bool:
    """Whether the value is a policy of Stable-Baselines3, by name or as a class."""
    name = value.__name__ if isinstance(value, type) else value
    return isinstance(name, str) and name.endswith("Policy") and ":" not in name
