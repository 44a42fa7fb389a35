"""One-step environments with any observation and action space, and a task that is learned in seconds."""

import gymnasium as gym
import numpy as np
from gymnasium import spaces

INF = np.inf


class Match(gym.Env):
    """Shows one of two fixed observations; a perfect match of the action pays 1, anything else less."""

    def __init__(self, observation_space: spaces.Space, action_space: spaces.Space):
        self.observation_space, self.action_space = observation_space, action_space
        observation_space.seed(1)
        first = second = observation_space.sample()
        while near(observation_space, first, second):
            second = observation_space.sample()
        shown = (darker(observation_space, first), second)  # two noise images look alike to convolutions
        self.shown, self.targets = shown, targets(action_space)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.context = int(self.np_random.integers(2))
        return self.shown[self.context], {}

    def step(self, action):
        assert self.action_space.contains(action), (action, self.action_space)
        target = self.targets[self.context]
        if isinstance(self.action_space, spaces.Box):
            reward = 1.0 - float(np.abs(np.asarray(action) - target).mean())
        else:
            reward = float((np.asarray(action) == target).mean())
        return self.shown[self.context], reward, True, False, {}


def darker(space, obs):
    if isinstance(space, spaces.Dict):
        return {key: darker(inner, obs[key]) for key, inner in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(darker(inner, part) for inner, part in zip(space.spaces, obs, strict=True))
    image = isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) > 1
    return obs // 8 if image else obs


def near(space, a, b):
    x, y = (np.asarray(spaces.flatten(space, o), float) for o in (a, b))
    return np.abs(x - y).max() == 0


def targets(space):
    """Two actions that differ in every part."""
    if isinstance(space, spaces.Discrete):
        return int(space.start), int(space.start + space.n - 1)
    if isinstance(space, spaces.MultiDiscrete):
        return space.start, space.start + space.nvec - 1
    if isinstance(space, spaces.MultiBinary):
        return np.zeros(space.shape), np.ones(space.shape)
    middle = np.clip(np.zeros(space.shape), space.low, space.high)
    return np.clip(middle - 0.5, space.low, space.high), np.clip(middle + 0.5, space.low, space.high)


LINE = spaces.Box(-1, 1, (3,), np.float32)
IMAGE = spaces.Box(0, 255, (8, 8, 3), np.uint8)
OBSERVATIONS = {
    "vector": LINE,
    "matrix, float64": spaces.Box(-1, 1, (2, 3), np.float64),
    "scalar": spaces.Box(-1, 1, (), np.float32),
    "integers": spaces.Box(-2, 2, (3,), np.int64),
    "bytes": spaces.Box(0, 1, (4,), np.uint8),
    "image, HWC": IMAGE,
    "image, CHW": spaces.Box(0, 255, (1, 9, 8), np.uint8),
    "image, gray": spaces.Box(0, 255, (10, 9), np.uint8),
    "image, 36 wide": spaces.Box(0, 255, (36, 36, 1), np.uint8),
    "Discrete": spaces.Discrete(4, start=-2),
    "MultiDiscrete": spaces.MultiDiscrete([2, 3], start=[1, -1]),
    "MultiBinary": spaces.MultiBinary((2, 2)),
    "Dict": spaces.Dict(place=LINE, kind=spaces.Discrete(3), bits=spaces.MultiBinary(2)),
    "Tuple": spaces.Tuple([spaces.Discrete(3), LINE]),
    "nested, with an image": spaces.Dict(inner=spaces.Tuple([spaces.MultiDiscrete([2, 2]), LINE]), view=IMAGE),
}
ACTIONS = {
    "Discrete": spaces.Discrete(3),
    "Discrete, start": spaces.Discrete(2, start=-1),
    "MultiDiscrete": spaces.MultiDiscrete([2, 3]),
    "MultiDiscrete, 2-D, start": spaces.MultiDiscrete([[2, 2], [3, 2]], start=[[0, 1], [-1, 5]]),
    "MultiBinary": spaces.MultiBinary(3),
    "Box": spaces.Box(-1, 1, (2,), np.float32),
    "Box, (2, 2), float64": spaces.Box(-2, 3, (2, 2), np.float64),
    "Box, bounded below": spaces.Box(-0.6, INF, (1,), np.float32),
    "Box, unbounded": spaces.Box(-INF, INF, (1,), np.float32),
}
