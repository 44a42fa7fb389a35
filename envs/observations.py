"""Checks observations against their space part by part, copies them, or flattens them into one row."""

from collections.abc import Iterator, Mapping
from typing import cast

import numpy as np
from gymnasium import Env, ObservationWrapper, spaces
from numpy.typing import NDArray

from envs.errors import WrongObservation, shown
from envs.spaces import Array, Leaf, Space, brief, choices, flat_form, is_flat, named_leaves

Container = spaces.Dict | spaces.Tuple[object]


class FlatObservation(ObservationWrapper[object, object, object]):
    """Observations in one row, ordered as in Gymnasium's FlattenObservation, which does not check them.

    Raises WrongObservation if a part is not in its space.
    """

    def __init__(self, env: Env[object, object]) -> None:
        super().__init__(env)
        self.observation_space = cast(Space, flat_form(env.observation_space))

    def observation(self, observation: object) -> object:
        return flat_rows(self.env.observation_space, observation)[0]


def checked(space: Leaf, value: object, path: str = "", count: int | None = None) -> Array:
    """The value as an array with its space's shape and type; for a batch, [count, …].

    Without these checks, NumPy would repeat an observation that is too short, truncate 0.7 to 0 in an integer space,
    and store 300 as 44 in uint8; a negative choice would count from the end. Numbers beyond a Box's bounds are kept.
    Raises WrongObservation, which names the part by its path in the observation.
    """
    try:
        array = np.asarray(value)
    except Exception:
        raise _wrong(space, path, shown(value)) from None
    own = space.shape or ()
    shape = own if count is None else (count, *own)
    if isinstance(space, spaces.Discrete) and count is None and array.size == 1:
        array = array.reshape(())
    if array.shape != shape or array.dtype.kind not in ("biuf" if space.dtype.kind == "f" else "biu"):
        raise _wrong(space, path, f"of shape {array.shape} and type {array.dtype}")
    converted = array.astype(space.dtype, copy=False)
    if not _holds(space, array, converted):
        raise _wrong(space, path, shown(array.tolist()))
    return converted


def first(row: Array, flags: Array, space: Space | None) -> str:
    """The first flagged number and its place: "nan at ['speed'][0]".

    row, flags: of one observation, or of one number; space: of the environment's observations, whose parts name places.
    """
    number = str(row[flags].item(0))
    place = _place(int(np.flatnonzero(flags)[0]), flags.shape, space) if space else ""
    return f"{number} at {place}" if place else number


def _place(position: int, shape: tuple[int, ...], space: Space) -> str:
    """Of a position in a flat row of this shape."""
    for path, part in named_leaves(space):
        size = spaces.flatdim(part)
        if position < size:
            own = shape if is_flat(space) else part.shape if isinstance(part, spaces.Box) else (size,)
            return path + "".join(f"[{i}]" for i in np.unravel_index(position, own or (1,)) if own)
        position -= size
    return ""


def _holds(space: Leaf, array: Array, converted: Array) -> bool:
    """Whether the conversion kept all integers, and all choices exist."""
    if space.dtype.kind != "f" and converted is not array and not np.array_equal(converted, array):
        return False
    if isinstance(space, spaces.Box):
        return True
    if isinstance(space, spaces.MultiBinary):
        return bool(((converted == 0) | (converted == 1)).all())
    sizes, start = choices(space)
    choice = cast("NDArray[np.int64]", converted)
    return bool(((choice >= start) & (choice < start + sizes)).all())


def _wrong(space: Space, path: str, what: str) -> WrongObservation:
    return WrongObservation(f"observation{path} {what}; its space is {brief(space)}")


def copied(space: Space, observation: object, path: str = "") -> object:
    """A copy, since an environment may reuse its arrays. Raises WrongObservation as `checked` does."""
    if not isinstance(space, spaces.Dict | spaces.Tuple):
        return np.array(checked(cast(Leaf, space), observation, path), copy=True)
    parts = {key: copied(inner, part, where) for key, inner, part, where in _members(space, observation, path)}
    return parts if isinstance(space, spaces.Dict) else tuple(parts.values())


