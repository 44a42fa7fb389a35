"""Builds one environment from an id, an object or a function; every failure has a one-line message."""

import importlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import VectorEnv
from gymnasium.wrappers import AtariPreprocessing, TimeLimit

from envs.errors import EnvironmentUsageError, UnknownEnvironment, reason, shown, usage_errors
from envs.extras import install_command
from envs.frames import stack_frames
from envs.names import environments_in, full_id, load_module, nearest, parse_wrapper
from envs.resets import with_full_reset
from envs.snapshot import layers_of

AnyEnv = gym.Env[object, object]
EnvLike = str | AnyEnv | VectorEnv | Callable[[], AnyEnv]
NUM_ENVS = 8  # default for an id or a function
_EXTRAS = {"box2d": "box2d", "mujoco": "mujoco", "ale": "atari", "opencv": "atari"}


class Variant(NamedTuple):
    """Changes to an environment; the agents' settings of the same names fill the fields.

    max_episode_steps: replaces the registered time limit, in the agent's steps. env_kwargs: arguments of the
    environment's constructor, only for an id. frame_stack: number of observations to stack, see `stack_frames`.
    atari_preprocessing: Gymnasium's AtariPreprocessing (up to 30 no-ops, frame skip 4, 84 × 84, gray), which gives
    images [k, 84, 84], only for an Atari id. wrappers: innermost first, see `envs.names.parse_wrapper`; frames are
    stacked outside of them.

    >>> Variant(max_episode_steps=100, wrappers=("TimeAwareObservation",)).changes
    {'max_episode_steps': 100, 'wrappers': ('TimeAwareObservation',)}
    """

    max_episode_steps: int | None = None
    env_kwargs: Mapping[str, object] | None = None
    frame_stack: int = 1
    atari_preprocessing: bool = False
    wrappers: tuple[str, ...] = ()

    @property
    def changes(self) -> dict[str, object]:
        """The fields that differ from their defaults."""
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


def builder(
    env: str | AnyEnv | Callable[[], AnyEnv], num_envs: int | None, variant: Variant
) -> tuple[Callable[[], AnyEnv], int]:
    """A function that builds one copy, and the number of copies. Raises EnvironmentUsageError as `make` does."""
    variant.check()
    if num_envs is not None and num_envs < 1:
        raise EnvironmentUsageError(f"num_envs must be at least 1, got {num_envs}")
    if isinstance(env, str):
        return partial(_build, env, variant), num_envs or NUM_ENVS
    for name in ("env_kwargs", "atari_preprocessing"):
        if name in variant.changes:
            raise EnvironmentUsageError(f"{name} applies only to an environment id; this environment is already built")
    if isinstance(env, gym.Env):
        if num_envs not in (None, 1):
            raise EnvironmentUsageError(
                f"one environment object cannot fill num_envs={num_envs}; pass its id or a function that builds it"
            )
        return partial(_from_function, lambda: env, variant), 1
    if not callable(env):
        hint = "; pass what one copy is built from, and num_envs" if hasattr(env, "num_envs") else ""
        raise EnvironmentUsageError(
            f"env must be an id, an environment or a function that builds one, got {env!r}{hint}"
        )
    return partial(_from_function, env, variant), num_envs or NUM_ENVS


def name_of(env: AnyEnv | VectorEnv) -> str:
    """The environment's registered id, or the name of its class."""
    spec = getattr(env, "spec", None)
    return str(spec.id) if isinstance(spec, EnvSpec) else type(env.unwrapped).__name__


def _build(env_id: str, variant: Variant) -> AnyEnv:
    module, _, bare = env_id.rpartition(":")
    if env_id.startswith("ALE/") or (variant.atari_preprocessing and bare not in gym.registry):
        _register_atari(env_id)
    try:
        loaded = load_module(module) if module else None
        if loaded is not None and hasattr(loaded, bare) and full_id(bare) not in gym.registry:
            env = _constructed(getattr(loaded, bare), env_id, variant)
        elif loaded is not None and full_id(bare) not in gym.registry:
            hint = nearest(bare, [*environments_in(loaded), *gym.registry])
            raise UnknownEnvironment(f"{module} neither registers an id {bare!r} nor has a class of that name{hint}")
        else:
            env = (_atari if variant.atari_preprocessing else _registered)(
                env_id if loaded is None else full_id(bare), variant
            )
    except EnvironmentUsageError:
        raise
    except (gym.error.UnregisteredEnv, gym.error.DeprecatedEnv) as error:
        hint = nearest(bare, gym.registry) or "; gymnasium.pprint_registry() lists the known ids"
        raise UnknownEnvironment(f"unknown environment {env_id!r}{hint}{_elsewhere(env_id)}") from error
    except ModuleNotFoundError as error:
        name = getattr(error.__cause__, "name", None) or error.name  # Gymnasium's own error has no name
        remedy = "check its path" if str(name).endswith(".py") else "install it"
        raise UnknownEnvironment(f"cannot import {name!r}, which {env_id!r} needs; {remedy}") from error
    except gym.error.DependencyNotInstalled as error:
        extra = next((name for word, name in _EXTRAS.items() if word in str(error).lower()), None)
        remedy = install_command(extra) if extra else str(error).strip().splitlines()[0]
        raise UnknownEnvironment(f"{env_id!r} needs a package that is not installed: {remedy}") from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise EnvironmentUsageError(f"cannot build {env_id!r}: {reason(error)}") from error
    return _wrap(env, variant, env_id)


