"""Environments that break their contract in a hundred ways, for training and evaluation on all backends and engines.

Importing this module registers them: `tests.stress.hostile:Hostile17-v0`.
"""

import random
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import numpy as np
from gymnasium import spaces

import rl.train
from agents import checkpoint
from agents.a2c import A2C
from agents.evaluation import evaluate
from agents.settings.values import ConfigError
from envs import EnvironmentFailure, EnvironmentUsageError
from tests.stress import commands
from tests.stress.messages import in_one_line
from tests.toys import same_step

OBS = spaces.Box(-1, 1, (2,), np.float32)
SOUND = np.zeros(2, np.float32)


class Panic(BaseException):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Unprintable:
    def __repr__(self) -> str:
        raise Panic


class Grown(np.ndarray):  # type: ignore[type-arg]
    """An array that raises when it is read."""

    def __array_finalize__(self, obj: object) -> None:
        pass

    def __len__(self) -> int:
        raise RuntimeError("no length")


def _raises(error: BaseException) -> Callable[[], object]:
    def fail() -> object:
        raise error

    return fail


_ERRORS = (
    RuntimeError("out of tea"), ValueError("two\nlines"), OSError("no file \udcff"), KeyError(3), StopIteration(),
    AssertionError(), RecursionError("x" * 5_000), MemoryError(), SystemExit(0), SystemExit("text"), GeneratorExit(),
    Panic(), EOFError(), BrokenPipeError(), NotImplementedError(), FloatingPointError("nan"),
)  # fmt: skip
_OBSERVATIONS = (
    None, np.full(2, np.nan, np.float32), np.full(2, np.inf, np.float32), np.zeros(3, np.float32), np.zeros((1, 2)),
    0.5, "text", [0.0, "a"], {}, (SOUND, SOUND), np.full(2, 1e30), np.array(["a", "b"]), np.zeros(2, complex),
    Unprintable(), np.array([None, 1], object), SOUND.view(Grown), [[0.0], [1.0, 2.0]], b"\x00" * 8, np.zeros(0),
    float("nan"),
)  # fmt: skip
_NUMBERS = (
    None, "1.5", float("nan"), float("inf"), -float("inf"), np.ones(2), [], {}, 10**400, 1j, Unprintable(), 1e300,
    -1e300, np.array("1"), object(), np.float16("inf"),
)  # fmt: skip
_FLAGS = (None, "False", 2, np.zeros(2, bool), [], {"__all__": True}, Unprintable(), float("nan"), -1)
_INFOS = (
    None, [], "info", {1: 2}, {"episode": 3}, {"action_mask": None}, {"action_mask": np.zeros(7)}, {"x": Unprintable()},
    {"final_obs": SOUND}, {"next_obs": "x"},
)  # fmt: skip
_ANSWERS = (
    None,
    (),
    SOUND,
    (SOUND,),
    (SOUND, 1.0, False, {}),
    (SOUND,) * 6,
    "text",
    3,
    {},
    [SOUND, 1.0, False, False, {}],
)
_SPACES = (
    None, 7, spaces.Discrete(10**9), spaces.MultiDiscrete([10**9] * 3), spaces.Text(5), spaces.Tuple(()), spaces.Dict(),
    spaces.Box(-np.inf, np.inf, (0,)), spaces.Sequence(OBS), spaces.Box(-1, 1, (10**5,)), spaces.MultiBinary(3),
    spaces.Box(0, 255, (1, 1, 1, 1), np.uint8), spaces.Discrete(2, start=-5), spaces.Graph(OBS, None),
)  # fmt: skip
Case = tuple[str, str, object]  # where, what is replaced, and its replacement
CASES: list[Case] = [
    *(("reset", "raises", error) for error in _ERRORS),
    *(("step", "raises", error) for error in _ERRORS),
    *(("close", "raises", error) for error in _ERRORS[:4] + _ERRORS[8:12]),
    *(("init", "raises", error) for error in _ERRORS[:4] + _ERRORS[8:12]),
    *(("spaces", "raises", error) for error in _ERRORS[:2] + _ERRORS[8:12]),
    *(("step", "obs", value) for value in _OBSERVATIONS),
    *(("reset", "obs", value) for value in _OBSERVATIONS),
    *(("step", "reward", value) for value in _NUMBERS),
    *(("step", "terminated", value) for value in _FLAGS),
    *(("step", "truncated", value) for value in _FLAGS),
    *(("step", "info", value) for value in _INFOS),
    *(("reset", "info", value) for value in _INFOS),
    *(("step", "answer", value) for value in _ANSWERS),
    *(("reset", "answer", value) for value in _ANSWERS),
    *(("spaces", "observation", value) for value in _SPACES),
    *(("spaces", "action", value) for value in _SPACES),
]


