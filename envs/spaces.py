"""Which Gymnasium spaces are supported, and the way from a policy's action to the environment's."""

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.errors import UnsupportedSpace


def check_observation_space(space: object, env_id: str) -> spaces.Box | spaces.Discrete:
    """Returns the space if it is Box (not an image) or Discrete. Raises UnsupportedSpace otherwise."""
    if isinstance(space, spaces.Discrete):
        return space
    if isinstance(space, spaces.Box) and not (space.dtype == np.uint8 and len(space.shape) > 1):
        return space
    kind = "image observations" if isinstance(space, spaces.Box) else f"{type(space).__name__} observations"
    raise UnsupportedSpace(
        f"{env_id} has {kind}, {_one_line(space)}; supported are Box vectors (flattened) and Discrete (one-hot): "
        "wrap it in gymnasium.wrappers.FlattenObservation or choose a vector version"
    )


def check_action_space(space: object, env_id: str) -> spaces.Box | spaces.Discrete:
    """Returns the space if it is Discrete or a floating-point Box. Raises UnsupportedSpace otherwise."""
    if isinstance(space, spaces.Discrete):
        return space
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
        return space
    raise UnsupportedSpace(
        f"{env_id} has {type(space).__name__} actions, {_one_line(space)}; "
        "supported are Discrete and floating-point Box: wrap it in gymnasium.wrappers.TransformAction"
    )


def _one_line(space: object) -> str:
    return " ".join(str(space).split())  # NumPy breaks long bounds over lines


def policy_action_space(space: spaces.Box | spaces.Discrete) -> spaces.Box | spaces.Discrete:
    """The space that a policy acts in: Discrete counts from 0, whatever the environment's `start`."""
    return spaces.Discrete(int(space.n)) if isinstance(space, spaces.Discrete) else space


def to_env_action(space: spaces.Box | spaces.Discrete, action: NDArray[np.generic]) -> NDArray[np.generic]:
    """A batch of policy actions, int[N] or float[N, A], as the environment wants them.

    Discrete: shifted by `start`. Box: reshaped to [N, *shape] and clipped to the bounds. The rollout keeps what
    the policy sampled, so this result is for the environment only.
    """
    if isinstance(space, spaces.Discrete):
        index = action.astype(np.int64, copy=False)
        return index + int(space.start) if space.start else index
    shaped = action.reshape(len(action), *space.shape)
    bounded: NDArray[np.generic] = np.clip(shaped, space.low, space.high).astype(space.dtype)
    return bounded
