"""Errors between an agent and its environments; each type says who made the mistake."""

import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

_LONGEST = 300  # characters of an error's text
_LONGEST_VALUE = 80  # characters of a value


class EnvironmentUsageError(ValueError):
    """The arguments cannot be used; nothing has run yet."""


class UnknownEnvironment(EnvironmentUsageError):
    """There is no such environment id, or its package is not installed."""


class UnsupportedSpace(EnvironmentUsageError):
    """No agent here can use the observation or action space of the environment."""


class EnvironmentFailure(RuntimeError):
    """The environment raised while running, or returned something that cannot be learned from.

    index: of the environment among those stepped together, if known.
    """

    def __init__(self, message: str, index: int | None = None) -> None:
        super().__init__(message)
        self.index = index


class WrongObservation(ValueError):
    """An observation is not in its space. The message continues the words "returned an"."""


class EnvironmentReplaced(EnvironmentFailure):
    """Processes that died in a step were replaced. The transitions of that step must not be used.

    obs: [N, …], the observations to continue from; where `replaced`, bool[N], is true, a new episode's first one.
    """

    def __init__(self, obs: NDArray[np.generic], replaced: NDArray[np.bool_]) -> None:
        super().__init__(f"the processes of {int(replaced.sum())} environments were replaced")
        self.obs, self.replaced = obs, replaced


class EnvironmentWarning(UserWarning):
    """The environment failed, but nothing was lost."""


def in_one_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """A `warnings.formatwarning`: a warning as commands print it, with its location only if it is not ours."""
    ours = any(kind.__module__.partition(".")[0] in ("agents", "envs") for kind in category.__mro__)
    place = "" if ours else f" ({category.__name__}, {filename}:{lineno})"
    return f"warning: {' '.join(str(message).split())}{place}\n"


def reason(error: BaseException) -> str:
    """ "ValueError: its message", in one line."""
    return f"{type(error).__name__}: {message_of(error)}"


def message_of(error: BaseException) -> str:
    """The error's text in one line; if it has none, or str() raises, the line of code that raised the error."""
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = ""
    return (text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …") or f"no message{_place(error)}"


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno}: {frames[-1].line})" if frames else ""


def shown(value: object) -> str:
    """A value as one line of text; also for objects whose repr() raises."""
    try:
        text = " ".join(repr(value).split())
    except Exception:
        text = f"a {type(value).__name__}"
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]} …"


@contextmanager
def usage_errors(what: str) -> Iterator[None]:
    """Turns everything but Ctrl-C that is raised inside into EnvironmentUsageError: "`what`: ValueError: message"."""
    try:
        yield
    except (KeyboardInterrupt, EnvironmentUsageError):
        raise
    except BaseException as error:
        raise EnvironmentUsageError(f"{what}: {reason(error)}") from error


def close(env: gym.Env[object, object], name: str) -> None:
    """Closes an environment, and warns if that fails."""
    try:
        env.close()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        text = f"{name} raised {type(error).__name__} in close, which is ignored: {message_of(error)}"
        warnings.warn(text, EnvironmentWarning, stacklevel=2)