class Hostile(gym.Env):  # type: ignore[type-arg]
    """Correct except for one thing; wrong steps start after a while."""

    def __init__(self, number: int) -> None:
        self.where, self.what, self.value = CASES[number]
        self.steps, self.after = 0, random.Random(number).choice([0, 1, 30, 90])
        self._break("init")

    def _break(self, where: str) -> None:
        if (self.where, self.what) == (where, "raises"):
            assert isinstance(self.value, BaseException)
            raise self.value

    def _space(self, name: str, sound: spaces.Space) -> spaces.Space:  # type: ignore[type-arg]
        self._break("spaces")
        return self.value if (self.where, self.what) == ("spaces", name) else sound  # type: ignore[return-value]

    observation_space = property(lambda self: self._space("observation", OBS))
    action_space = property(lambda self: self._space("action", spaces.Discrete(2)))

    def _answer(self, where: str, parts: dict[str, object]) -> object:
        if self.where == where and (where == "reset" or self.steps > self.after):
            self._break(where)
            if self.what == "answer":
                return self.value
            parts[self.what] = self.value
        return tuple(parts.values())

    def reset(self, *, seed=None, options=None):  # type: ignore[no-untyped-def]
        super().reset(seed=seed)
        return self._answer("reset", {"obs": SOUND.copy(), "info": {}})

    def step(self, action):  # type: ignore[no-untyped-def]
        self.steps += 1
        parts = {"obs": SOUND.copy(), "reward": 1.0, "terminated": self.steps % 10 == 0, "truncated": False, "info": {}}
        return self._answer("step", parts)

    def close(self) -> None:
        self._break("close")


for _number in range(len(CASES)):
    gym.register(f"Hostile{_number}-v0", entry_point=f"{__name__}:Hostile", kwargs={"number": _number})

WAYS = [(backend, engine) for backend in ("sync", "async", "adopted") for engine in ("torch", "fused")]


def attack(number: int, room: Path) -> str:
    """Training and evaluation succeed, or fail in one line that blames the environment; what was learned is saved."""
    case, (backend, engine) = number // len(WAYS) % len(CASES), WAYS[number % len(WAYS)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # from environments that cannot be closed
        return _adopted(case, engine) if backend == "adopted" else _command(case, backend, engine, room / str(number))


def _command(case: int, backend: str, engine: str, out: Path) -> str:
    out.mkdir()
    argv = [f"{__name__}:Hostile{case}-v0", "--total-timesteps", "200", "--num-envs", "2", "--engine", engine]
    argv += ["--set", f"backend={backend}", "--set", "eval_episodes=2", "--set", "max_episode_steps=50"]
    said = commands.run(rl.train, [*argv, "--out", str(out)], out)
    result = commands.outcome(said)
    if said.status == 1 and "(step " in said.err:
        (folder,) = out.glob("*/*/*/checkpoints")
        kept = checkpoint.read(checkpoint.newest(folder))
        assert f"step {kept.loop['step']:,};" in said.err or "not finite" in said.err, said
    shutil.rmtree(out)
    return result


def _adopted(case: int, engine: str) -> str:
    """A user's vector environment whose second environment is hostile."""
    try:
        agent = A2C(same_step(Hostile(case), Hostile(case)), engine=engine, net_arch=(4,))
    except (ConfigError, EnvironmentUsageError, EnvironmentFailure) as error:
        return in_one_line(error, "refused in one line")
    except BaseException:
        if CASES[case][0] in ("init", "spaces"):
            return "the user's own call failed"
        raise
    try:
        agent.learn(200)
        evaluate(agent, lambda: Hostile(case), 2)
    except (EnvironmentFailure, EnvironmentUsageError, FloatingPointError) as error:
        return in_one_line(error, "failed in one line")
    finally:
        agent.worlds.close()
    return "done"
