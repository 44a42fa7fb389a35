"""The settings that every agent has."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal

import gymnasium as gym
from gymnasium.vector import VectorEnv

from agents.maths.schedules import lowest
from agents.settings.ranges import Count, Envs, Frames, Seed, Steps, Threads
from agents.settings.schema import convert_settings
from agents.settings.values import ConfigError
from envs import Backend, EnvLike, Variant, check_backend

SMALLEST = math.ulp(0.0)  # the smallest positive float: a bound that excludes zero
Bounds = Sequence[tuple[Sequence[str], float, str]]  # names, lower bound, and the words for it


@dataclass(eq=False)  # agents are compared by identity
class AgentSettings:
    """The settings of every agent: environments, seed, threads.

    The comment beside a field says what it does; null is None in Python.
    Raises ConfigError, a ValueError, if a setting has the wrong type or is out of range.
    """

    changeable: ClassVar[tuple[str, ...]] = ()  # settings below that may change on a built agent

    env: EnvLike  # environment id, environment, function that builds one, or vector environment: see `envs.make`
    _: KW_ONLY

    # Steps
    seed: Seed = 0  # seed of every random stream
    num_envs: Envs | None = None  # number of parallel environments; null: 8, or those of an environment object
    n_steps: Count = 1  # steps of each environment per update; 1: single-step TD

    # Environments
    action_masks: bool | None = None  # obey action_mask in infos; null: if the environment id provides action masks
    backend: Backend = "auto"  # what steps the environments, see `envs.make`; auto: native, mujoco or sync
    step_timeout: float | None = None  # seconds for a step, a reset, or to build environments, with backend async
    on_crash: Literal["fail", "restart"] = "fail"  # restart: replace a process that dies or hangs, with backend async
    max_episode_steps: Steps | None = None  # time limit in steps; null: the registered one
    env_kwargs: dict[str, object] | None = None  # arguments of the environment's constructor
    frame_stack: Frames = 1  # number of latest observations that form the agent's observation
    wrappers: tuple[str, ...] = ()  # module:Class:key=value:…, innermost first; default module: gymnasium.wrappers
    atari_preprocessing: bool = False  # frame skip 4, gray, 84 × 84: see `envs.Variant`
    threads: Threads = 1  # torch threads during training; more are slower for small networks

    @property
    def variant(self) -> Variant:
        """The settings that affect how each environment is built."""
        return Variant(**{name: getattr(self, name) for name in Variant._fields})

    def __post_init__(self) -> None:
        convert_settings(self, type(self))
        self.check()

    def check(self) -> None:
        """Raises ConfigError if a setting is out of range."""
        self.check_bounds((
            (("step_timeout",), SMALLEST, "be positive or null"),
        ))  # fmt: skip
        check_backend(self.backend)
        if self.threads > (os.cpu_count() or 1):
            raise ConfigError(f"threads is {self.threads}; this machine has {os.cpu_count()} processors")

    def check_bounds(self, bounds: Bounds) -> None:
        """Raises ConfigError if a setting that is not null falls below its bound at any point of its schedule."""
        for names, bound, words in bounds:
            for name in names:
                value = getattr(self, name)
                if value is not None and not lowest(value) >= bound:
                    raise ConfigError(f"{name} must {words}, got {value}")


def settings_of_object(env: EnvLike, settings: Mapping[str, object], saved_envs: int | None) -> dict[str, object]:
    """Replacements for saved settings if an environment object, a function or a vector environment takes over.

    A function builds as many environments as were saved, on the saved backend if it supports functions.
    """
    changed: dict[str, object] = {"env_kwargs": None, "atari_preprocessing": False}
    built = isinstance(env, gym.Env | VectorEnv)
    changed["num_envs"] = None if built else settings.get("num_envs") or saved_envs
    if built or settings.get("backend") not in ("sync", "async"):
        changed |= {"backend": "auto", "step_timeout": None, "on_crash": "fail"}
    if isinstance(env, VectorEnv):
        changed |= {"max_episode_steps": None, "frame_stack": 1, "wrappers": ()}
    return changed
