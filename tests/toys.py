"""Environments for tests: known numbers, and deliberate misbehavior. Importing this module registers two of them."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import parent_process
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from agents.rollout import Choice

LINE = spaces.Box(-np.inf, np.inf, (1,), np.float32)
REAL = spaces.Box(-np.inf, np.inf, (1,), np.float64)


class Counter(gym.Env):
    """Shows 100 · episode + step and pays the step number; episodes have `length` steps, or never end."""

    def __init__(self, length: int | None = 3, truncates: bool = False):
        self.observation_space, self.action_space = LINE, spaces.Discrete(2)
        self.length, self.truncates = length, truncates
        self.episode, self.count, self.closed = -1, 0, False

    def show(self):
        return np.array([100 * self.episode + self.count], np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.count = self.episode + 1, 0
        return self.show(), {"count": 0}

    def step(self, action):
        self.count += 1
        over = self.count == self.length
        return self.show(), float(self.count), over and not self.truncates, over and self.truncates, {"count": 1}

    def close(self):
        self.closed = True


class ReusedBuffer(Counter):
    """Returns the same array object from every call."""

    def __init__(self, length: int | None = 3):
        super().__init__(length)
        self.buffer = np.zeros(1, np.float32)

    def show(self):
        self.buffer[0] = super().show()[0]
        return self.buffer


class OneOrNineteen(Counter):
    """Episodes last 1 or 19 steps with equal probability and pay 1 per step: return = length, 10 on average."""

    def reset(self, *, seed=None, options=None):
        obs, info = super().reset(seed=seed)
        self.length = int(self.np_random.choice([1, 19]))
        return obs, info

    def step(self, action):
        obs, _, terminated, truncated, info = super().step(action)
        return obs, 1.0, terminated, truncated, info


class Numbered(Counter):
    """Environment i plays episodes of i + 1 steps; the last step pays 100 i + the episode number."""

    def __init__(self, i: int):
        super().__init__(i + 1)
        self.i = i

    def step(self, action):
        obs, _, terminated, truncated, info = super().step(action)
        return obs, float(terminated) * (100 * self.i + self.episode), terminated, truncated, info


class Wanderer(gym.Env):
    """A random walk pushed by the action; terminates beyond ±3, truncates after 9 steps; both can coincide."""

    def __init__(self):
        self.observation_space, self.action_space = spaces.Box(-np.inf, np.inf, (2, 3), np.float64), spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.count = self.np_random.normal(size=(2, 3)), 0
        return self.place, {"start": float(self.place[0, 0])}

    def step(self, action):
        self.place += self.np_random.normal(size=(2, 3)) + (action - 1)  # in place: the buffer is reused
        self.count += 1
        return self.place, float(self.place.sum()), bool(abs(self.place).max() > 3), self.count == 9, {}


class Interrupting(Counter):
    """Interrupts process `pid` from the second step on, before it answers. Only the first to create `mark` does so."""

    def __init__(self, pid: int, mark: Path, length: int):
        super().__init__(length)
        self.pid, self.mark = pid, mark

    def step(self, action):
        if self.count == 1:
            with suppress(FileExistsError):
                self.mark.touch(exist_ok=False)
                os.kill(self.pid, signal.SIGINT)
        return super().step(action)


class AtHome(Counter):
    """Can be built only in the first process."""

    def __init__(self):
        if parent_process() is not None:
            raise OSError("no display\nhere")
        super().__init__()


class Picture(gym.Env):
    """Frames of a single color: the step number, or 7 at the start of an episode."""

    def __init__(self, shape: tuple[int, ...] = (6, 5, 2), length: int = 4):
        self.observation_space, self.action_space = spaces.Box(0, 255, shape, np.uint8), spaces.Discrete(2)
        self.frame, self.length = np.zeros(shape, np.uint8), length

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        self.frame[:] = 7
        return self.frame, {}

    def step(self, action):
        self.count += 1
        self.frame[:] = self.count
        return self.frame, 1.0, self.count == self.length, False, {}


class Tenth(Counter):
    """Pays 0.1 per step, which float32 cannot sum exactly."""

    def step(self, action):
        obs, _, terminated, truncated, info = super().step(action)
        return obs, 0.1, terminated, truncated, info


class Shaped(gym.Env):
    """Any spaces; records the actions that it receives."""

    def __init__(self, observation_space: spaces.Space = LINE, action_space: spaces.Space = LINE):
        self.observation_space, self.action_space = observation_space, action_space
        self.received: list[object] = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        self.received.append(action)
        return self.observation_space.sample(), 0.0, False, False, {}


class Failing(Counter):
    """Fails at one call of `reset` or `step`, counted from 0: raises, or returns a wrong number."""

    def __init__(self, where: str, at: int, reward: float = 1.0, obs: float = 0.0, raises: bool = False):
        super().__init__(2)
        self.where, self.at, self.wrong, self.raises = where, at, (reward, obs), raises
        self.calls = {"reset": -1, "step": -1}

    def breaks(self, where: str) -> bool:
        self.calls[where] += 1
        now = where == self.where and self.calls[where] == self.at
        if now and self.raises:
            raise RuntimeError("out of tea")
        return now

    def reset(self, *, seed=None, options=None):
        obs, info = super().reset(seed=seed)
        return (np.full(1, self.wrong[1], np.float32) if self.breaks("reset") else obs), info

    def step(self, action):
        obs, reward, terminated, truncated, info = super().step(action)
        if self.breaks("step"):
            reward, obs = self.wrong[0], np.full(1, self.wrong[1], np.float32)
        return obs, reward, terminated, truncated, info


class Needs(Counter):
    """Cannot be built because a package is missing."""

    def __init__(self, package: str):
        raise gym.error.DependencyNotInstalled(f"{package} is not installed")


class Float32Vector(VectorEnv):
    """A self-made vector environment with two copies: float32 rewards of 0.1, in reused buffers."""

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012 - as Gymnasium declares it
    num_envs = 2
    single_observation_space, single_action_space = LINE, spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        self.obs, self.reward = np.zeros((2, 1), np.float32), np.full(2, 0.1, np.float32)
        return self.obs, {}

    def step(self, actions):
        self.obs += 1
        return self.obs, self.reward, np.zeros(2, bool), np.zeros(2, bool), {}


class Idle:
    """An actor that always takes action 0, and records its calls."""

    def __init__(self):
        self.seen: list[np.ndarray] = []

    def act(self, obs, deterministic=False, generator=None, context=None):
        self.seen.append(obs)
        return Choice(torch.zeros(len(obs), dtype=torch.int64), torch.zeros(len(obs), 2))


def numbered(build: Callable[[int], gym.Env]) -> Callable[[], gym.Env]:
    """A factory whose i-th product is build(i)."""
    built = iter(range(10_000))
    return lambda: build(next(built))


def same_step(*envs: gym.Env) -> SyncVectorEnv:
    """A vector environment that a user might pass."""
    return SyncVectorEnv([lambda env=env: env for env in envs], autoreset_mode=AutoresetMode.SAME_STEP)


gym.register("Counter-v0", entry_point="tests.toys:Counter")
gym.register("Needs-v0", entry_point="tests.toys:Needs")