def _elsewhere(env_id: str) -> str:
    """How to name an environment that is not registered in Gymnasium."""
    if env_id.endswith(".py"):
        return f"; name the class in the file: {env_id}:Class"
    return f"; of another package, name the module that registers it (gymnasium.register) or its class: module:{env_id}"


def _constructed(make: Callable[..., AnyEnv], env_id: str, variant: Variant) -> AnyEnv:
    """An environment from a class, or from a function that builds one."""
    env = make(**(variant.env_kwargs or {}))
    if not isinstance(env, gym.Env):
        raise EnvironmentUsageError(f"{env_id!r} gave {shown(env)}, not a gymnasium.Env{_of_old_gym(env)}")
    return limit_time(env, variant.max_episode_steps)


def _of_old_gym(env: object) -> str:
    """What to do about an environment of the old gym package."""
    old = any(base.__module__.partition(".")[0] == "gym" for base in type(env).__mro__)
    return "; Shimmy's GymV26Environment-v0 takes environments of the old gym, by env_kwargs" if old else ""


def _registered(env_id: str, variant: Variant) -> AnyEnv:
    # Gymnasium's checker would print long warnings about what `Worlds` copies or rejects anyway
    return gym.make(env_id, variant.max_episode_steps, disable_env_checker=True, **(variant.env_kwargs or {}))


def _atari(env_id: str, variant: Variant) -> AnyEnv:
    """Observations are [84, 84], or [1, 84, 84] without frame stacking. The wrapper, not the emulator, skips frames."""
    kwargs = dict(variant.env_kwargs or {})
    spec = gym.registry.get(env_id.rpartition(":")[2])
    if spec is not None and not str(spec.entry_point).startswith("ale_py"):
        raise EnvironmentUsageError(f"atari_preprocessing needs an Atari id such as 'ALE/Pong-v5', got {env_id!r}")
    if "frameskip" in kwargs:
        raise EnvironmentUsageError("atari_preprocessing skips frames itself: leave frameskip out of env_kwargs")
    env: AnyEnv = AtariPreprocessing(gym.make(env_id, None, disable_env_checker=True, frameskip=1, **kwargs))
    env = limit_time(env, variant.max_episode_steps)  # outermost, so that it counts the agent's steps
    return env if variant.frame_stack > 1 else stack_frames(env, 1, env_id)


def _from_function(build: Callable[[], AnyEnv], variant: Variant) -> AnyEnv:
    with usage_errors("the function cannot build an environment"):
        env = build()
    if not isinstance(env, gym.Env):
        raise EnvironmentUsageError(
            f"the function must return a gymnasium.Env, it returned {shown(env)}{_of_old_gym(env)}"
        )
    return _wrap(limit_time(env, variant.max_episode_steps), variant, name_of(env))


def _wrap(env: AnyEnv, variant: Variant, name: str) -> AnyEnv:
    for attribute in ("observation_space", "action_space"):
        with usage_errors(f"{name} has an {attribute} that cannot be read"):
            space = getattr(env, attribute, None)
        if space is None:
            raise EnvironmentUsageError(f"{name} has no {attribute}; every gymnasium.Env must set one")
    if not isinstance(env.spec, EnvSpec | None):
        raise EnvironmentUsageError(
            f"{name} has an attribute spec, {shown(env.spec)}, where Gymnasium keeps its EnvSpec or None: rename it"
        )
    _check_limit(env, variant.max_episode_steps, name)
    env = with_full_reset(apply_wrappers(env, variant.wrappers))
    return stack_frames(env, variant.frame_stack, name) if variant.frame_stack > 1 else env


def _register_atari(env_id: str) -> None:
    try:
        ale = importlib.import_module("ale_py")
    except ModuleNotFoundError as error:
        raise UnknownEnvironment(f"{env_id!r} needs ale-py: {install_command('atari')}") from error
    ale.ALEInterface.setLoggerMode(ale.LoggerMode.Error)  # otherwise each environment prints its version
    gym.register_envs(ale)


def limit_time(env: AnyEnv, max_episode_steps: int | None) -> AnyEnv:
    """Sets a time limit, replacing an outermost one; None leaves the environment unchanged."""
    if max_episode_steps is None:
        return env
    return TimeLimit(env.env if isinstance(env, TimeLimit) else env, max_episode_steps)


def _check_limit(env: AnyEnv, max_episode_steps: int | None, name: str) -> None:
    """Raises EnvironmentUsageError if a limit inside a wrapper, which `limit_time` does not replace, is shorter."""
    inner = [layer._max_episode_steps for layer in layers_of(env) if isinstance(layer, TimeLimit)]
    if max_episode_steps is not None and inner and min(inner) < max_episode_steps:
        raise EnvironmentUsageError(
            f"max_episode_steps={max_episode_steps} cannot apply: a TimeLimit inside {name}'s wrappers ends episodes "
            f"after {min(inner)} steps; build the environment without it"
        )


def apply_wrappers(env: AnyEnv, wrappers: tuple[str, ...]) -> AnyEnv:
    """Raises EnvironmentUsageError if a wrapper cannot be imported or does not accept the environment."""
    for name in wrappers:
        module, attribute, arguments = parse_wrapper(name)
        with usage_errors(f"cannot apply wrapper {shown(name)}"):
            env = getattr(load_module(module), attribute)(env, **arguments)
        if not isinstance(env, gym.Env):
            raise EnvironmentUsageError(
                f"wrapper {shown(name)} returned {shown(env)}, not a gymnasium.Env; "
                "wrappers are module:Class:key=value:…"
            )
    return env
