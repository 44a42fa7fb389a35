"""`Variant`: what is changed about an environment as it is registered; and the wrappers that stack observations."""

import importlib
from collections.abc import Mapping
from copy import deepcopy
from functools import partial
from typing import NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box
from gymnasium.wrappers import FrameStackObservation, TimeLimit, TransformObservation

from envs.errors import EnvironmentUsageError, UnsupportedSpace
from envs.spaces import channels_last

AnyEnv = gym.Env[object, object]


class Variant(NamedTuple):
    """How one environment is built, beside its id. The agents' settings of the same names make one up.

    max_episode_steps: a time limit in place of the registered one, in steps of the agent. env_kwargs: arguments of the
    environment's constructor, for an id only. frame_stack: the last k observations as one, see `stacked`.
    atari_preprocessing: Gymnasium's AtariPreprocessing (up to 30 no-ops, frames skipped by 4, 84 × 84, gray) and
    images [k, 84, 84], for an Atari id only. wrappers: "module:Class" of Gymnasium wrappers that take the environment
    alone, from the inside out, before frames are stacked.
    """

    max_episode_steps: int | None = None
    env_kwargs: Mapping[str, object] | None = None
    frame_stack: int = 1
    atari_preprocessing: bool = False
    wrappers: tuple[str, ...] = ()

    @property
    def changes(self) -> dict[str, object]:
        """The fields that change something."""
        return {
            name: value
            for name, value in self._asdict().items()
            if value != self._field_defaults[name] and not (name == "env_kwargs" and not value)
        }

    def check(self) -> None:
        """Raises EnvironmentUsageError if a number is out of range."""
        for name, value in (("max_episode_steps", self.max_episode_steps), ("frame_stack", self.frame_stack)):
            if value is not None and value < 1:
                raise EnvironmentUsageError(f"{name} must be positive, got {value}")


def limited(env: AnyEnv, max_episode_steps: int | None) -> AnyEnv:
    """With this time limit, in place of one that is outermost already; None leaves the environment as it is."""
    if max_episode_steps is None:
        return env
    return TimeLimit(env.env if isinstance(env, TimeLimit) else env, max_episode_steps)


def stacked(env: AnyEnv, count: int, name: str) -> AnyEnv:
    """The last `count` observations as one; the first of an episode stands in for those before it.

    Vectors [D] become [k, D], gray images [H, W] become [k, H, W], and images with channels one image with k times
    the channels: [H, W, k·C] or [k·C, H, W]. Raises UnsupportedSpace for
    anything but a Box.
    """
    space = env.observation_space
    if not isinstance(space, Box):
        raise UnsupportedSpace(f"frame_stack={count} needs Box observations; {name} has {space}: leave it at 1")
    copied = TransformObservation(env, deepcopy, None)  # an environment may reuse its buffer, and the stack keeps it
    frames: AnyEnv = FrameStackObservation(copied, count)
    if len(space.shape) != 3:
        return frames
    join = partial(np.concatenate, axis=-1 if channels_last(space.shape) else 0)
    low, high = (join([bound] * count) for bound in (space.low, space.high))
    return TransformObservation(frames, join, Box(low, high, dtype=space.dtype.type))


def wrapped(env: AnyEnv, wrappers: tuple[str, ...]) -> AnyEnv:
    """Raises EnvironmentUsageError if one of them cannot be imported or does not take the environment."""
    for name in wrappers:
        module, _, attribute = name.partition(":")
        try:
            env = getattr(importlib.import_module(module), attribute)(env)
        except Exception as error:
            text = " ".join(str(error).split())
            raise EnvironmentUsageError(f"cannot apply wrapper {name!r}: {type(error).__name__}: {text}") from error
        if not isinstance(env, gym.Env):
            raise EnvironmentUsageError(
                f"wrapper {name!r} makes no gymnasium.Env but {env!r}; wrappers are module:Class"
            )
    return env
