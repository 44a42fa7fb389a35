"""Environments that break their contract, registered on import: `tests.broken:NanReward-v0`."""

import os
import signal
import sys
import threading

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class Broken(gym.Env):  # type: ignore[type-arg]
    """Correct for 50 steps; then `fail` decides."""

    def __init__(self) -> None:
        self.observation_space = spaces.Box(-1, 1, (2,), np.float32)
        self.action_space = spaces.Discrete(2)
        self.steps = 0

    def reset(self, *, seed=None, options=None):  # type: ignore[no-untyped-def]
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action):  # type: ignore[no-untyped-def]
        self.steps += 1
        reward = self.fail() if self.steps > 50 else 1.0
        return np.zeros(2, np.float32), reward, self.steps % 10 == 0, False, {}


class NanReward(Broken):
    def fail(self) -> float:
        return float("nan")


class RaiseInStep(Broken):
    def fail(self) -> float:
        raise RuntimeError("the simulator\nlost its connection")


class Surrogate(Broken):
    def fail(self) -> float:
        raise OSError("no file \udcff")


def hang() -> None:
    sys.stdout.write("hanging\n")
    sys.stdout.flush()
    threading.Event().wait()


class ClosesOutput(Broken):
    """Closes standard output, as some simulators do to silence themselves."""

    def step(self, action):  # type: ignore[no-untyped-def]
        sys.stdout.close()
        return super().step(action)

    def fail(self) -> float:
        return 1.0


class Hang(Broken):
    def fail(self) -> float:
        hang()
        return 0.0


class HangInInit(Broken):
    def __init__(self) -> None:
        super().__init__()
        hang()


class HangInReset(Broken):
    def reset(self, *, seed=None, options=None):  # type: ignore[no-untyped-def]
        hang()


class Dies(Broken):
    def fail(self) -> float:
        os.kill(os.getpid(), signal.SIGKILL)
        return 0.0


class Exit(Broken):
    def fail(self) -> float:
        sys.exit(0)


class TextSpace(Broken):
    def __init__(self) -> None:
        super().__init__()
        self.observation_space = spaces.Dict({"note": spaces.Text(5)})


for name in (
    "NanReward", "RaiseInStep", "Surrogate", "Hang", "HangInInit", "HangInReset", "Dies", "Exit", "TextSpace",
):  # fmt: skip
    gym.register(f"{name}-v0", entry_point=f"tests.broken:{name}")
