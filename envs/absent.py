"""Spaces as plain data, and an environment that has only spaces, for agents loaded only to predict."""

from collections.abc import Callable
from functools import partial
from typing import NoReturn, cast, get_args

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from envs import saved
from envs.build import AnyEnv
from envs.errors import EnvironmentUsageError
from envs.observations import example
from envs.spaces import Layout, Numbers, StackedBox
from envs.worlds import Worlds


def to_plain(space: gym.Space[object]) -> dict[str, object]:
    """The plain data that a checkpoint stores for a supported space; `from_plain` is the inverse.

    A subclass is stored as the supported class that it derives from.
    """
    kind = next(name for name, known in _KINDS.items() if isinstance(space, known))
    if isinstance(space, spaces.Dict):
        parts: object = [[key, to_plain(part)] for key, part in space.spaces.items()]
    elif isinstance(space, spaces.Tuple):
        parts = [to_plain(part) for part in space.spaces]
    elif isinstance(space, StackedBox):
        parts = [space.low, space.high, space.layout]
    elif isinstance(space, spaces.Box):
        parts = [space.low, space.high]
    elif isinstance(space, spaces.MultiDiscrete):
        parts = [space.nvec, space.start]
    elif isinstance(space, spaces.MultiBinary):
        parts = [list(space.n) if isinstance(space.n, tuple) else int(space.n)]
    else:
        discrete = cast(spaces.Discrete, space)
        parts = [int(discrete.n), int(discrete.start)]
    return {"kind": kind, "parts": parts}


def from_plain(data: object) -> gym.Space[object]:
    """The space that `to_plain` wrote. Raises Misfit if `to_plain` cannot have written the data."""
    content = saved.mapping(data, "space", ("kind", "parts"))
    kind, parts = saved.text(content["kind"], "space"), saved.sequence(content["parts"], "space")
    try:
        return cast("gym.Space[object]", _READERS[kind](parts))
    except saved.Misfit:
        raise
    except Exception as error:  # from Gymnasium's constructors, or for an unknown kind
        raise saved.Misfit(f"space {saved.shown(kind)} cannot be built: {type(error).__name__}: {error}") from None


def _pairs(parts: list[object]) -> object:
    pairs = [saved.sequence(pair, "space", 2) for pair in parts]
    if others := [key for key, _ in pairs if type(key) not in (str, int)]:  # such as a member of a StrEnum
        raise saved.Misfit(f"space has a part {saved.shown(others[0])}")
    return spaces.Dict([(cast(str, key), from_plain(part)) for key, part in pairs])


def _arrays(parts: list[object]) -> tuple[np.ndarray, np.ndarray]:
    first, second = saved.sequence(parts, "space", 2)
    if not (isinstance(first, np.ndarray) and isinstance(second, np.ndarray) and first.dtype == second.dtype):
        raise saved.Misfit("space must hold two arrays of one type")
    return first, second


def _box(parts: list[object]) -> object:
    low, high = _arrays(parts)
    return spaces.Box(low, high, dtype=low.dtype.type)


def _stacked_box(parts: list[object]) -> object:
    low, high, layout = saved.sequence(parts, "space", 3)
    bounds = cast("tuple[Numbers, Numbers]", _arrays([low, high]))
    if layout not in get_args(Layout):
        raise saved.Misfit(f"space has the layout {saved.shown(layout)}")
    return StackedBox(*bounds, cast(Layout, layout))


def _multi_discrete(parts: list[object]) -> object:
    nvec, start = _arrays(parts)
    return spaces.MultiDiscrete(nvec, dtype=nvec.dtype.type, start=start)


def _multi_binary(parts: list[object]) -> object:
    (n,) = saved.sequence(parts, "space", 1)
    if isinstance(n, list | tuple):
        return spaces.MultiBinary([saved.whole(size, "space", 1) for size in n])
    return spaces.MultiBinary(saved.whole(n, "space", 1))


def _discrete(parts: list[object]) -> object:
    n, start = saved.sequence(parts, "space", 2)
    return spaces.Discrete(saved.whole(n, "space", 1), start=saved.whole(start, "space", -(2**62)))


_KINDS: dict[str, type] = {  # a subclass before its base
    "Dict": spaces.Dict,
    "Tuple": spaces.Tuple,
    "StackedBox": StackedBox,
    "Box": spaces.Box,
    "MultiDiscrete": spaces.MultiDiscrete,
    "MultiBinary": spaces.MultiBinary,
    "Discrete": spaces.Discrete,
}
_READERS: dict[str, Callable[[list[object]], object]] = {
    "Dict": _pairs,
    "Tuple": lambda parts: spaces.Tuple([from_plain(part) for part in parts]),
    "StackedBox": _stacked_box,
    "Box": _box,
    "MultiDiscrete": _multi_discrete,
    "MultiBinary": _multi_binary,
    "Discrete": _discrete,
}


class AbsentEnv(gym.Env[object, object]):
    """An environment that knows only its spaces: it can be reset, but not stepped."""

    def __init__(self, observation_space: gym.Space[object], action_space: gym.Space[object]) -> None:
        self.observation_space, self.action_space = observation_space, action_space

    def reset(self, *, seed: int | None = None, options: object = None) -> tuple[object, dict[str, object]]:
        """Returns some observation of the space."""
        super().reset(seed=seed)
        return example(self.observation_space), {}

    def step(self, action: object) -> NoReturn:
        raise EnvironmentUsageError("the agent was loaded without its environment: pass env= to load, or call set_env")


def absent_form(worlds: Worlds) -> dict[str, object] | None:
    """What a checkpoint stores for environments that cannot be built by name; `absent` is the inverse.

    None if a checkpoint cannot hold a space: loading then needs the environments.
    """
    both = worlds.env_obs_space, worlds.env_action_space
    observations, actions = map(to_plain, both)
    try:
        same = repr((from_plain(observations), from_plain(actions))) == repr(both)
    except saved.Misfit:
        return None
    return {"observations": observations, "actions": actions, "count": worlds.num_envs} if same else None


def absent(form: object) -> tuple[Callable[[], AnyEnv], int]:
    """A function that builds an AbsentEnv, and the number of environments. Raises Misfit for invalid data."""
    content = saved.mapping(form, "absent", ("observations", "actions", "count"))
    build = partial(AbsentEnv, from_plain(content["observations"]), from_plain(content["actions"]))
    return build, saved.whole(content["count"], "count", 1, 65_536)
