"""Environments that keep their state in unusual places. Importing this module registers one of them."""

from collections import defaultdict
from enum import IntEnum

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from tests.toys import REAL, Counter, Idle


class Odd(gym.Env):
    """An environment that keeps state in an unusual kind of attribute."""

    def __init__(self):
        self.observation_space, self.action_space = REAL, spaces.Discrete(2)

    def advance(self) -> float:
        raise NotImplementedError

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1), {}

    def step(self, action):
        return np.array([self.advance()]), 0.0, False, False, {}


class Phase(IntEnum):
    DAY = 0
    NIGHT = 1


class EnumState(Odd):
    def reset(self, *, seed=None, options=None):
        self.phase = Phase.DAY
        return super().reset(seed=seed)

    def advance(self):
        self.phase = Phase.NIGHT if self.phase.name == "DAY" else Phase.DAY
        return float(self.phase)


class TextState(Odd):
    def reset(self, *, seed=None, options=None):
        self.board = np.array(["a", "a", "a", "a"])
        return super().reset(seed=seed)

    def advance(self):
        self.board[np.argmax(self.board == "a")] = "b"
        return float((self.board == "b").sum())


class BytesState(Odd):
    def reset(self, *, seed=None, options=None):
        self.tape = b""
        return super().reset(seed=seed)

    def advance(self):
        self.tape += b"x"
        return float(len(self.tape))


class ObjectArrayState(Odd):
    def reset(self, *, seed=None, options=None):
        self.cells = np.array([0, None], dtype=object)
        return super().reset(seed=seed)

    def advance(self):
        self.cells[0] += 1
        return float(self.cells[0])


class ComplexState(Odd):
    def reset(self, *, seed=None, options=None):
        self.phasor = np.ones(1, complex)
        return super().reset(seed=seed)

    def advance(self):
        self.phasor = self.phasor * 1j
        return float(self.phasor.real[0])


class DefaultDictState(Odd):
    def reset(self, *, seed=None, options=None):
        self.visits, self.count = defaultdict(int), 0
        return super().reset(seed=seed)

    def advance(self):
        self.count += 1
        self.visits[self.count] += 1
        return float(sum(self.visits.values()))


class SharedArrayState(Odd):
    def reset(self, *, seed=None, options=None):
        self.state = np.zeros(1)
        self.view = self.state
        return super().reset(seed=seed)

    def advance(self):
        self.state += 1
        return float(self.view[0])


class SharedGeneratorState(Odd):
    def reset(self, *, seed=None, options=None):
        result = super().reset(seed=seed)
        self.dice = self.np_random
        return result

    def advance(self):
        return float(self.dice.random() + self.np_random.random())


class EnvironmentInside(Odd):
    def __init__(self):
        super().__init__()
        self.simulator = Counter(None)

    def reset(self, *, seed=None, options=None):
        self.simulator.reset()
        return super().reset(seed=seed)

    def advance(self):
        return self.simulator.step(0)[1]


class ListOfFunctions(Odd):
    def __init__(self):
        super().__init__()
        self.rules, self.total = [len, abs], 0

    def advance(self):
        self.total += 1
        return float(self.rules[1](-self.total))


class DictOfSpaces(Odd):
    def __init__(self):
        super().__init__()
        self.parts, self.total = {"x": spaces.Discrete(3)}, 0

    def advance(self):
        self.total += int(self.parts["x"].n)
        return float(self.total)


class SampledDict(Odd):
    """Draws from spaces inside a Dict, each of which has a generator of its own."""

    def __init__(self):
        super().__init__()
        b, c = (spaces.Box(-1, 1, (1,), np.float64) for _ in range(2))
        self.parts = spaces.Dict(a=spaces.Dict(b=b), c=spaces.Tuple([c]))

    def reset(self, *, seed=None, options=None):
        if seed is not None:
            self.parts.seed(seed)
        return super().reset(seed=seed)

    def advance(self) -> float:
        drawn = self.parts.sample()
        return float(drawn["a"]["b"][0] + drawn["c"][0][0])


class SampledList(Odd):
    """Draws from a space in a list."""

    def __init__(self):
        super().__init__()
        self.parts = [spaces.Box(-1, 1, (1,), np.float64)]

    def reset(self, *, seed=None, options=None):
        if seed is not None:
            self.parts[0].seed(seed)
        return super().reset(seed=seed)

    def advance(self) -> float:
        return float(self.parts[0].sample()[0])


class Opaque(Odd):
    def __init__(self):
        super().__init__()
        self.engine = object()

    def advance(self):
        return 0.0


class Rebuilt(Odd):
    """Keeps its state in an object that each reset rebuilds from the generator and the episode number."""

    def __init__(self, action_space: spaces.Space | None = None):
        super().__init__()
        self.action_space = spaces.Discrete(2) if action_space is None else action_space
        self.episodes = 0

    def reset(self, *, seed=None, options=None):
        result = super().reset(seed=seed)
        self.episodes += 1
        self.engine = Idle()
        self.engine.seen.append(self.episodes + self.np_random.normal(size=1))
        return result

    def step(self, action):
        self.engine.seen.append(self.engine.seen[-1] * 1.1 + np.sum(action) + self.np_random.normal(size=1))
        action *= 0  # some environments clip in place
        return self.engine.seen[-1], 0.0, len(self.engine.seen) == 6, False, {}


class Forgetful(Rebuilt):
    """Draws from a generator that is not an attribute."""

    dice = np.random.default_rng(0)

    def step(self, action):
        obs, _, terminated, truncated, info = super().step(action)
        return obs + self.dice.normal(), 0.0, terminated, truncated, info


gym.register("Opaque-v0", entry_point="tests.odd:Opaque", max_episode_steps=20)
