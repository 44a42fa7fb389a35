"""Supported Gymnasium spaces, and conversions between environments' and policies' observations and actions."""

from collections.abc import Iterator, Sequence
from typing import Literal, cast

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.errors import UnsupportedSpace

Array = NDArray[np.generic]
Numbers = NDArray[np.floating | np.integer]
Space = gym.Space[object]
Flat = spaces.Box | spaces.Discrete
Actions = spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary
Leaf = Actions  # an observation space that is not a container
Layout = Literal["channels last", "channels first", "gray", "no image"]
_LONGEST = 160  # characters of a space in an error message
_MOST_NUMBERS = 10_000_000  # in an observation (one per choice if discrete), or choices in an action: 40 MB each
_LEAVES = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


class StackedBox(spaces.Box):
    """Stacked frames. layout: position of the channels, see `image_layout`."""

    def __init__(self, low: Numbers, high: Numbers, layout: Layout) -> None:
        super().__init__(low, high, dtype=low.dtype)
        self.layout = layout


def check_observation_space(space: object, env_id: str) -> Space:
    """Returns the space if it is Box, Discrete, MultiDiscrete, MultiBinary, or a nested Dict or Tuple of these.

    Raises UnsupportedSpace otherwise, and for a space without numbers or with too many.
    """
    for path, leaf in _walk(space, ""):
        _check_origin(leaf, f"{env_id} has observations")
        if not isinstance(leaf, _LEAVES) or not _in_torch(leaf.dtype):
            kind = f"{type(leaf).__name__} observations"
            kind += f" of type {leaf.dtype.str}" if isinstance(leaf, _LEAVES) else ""
            remedy = "wrap it in gymnasium.wrappers.TransformObservation"
            if path:
                kind += f" in its part {path}"
                remedy = f"leave that part out with {_filter(space, path)}"
            raise UnsupportedSpace(
                f"{env_id} has {kind}, {brief(leaf)}; supported are Box, Discrete, MultiDiscrete, MultiBinary, and "
                f"Dict and Tuple of these: {remedy}"
            )
        _check_bounds(leaf, f"{env_id} has observations")
    _check_size(space, f"{env_id} has observations")
    return cast(Space, space)


def _check_origin(space: object, what: str) -> None:
    """Raises UnsupportedSpace for a space of another package: those of the old gym look like Gymnasium's."""
    if not isinstance(space, gym.Space):
        kind = f"{type(space).__module__}.{type(space).__qualname__}".removeprefix("builtins.")
        raise UnsupportedSpace(f"{what} in a {kind}, {brief(space)}; take a space of gymnasium.spaces")


def _in_torch(dtype: np.dtype[np.generic]) -> bool:
    return dtype.itemsize <= 8 and dtype.isnative


def _filter(space: object, path: str) -> str:
    """The wrapper that keeps only the supported parts of a Dict."""
    keys = space.spaces if isinstance(space, spaces.Dict) else {}
    kept = ",".join(str(key) for key in keys if not path.startswith(f"[{key!r}]"))
    return f"wrappers=[FilterObservation:filter_keys=[{kept}]]" if kept else "gymnasium.wrappers.FilterObservation"


def check_action_space(space: object, env_id: str) -> Actions:
    """Returns the space if it is Discrete, MultiDiscrete, MultiBinary or a floating-point Box.

    Raises UnsupportedSpace otherwise; the message suggests a supported space.
    """
    _check_origin(space, f"{env_id} has actions")
    if isinstance(space, _LEAVES):
        _check_bounds(space, f"{env_id} has actions")
        _check_size(space, f"{env_id} has actions")
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        return space
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
        return space
    raise UnsupportedSpace(
        f"{env_id} has {type(space).__name__} actions, {brief(space)}; supported are Discrete, MultiDiscrete, "
        f"MultiBinary and floating-point Box: wrap it in gymnasium.wrappers.TransformAction, {_nearest(space)}"
    )


def _check_bounds(space: object, what: str) -> None:
    if isinstance(space, spaces.Box) and not (space.low <= space.high).all():  # false for NaN too
        raise UnsupportedSpace(f"{what} with a lower bound above the upper one, {brief(space)}")


def _check_size(space: object, what: str) -> None:
    size = spaces.flatdim(cast(Space, space))
    if not 0 < size <= _MOST_NUMBERS:
        size_text = f"{size:,} numbers, more than {_MOST_NUMBERS:,}" if size else "any number"
        raise UnsupportedSpace(f"{what} {'of' if size else 'without'} {size_text}, {brief(space)}")


def _nearest(space: object) -> str:
    leaves = [leaf for _, leaf in _walk(space, "")]
    if isinstance(space, spaces.Box) or all(isinstance(leaf, spaces.Discrete) for leaf in leaves):
        return "with a MultiDiscrete space of the same choices"
    if all(isinstance(leaf, spaces.Box) for leaf in leaves):
        return "with one Box that concatenates all parts"
    return "with a Box for numbers, or a MultiDiscrete for choices"


def _walk(space: object, path: str) -> Iterator[tuple[str, object]]:
    """Every space inside that is not a container, with its path, in the order in which Gymnasium flattens them.

    Also an empty container inside another, which Gymnasium cannot flatten.
    """
    if not isinstance(space, spaces.Dict | spaces.Tuple) or (path and not space.spaces):
        yield path, space
        return
    inside = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
    for key, inner in inside:
        yield from _walk(inner, f"{path}[{key!r}]")


def named_leaves(space: Space) -> list[tuple[str, Space]]:
    """Path and space of every part that is not a container, in the order of `gymnasium.spaces.flatten`."""
    return [(path, cast(Space, leaf)) for path, leaf in _walk(space, "")]


