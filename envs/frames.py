"""Frame stacking: joins the latest observations; each part of a Dict or Tuple is stacked separately."""

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
from gymnasium import Env, ObservationWrapper, spaces
from gymnasium.wrappers import FrameStackObservation

from envs.observations import copied
from envs.spaces import Array, Numbers, Space, StackedBox, check_observation_space, choices, image_layout

AnyEnv = Env[object, object]


def stack_frames(env: AnyEnv, count: int, name: str) -> AnyEnv:
    """Joins the latest k = `count` observations; at the start of an episode, the first one is repeated.

    Vectors [D] become [k, D], gray images [H, W] become [k, H, W], and images with channels [H, W, k·C] or
    [k·C, H, W]. A Discrete choice becomes k choices. Raises UnsupportedSpace as `check_observation_space` does.
    """
    check_observation_space(env.observation_space, name)
    return _Joined(FrameStackObservation(_Copied(env), count), env.observation_space)


class _Copied(ObservationWrapper[object, object, object]):
    """Checked copies, since an environment may reuse the buffer that the stack keeps."""

    def observation(self, observation: object) -> object:
        return copied(self.env.observation_space, observation)


class _Joined(ObservationWrapper[object, object, object]):
    """Joins the frames of Gymnasium's stacks [k, …]. frame: the space of a single frame."""

    def __init__(self, env: FrameStackObservation, frame: Space) -> None:
        super().__init__(cast(AnyEnv, env))
        self.frame = frame
        self.observation_space = _stacked(frame, env.stack_size)

    def observation(self, observation: object) -> object:
        return _joined(self.frame, observation)


def _stacked(space: Space, count: int) -> Space:
    if isinstance(space, spaces.Dict):
        return spaces.Dict({key: _stacked(inner, count) for key, inner in space.spaces.items()})
    if isinstance(space, spaces.Tuple):
        return spaces.Tuple([_stacked(inner, count) for inner in space.spaces])
    if isinstance(space, spaces.MultiBinary):
        return spaces.MultiBinary((count, *space.shape))
    if isinstance(space, spaces.Box):
        low, high = (cast(Numbers, _joined(space, np.stack([bound] * count))) for bound in (space.low, space.high))
        layout = image_layout(space)
        return StackedBox(low, high, "channels first" if layout == "gray" else layout)
    sizes, start = choices(cast("spaces.Discrete | spaces.MultiDiscrete", space))
    return spaces.MultiDiscrete(np.stack([sizes] * count), start=np.stack([start] * count))


def _joined(space: Space, stack: object) -> object:
    """Joins images with channels along the channels; leaves other stacks unchanged."""
    if isinstance(space, spaces.Dict):
        parts = cast("Mapping[str, object]", stack)
        return {key: _joined(inner, parts[key]) for key, inner in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(_joined(*pair) for pair in zip(space.spaces, cast("Sequence[object]", stack), strict=True))
    if not isinstance(space, spaces.Box) or len(space.shape) != 3:
        return stack
    return np.concatenate(list(cast(Array, stack)), axis=-1 if image_layout(space) == "channels last" else 0)
