"""`GuardedEnv`: one Python environment whose failures are named and whose buffers are copied."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import cast

import gymnasium as gym
import numpy as np

from envs.backends.base import Infos
from envs.build import AnyEnv
from envs.errors import EnvironmentFailure
from envs.snapshot import Encoded, capture, restore
from envs.spaces import Array, Flat, brief, is_flat

Snapshot = list[dict[str, Encoded]] | None
_MISFITS = (TypeError, ValueError, OverflowError, AttributeError, LookupError)


class GuardedEnv(gym.Wrapper[object, object, object, object]):
    """The outermost wrapper of an environment, which may reuse its buffers and may raise.

    Raises EnvironmentFailure with the environment's name if it raises or returns an observation of another form.
    """

    def __init__(self, env: AnyEnv, name: str) -> None:
        super().__init__(env)
        self.name = name
        self._space = env.observation_space if is_flat(env.observation_space) else None

    def reset(self, *, seed: int | None = None, options: Infos | None = None) -> tuple[object, Infos]:
        try:
            obs, info = self.env.reset(seed=seed, options=options)
        except (Exception, SystemExit) as error:
            raise EnvironmentFailure(f"{self.name} raised {type(error).__name__} in reset: {error}") from error
        return self._copied(obs), info

    def step(self, action: object) -> tuple[object, float, bool, bool, Infos]:
        try:
            obs, reward, terminated, truncated, info = self.env.step(action)
            reward, terminated, truncated = float(reward), bool(terminated), bool(truncated)
        except (Exception, SystemExit) as error:
            raise EnvironmentFailure(f"{self.name} raised {type(error).__name__} in step: {error}") from error
        # the automatic reset that may follow would overwrite a reused buffer: copy the observation now
        return self._copied(obs), reward, terminated, truncated, info

    def _copied(self, obs: object) -> object:
        return deepcopy(obs) if self._space is None else np.array(self.checked(obs), copy=True)

    def checked(self, obs: object) -> Array:
        """A flat observation as an array. Raises EnvironmentFailure if its shape or dtype is not that of the space.

        NumPy would otherwise repeat an observation that is too short, and cut 0.7 to 0 in a space of integers.
        """
        row, space = np.asarray(obs), cast(Flat, self.env.observation_space)
        if row.shape != space.shape or not np.can_cast(row.dtype, space.dtype, "same_kind"):
            raise EnvironmentFailure(
                f"{self.name} returned an observation of shape {row.shape} and type {row.dtype}; its space is "
                f"{brief(space)}"
            )
        return row

    @property
    def snapshot(self) -> Snapshot:
        return capture(self.env)

    @snapshot.setter
    def snapshot(self, layers: list[dict[str, Encoded]]) -> None:
        restore(self.env, layers)


def guarded(env: AnyEnv, i: int, name: str) -> GuardedEnv:
    return env if isinstance(env, GuardedEnv) else GuardedEnv(env, f"environment {i} ({name})")


def flattened(env: AnyEnv) -> AnyEnv:
    """With observations in one row, unless they are Box or Discrete already."""
    return env if is_flat(env.observation_space) else gym.wrappers.FlattenObservation(env)


def itself(env: GuardedEnv) -> AnyEnv:
    """For Gymnasium, which takes functions that build environments."""
    return env


def all_time_limited(envs: Sequence[GuardedEnv]) -> bool:
    """Whether every environment is known to truncate its episodes."""
    return all(env.spec is not None and env.spec.max_episode_steps is not None for env in envs)


def capture_all(envs: Sequence[GuardedEnv]) -> list[Snapshot] | None:
    """The state of each environment; None if one of them is not plain data."""
    snapshots = [env.snapshot for env in envs]
    return None if any(state is None for state in snapshots) else snapshots


def restore_all(envs: Sequence[GuardedEnv], state: object) -> None:
    """Raises ValueError if `capture_all` returned the state for other environments."""
    snapshots = cast("list[list[dict[str, Encoded]]]", state)
    if len(snapshots) != len(envs):
        raise ValueError(f"the saved state is of {len(snapshots)} environments, not of {len(envs)}")
    for env, snapshot in zip(envs, snapshots, strict=True):
        env.snapshot = snapshot


def merge_info(add: Callable[[Infos, Infos, int], Infos], infos: Infos, info: Infos, i: int, count: int) -> Infos:
    """Adds the info of environment i to the infos of `count` environments by `add`, Gymnasium's `_add_info`.

    A value that does not fit into the array made for another environment's turns it into an array of objects.
    """
    try:
        return add(infos, info, i)
    except _MISFITS:
        for key, value in info.items():
            try:
                add(infos, {key: value}, i)
            except _MISFITS:
                found, mask = infos.get(key), infos.get(f"_{key}")
                values, given = np.full(count, None, object), np.zeros(count, bool)
                if isinstance(found, np.ndarray) and isinstance(mask, np.ndarray):
                    for j in np.flatnonzero(mask):
                        values[j], given[j] = found[j], True
                values[i], given[i] = value, True
                infos[key], infos[f"_{key}"] = values, given
        return infos