def leaves(space: Space) -> list[Space]:
    """The spaces in a nested space that are not containers, in the order of `gymnasium.spaces.flatten`."""
    return [leaf for _, leaf in named_leaves(space)]


def is_flat(space: object) -> bool:
    """Whether observations are used unchanged; others become one row, see `envs.observations.FlatObservation`."""
    return isinstance(space, spaces.Box | spaces.Discrete)


def flat_form(space: Space) -> Flat:
    """The space of the observations that `Worlds` returns."""
    return cast(Flat, space if is_flat(space) else spaces.flatten_space(space))


def image_layout(space: spaces.Box) -> Layout:
    """The position of the channels in an image: the smallest dimension, or the last one if equal, as in SB3.

    Stacked frames keep the layout of a frame, since their own shape is ambiguous: 7 × 7 × 3 becomes 7 × 7 × 12.
    """
    if isinstance(space, StackedBox):
        return space.layout
    if len(space.shape) == 2:
        return "gray"
    if len(space.shape) == 3:
        return "channels last" if space.shape[2] <= min(space.shape[:2]) else "channels first"
    return "no image"


def brief(space: object) -> str:
    """A space as one line of text; the middle of a long text is left out."""
    text = " ".join(str(space).split())  # NumPy breaks long bounds into lines
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"


def policy_action_space(space: Actions) -> Actions:
    """The space in which a policy acts: one row, whose choices count from 0, whatever the environment's `start`."""
    if isinstance(space, spaces.Discrete):
        return spaces.Discrete(int(space.n))
    if isinstance(space, spaces.MultiDiscrete):
        return spaces.MultiDiscrete(space.nvec.flatten())
    if isinstance(space, spaces.MultiBinary):
        return spaces.MultiBinary(int(np.prod(space.shape)))
    return space


def factors(space: Actions) -> tuple[int, ...]:
    """The number of choices of each part of a policy's discrete action; () for a Box."""
    if isinstance(space, spaces.Discrete):
        return (int(space.n),)
    if isinstance(space, spaces.MultiDiscrete):
        return tuple(int(n) for n in space.nvec.flatten())
    return (2,) * int(np.prod(space.shape)) if isinstance(space, spaces.MultiBinary) else ()


def choices(space: spaces.Discrete | spaces.MultiDiscrete) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The number of choices and the first choice, int64 in the space's shape."""
    sizes = space.n if isinstance(space, spaces.Discrete) else space.nvec
    return np.asarray(sizes, np.int64), np.asarray(space.start, np.int64)


def span(space: spaces.Box) -> NDArray[np.float32]:
    """high − low in single precision: infinity if a bound is missing or out of range."""
    with np.errstate(over="ignore"):
        return space.high.astype(np.float32) - space.low.astype(np.float32)


def to_env_action(space: Actions, action: Array) -> Array:
    """Converts a batch of policy actions, int[N], int[N, K] or float[N, A], to the environment's actions.

    Discrete, MultiDiscrete: shifted by `start`. Box: clipped to the bounds. All but Discrete: reshaped to
    [N, *shape]. Only for the environment: the rollout keeps what the policy sampled.
    """
    if isinstance(space, spaces.Discrete):
        index = action.astype(np.int64, copy=False)
        return (index + int(space.start) if space.start else index).astype(space.dtype, copy=False)
    shaped = action.reshape(len(action), *cast("Sequence[int]", space.shape))
    if isinstance(space, spaces.MultiDiscrete):
        choices: Array = np.add(shaped, space.start, dtype=space.dtype, casting="unsafe")
        return choices
    if isinstance(space, spaces.MultiBinary):
        return shaped.astype(space.dtype)
    bounded: Array = shaped.clip(space.low, space.high).astype(space.dtype, copy=False)
    return bounded


def to_policy_action(space: Actions, env_action: Array) -> Array:
    """The inverse of `to_env_action`: environment actions [N, *shape] as int64[N], int64[N, K] or float32[N, A].

    Raises ValueError if their shape or type is wrong, or they are not in the space. Box actions may lie outside of the
    bounds, since the environment gets them clipped, but must be finite.
    """
    shape = cast("tuple[int, ...]", space.shape)
    kinds = "f" if isinstance(space, spaces.Box) else "iub"
    if env_action.shape[1:] != shape or not env_action.ndim or env_action.dtype.kind not in kinds:
        raise ValueError(
            f"actions are {env_action.dtype}{list(env_action.shape)}; {brief(space)} needs "
            f"{'numbers' if kinds == 'f' else 'whole numbers'} of shape {['N', *shape]}".replace("'", "")
        )
    if isinstance(space, spaces.Box):
        if not np.isfinite(env_action).all():
            raise ValueError(f"actions are not finite in row {first_row(~np.isfinite(env_action))}")
        return env_action.reshape(len(env_action), -1).astype(np.float32)
    start = 0 if isinstance(space, spaces.MultiBinary) else space.start
    choice: NDArray[np.int64] = env_action.astype(np.int64) - start
    outside = (choice < 0) | (choice >= np.reshape(factors(space), shape))
    if outside.any():
        row = first_row(outside)
        raise ValueError(f"action {env_action[row].tolist()} in row {row} is not of {brief(space)}")
    return choice if isinstance(space, spaces.Discrete) else choice.reshape(len(choice), -1)


def first_row(mask: NDArray[np.bool_]) -> int:
    """The index of the first row with any true value."""
    return int(np.argmax(mask.reshape(len(mask), -1).any(1)))