def flat_rows(space: Space, observation: object, count: int | None = None) -> Array:
    """Rows of the flat space, [1, D]; for a batch of a vector environment, [count, D].

    Raises WrongObservation as `checked` does.
    """
    return np.concatenate(
        [_numbers(leaf, part, count or 1) for leaf, part in _leaves(space, observation, "", count)], 1
    )


def example(space: Space) -> object:
    """An observation of the space: first choices, and numbers as near to 0 as the bounds allow.

    Gymnasium's `sample` fails for a Box with bounds of ± the largest double.
    """
    if isinstance(space, spaces.Dict):
        return {key: example(part) for key, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(map(example, space.spaces))
    if isinstance(space, spaces.Box):
        return np.asarray(np.minimum(np.maximum(np.zeros(space.shape, space.dtype), space.low), space.high))
    if isinstance(space, spaces.MultiBinary):
        return np.zeros(space.shape, space.dtype)
    return np.array(cast("spaces.Discrete | spaces.MultiDiscrete", space).start, space.dtype)


def _leaves(space: Space, observation: object, path: str, count: int | None) -> Iterator[tuple[Leaf, Array]]:
    """The parts that are not containers, validated, in the order of `envs.spaces.leaves`."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        for _, inner, part, where in _members(space, observation, path):
            yield from _leaves(inner, part, where, count)
    else:
        yield cast(Leaf, space), checked(cast(Leaf, space), observation, path, count)


def _members(space: Container, observation: object, path: str) -> Iterator[tuple[object, Space, object, str]]:
    """Key, space, value and path of each member of a container."""
    inside = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
    for key, inner in inside:
        try:
            part = cast("Mapping[object, object]", observation)[key]
        except (LookupError, TypeError):
            raise _wrong(space, path, f"without its part [{key!r}]") from None
        yield key, inner, part, f"{path}[{key!r}]"
    if isinstance(space, spaces.Tuple) and len(cast("tuple[object, ...]", observation)) > len(space.spaces):
        raise _wrong(space, path, f"of {len(cast('tuple[object, ...]', observation))} parts")


def _numbers(space: Leaf, value: Array, count: int) -> Array:
    """[count, D]: numbers as they are, choices one-hot."""
    if isinstance(space, spaces.Box | spaces.MultiBinary):
        return value.reshape(count, -1)
    sizes, start = (numbers.reshape(-1) for numbers in choices(space))
    rows = np.zeros((count, int(sizes.sum())), space.dtype)
    choice = cast("NDArray[np.int64]", value.reshape(count, -1)) - start
    rows[np.arange(count)[:, None], choice + (np.cumsum(sizes) - sizes)] = 1
    return rows


def batched(space: Space, observation: object) -> tuple[Array, bool]:
    """Rows of the flat space, [N, …], from one observation or from a vector environment's batch.

    Returns the rows, and whether the input was a single observation. Raises ValueError if it does not fit the space.
    """
    part, value = space, observation
    while isinstance(part, spaces.Dict | spaces.Tuple):  # the first part decides whether it is a batch
        _, part, value, _ = next(_members(part, value, ""))
    array, shape = np.asarray(value), part.shape or ()
    single = array.shape == shape
    if not single and array.shape[1:] != shape:
        raise ValueError(f"observation has shape {array.shape}; expected {shape} or (N, {', '.join(map(str, shape))})")
    if not single and not len(array):
        raise ValueError(f"observation is an empty batch, of shape {array.shape}")
    if is_flat(space):
        if array.dtype.kind not in "biuf":
            raise _wrong(space, "", f"of shape {array.shape} and type {array.dtype}")
        return (array[None] if single else array), single
    return flat_rows(space, observation, None if single else len(array)), single
