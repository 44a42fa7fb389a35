"""`GuardedEnv`: a Python environment whose errors name it and whose buffers are copied."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar, cast

import gymnasium as gym
import numpy as np

from envs import saved
from envs.backends.base import FAILURE, REPLACED, Infos
from envs.build import AnyEnv
from envs.errors import EnvironmentFailure, EnvironmentUsageError, WrongObservation, close, message_of, shown
from envs.observations import FlatObservation, checked, copied
from envs.replay import Recorded, Snapshot
from envs.snapshot import layers_of
from envs.spaces import Array, Flat, is_flat

Number = TypeVar("Number", float, bool)
_FLAGS = frozenset({bool, np.bool_})
_RESERVED = frozenset({"final_obs", "_final_obs", REPLACED, FAILURE})  # infos that only a backend may set
NUMBERS = frozenset({int, float, bool, np.int32, np.int64, np.float32, np.float64})  # types that NumPy can stack
SCALARIZE = "; a wrapper can make a number of a vector: wrappers=[module:Class]"
_MISFITS = (TypeError, ValueError, OverflowError, AttributeError, LookupError)


class GuardedEnv(gym.Wrapper[object, object, object, object]):
    """The outermost wrapper of an environment that may reuse its buffers and may raise.

    Raises EnvironmentFailure, with the environment's name, if it raises or a step or reset returns an invalid result.
    """

    def __init__(self, env: AnyEnv, i: int, name: str) -> None:
        self._recorded = Recorded(env)
        super().__init__(self._recorded)
        self.i, self.name = i, f"environment {i} ({name})"

    def reset(self, *, seed: int | None = None, options: Infos | None = None) -> tuple[object, Infos]:
        try:
            if seed is not None:  # some environments sample their spaces: seed those too
                for space in self._spaces():
                    space.seed(seed)
            answer: object = self.env.reset(seed=seed, options=options)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise self.raised("reset", error) from error
        if not isinstance(answer, tuple) or len(answer) != 2 or not isinstance(answer[1], dict):
            raise self.failure(
                f"returned {shown(answer)} from reset, which must return (observation, info), info a dict"
            )
        return self._copied(answer[0]), _without_reserved(answer[1])

    def _spaces(self) -> Iterator[gym.Space[object]]:
        """The spaces of every layer; an inner one may have none if a wrapper has them."""
        for layer in layers_of(self.env):
            for name in ("observation_space", "action_space"):
                if hasattr(space := getattr(layer, name, None), "seed"):
                    yield cast("gym.Space[object]", space)

    def step(self, action: object) -> tuple[object, float, bool, bool, Infos]:
        try:
            answer: object = self.env.step(action)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise self.raised("step", error) from error
        obs, reward, terminated, truncated, info = self.outcome(answer)
        # the automatic reset that may follow would overwrite a reused buffer: copy the observation now
        return self._copied(obs), reward, terminated, truncated, info

    def close(self) -> None:
        close(self.env, self.name)

    def outcome(self, answer: object) -> tuple[object, float, bool, bool, Infos]:
        """Validates what the environment's step returned. Raises EnvironmentFailure if the form is wrong.

        `float` would accept the text "1.5" as a reward, and `bool` would turn the text "False" into True.
        """
        if not isinstance(answer, tuple) or len(answer) != 5:
            form = "(observation, reward, terminated, truncated, info)"
            raise self.failure(f"returned {shown(answer)} from step, which must return {form}")
        obs, reward, terminated, truncated, info = answer
        plain = isinstance(reward, float) and type(terminated) in _FLAGS and type(truncated) in _FLAGS
        if plain and type(info) is dict and _RESERVED.isdisjoint(info):
            return answer
        if not isinstance(info, dict):
            raise self.failure(f"returned the info {shown(info)}, which must be a dict")
        ends = self._of_kind("terminated", terminated, _flag), self._of_kind("truncated", truncated, _flag)
        return obs, self._of_kind("reward", reward, _number), *ends, _without_reserved(info)

    def _of_kind(self, what: str, value: object, convert: Callable[[object], Number]) -> Number:
        try:
            return convert(value)
        except Exception as error:
            kind = f"a number{SCALARIZE}" if convert is _number else "True or False"
            raise self.failure(f"returned the {what} {shown(value)}, which must be {kind}") from error

    def raised(self, where: str, error: BaseException) -> EnvironmentFailure:
        if isinstance(error, WrongObservation):
            return self.failure(f"returned an {error}")
        if isinstance(error, EnvironmentUsageError):  # from an AbsentEnv
            return EnvironmentFailure(str(error))
        return self.failure(f"raised {type(error).__name__} in {where}: {message_of(error)}")

    def failure(self, text: str) -> EnvironmentFailure:
        return EnvironmentFailure(f"{self.name} {text}", self.i)

    def _copied(self, obs: object) -> object:
        try:
            return copied(self.env.observation_space, obs)
        except WrongObservation as error:
            raise self.raised("", error) from error

    def checked(self, obs: object) -> Array:
        """A flat observation as an array. Raises EnvironmentFailure if it is not in its space."""
        try:
            return checked(cast(Flat, self.env.observation_space), obs)
        except WrongObservation as error:
            raise self.raised("", error) from error

    @property
    def recorded(self) -> Recorded:
        """The recorder, for a caller that steps the environment inside in another way."""
        return self._recorded

    @property
    def stepped(self) -> AnyEnv:
        """The environment inside, for a caller that guards its own steps; skips the recorder if it is inactive."""
        return self._recorded if self._recorded.active else self._recorded.env

    @property
    def snapshot(self) -> Snapshot:
        return self._recorded.snapshot

    @snapshot.setter
    def snapshot(self, state: object) -> None:
        self._recorded.snapshot = state


def _without_reserved(info: Infos) -> Infos:
    return info if _RESERVED.isdisjoint(info) else {k: v for k, v in info.items() if k not in _RESERVED}


def _plain(value: object) -> object:
    """The number in an array or tensor of a single number."""
    item = getattr(value, "item", None)
    return item() if callable(item) else value


def _number(value: object) -> float:
    plain = _plain(value)
    if isinstance(plain, str | bytes | bytearray):
        raise TypeError
    return float(cast(float, plain))


def _flag(value: object) -> bool:
    plain = _plain(value)
    if not isinstance(plain, bool | int | float) or plain not in (0, 1):
        raise TypeError
    return bool(plain)


def guarded(env: AnyEnv, i: int, name: str) -> GuardedEnv:
    return env if isinstance(env, GuardedEnv) else GuardedEnv(env, i, name)


def flattened(env: AnyEnv) -> AnyEnv:
    """The environment with observations in one row, unless they are Box or Discrete already."""
    if is_flat(env.observation_space):
        return env
    return FlatObservation(env)


def itself(env: GuardedEnv) -> AnyEnv:
    """Returns its argument; Gymnasium needs a function that builds each environment."""
    return env


def all_time_limited(envs: Sequence[GuardedEnv]) -> bool:
    """Whether every environment is known to truncate its episodes."""
    return all(env.spec is not None and env.spec.max_episode_steps is not None for env in envs)


def capture_all(envs: Sequence[GuardedEnv]) -> list[Snapshot] | None:
    """The state of each environment; None if one of them cannot be restored."""
    snapshots = [env.snapshot for env in envs]
    return None if any(state is None for state in snapshots) else snapshots


def restore_all(envs: Sequence[GuardedEnv], state: object) -> None:
    """Raises ValueError if the state comes from other environments."""
    snapshots = saved.sequence(state, "snapshots")
    if len(snapshots) != len(envs):
        raise ValueError(f"the saved state is of {len(snapshots)} environments, not of {len(envs)}")
    for env, snapshot in zip(envs, snapshots, strict=True):
        env.snapshot = snapshot


def stacked_infos(infos: Sequence[Infos]) -> Infos | None:
    """Like Gymnasium's merged infos, but faster; None unless all infos have the same keys with numbers of one type."""
    first, merged = infos[0], Infos()
    if any(info.keys() != first.keys() for info in infos):
        return None
    for key, value in first.items():
        kind, values = type(value), [info[key] for info in infos]
        if kind not in NUMBERS or any(type(value) is not kind for value in values):
            return None
        try:
            merged[key], merged[f"_{key}"] = np.array(values, kind), np.ones(len(infos), bool)
        except OverflowError:  # integer of more than 64 bits
            return None
    return merged


def merge_info(add: Callable[[Infos, Infos, int], Infos], infos: Infos, info: Infos, i: int, count: int) -> Infos:
    """Adds the info of environment i to the infos of `count` environments with `add`, Gymnasium's `_add_info`.

    A value that does not fit into the array of earlier values turns that array into one of objects.
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
