"""`Recorded`: restores an environment whose state is not plain data by replaying its episode.

A physics engine, for instance, hides its state. What led to that state is plain data: the attributes before a reset,
including generators, and the actions since. Replaying these is exact if a reset discards all state that the
attributes do not show. An object that survives the reset may keep such state, so an environment with such an object
is not replayed; the exception are Gymnasium's MuJoCo environments, whose reset clears the simulation.
"""

from collections import Counter
from hashlib import sha256
from typing import SupportsFloat, TypedDict, cast

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Discrete

from envs import saved
from envs.build import AnyEnv
from envs.encoding import NOT_PLAIN, encode, fingerprint
from envs.errors import reason
from envs.snapshot import Layers, capture, decode_layers, restore, separate
from envs.spaces import Array

_MUJOCO = "gymnasium.envs.mujoco.mujoco_env.MujocoEnv"  # a name, since importing the class needs MuJoCo
SPAN = 2_000  # steps after which the next reset reads the attributes again, which costs as much as 15 steps
LONGEST = 100_000  # steps that can be replayed; bounds memory and the time of a resume


class Replay(TypedDict):
    """Everything needed to replay an unfinished episode."""

    start: Layers  # plain data before the reset of this or an earlier episode
    seed: int | None  # passed to that reset
    actions: Array  # [T, …], since that reset
    resets: list[int]  # numbers of actions after which later resets happened
    outcome: str  # hash of the last observation, reward and flags, and of the generators


Snapshot = Layers | Replay | None
Answer = tuple[object, SupportsFloat, bool, bool, dict[str, object]]  # of a step


def decoded(snapshot: object) -> Layers | Replay:
    """A snapshot from a checkpoint. Raises Misfit if `Recorded.snapshot` cannot have returned it."""
    if not isinstance(snapshot, dict):
        decode_layers(snapshot)
        return cast(Layers, snapshot)
    given = saved.mapping(snapshot, "snapshot", Replay.__annotations__)
    decode_layers(given["start"])
    if given["seed"] is not None:
        saved.whole(given["seed"], "seed")
    saved.text(given["outcome"], "outcome")
    actions = given["actions"]
    for at in saved.sequence(given["resets"], "resets"):
        saved.whole(at, "resets", 0, LONGEST)
    if not isinstance(actions, np.ndarray) or not _is_rows(actions):
        raise saved.Misfit(f"actions is {saved.shown(actions)}; it must be an array of finite numbers, a row per step")
    return cast(Replay, snapshot)


def _is_rows(actions: Array) -> bool:
    return (
        actions.dtype.kind in "biuf"
        and actions.ndim > 0
        and len(actions) <= LONGEST
        and bool(np.isfinite(actions).all())
    )


class Recorded(gym.Wrapper[object, object, object, object]):
    """Records each episode from its reset on, unless the environment is plain data.

    `active`: whether it records. If not, the inner environment can be stepped directly.
    """

    def __init__(self, env: AnyEnv) -> None:
        super().__init__(env)
        self.active = True  # until the first reset shows that all attributes are plain data
        self._opaque = False
        self._start: Layers | None = None  # None if the episode cannot be replayed
        self._seed: int | None = None
        self._actions: list[Array] = []
        self._resets: list[int] = []
        self._last: tuple[object, ...] = ()  # last result of reset or step

    def reset(
        self, *, seed: int | None = None, options: dict[str, object] | None = None
    ) -> tuple[object, dict[str, object]]:
        if not self.active:
            return self.env.reset(seed=seed, options=options)
        if self._start is not None and seed is None and not options and len(self._actions) < SPAN:
            return self._reset_again()
        start, before = separate(self.env)
        answer = self.env.reset(seed=seed, options=options)
        after = separate(self.env)[1]
        self._opaque = self.active = self._opaque or bool(after)
        recorded = self.active and not options and not _outlives(self.env, before, after)
        self._start = start if recorded else None
        self._seed, self._last = seed, answer
        self._actions.clear()
        self._resets.clear()
        return answer

    def _reset_again(self) -> tuple[object, dict[str, object]]:
        start = self.depart()
        self._last = answer = self.env.reset()
        self._start = start
        self._resets.append(len(self._actions))
        return answer

    def step(self, action: object) -> Answer:
        if self._start is None:
            return self.env.step(action)
        start, kept = self.depart(), np.array(action)  # a copy before the environment can change it
        answer = self.env.step(action)
        self.arrive(start, kept, answer)
        return answer

    def depart(self) -> Layers | None:
        """Begins a step. Between this and `arrive`, and after an error, the state is unknown."""
        start, self._start = self._start, None
        return start

    def arrive(self, start: Layers | None, action: Array, answer: Answer) -> None:
        """Ends a step. start: what `depart` returned; action and answer: kept, so they must not change."""
        if start is None:
            return
        self._last = answer
        self._actions.append(action)
        if len(self._actions) <= LONGEST:
            self._start = start
        else:
            self._actions.clear()
            self._resets.clear()

    @property
    def snapshot(self) -> Snapshot:
        layers = capture(self.env)
        if layers is not None:
            return layers
        self._opaque = self.active = True
        if self._start is None:
            return None
        try:
            outcome = self._outcome()
        except NOT_PLAIN:  # an unusual observation
            return None
        return Replay(
            start=self._start, seed=self._seed, actions=np.array(self._actions), resets=[*self._resets], outcome=outcome
        )

    @snapshot.setter
    def snapshot(self, given: object) -> None:
        """Raises ValueError if it is another environment's or the replay ends differently; Misfit as `decoded` does."""
        state = decoded(given)
        if isinstance(state, list):
            restore(self.env, state)
            return
        self._opaque = self.active = True
        try:
            restore(self.env, state["start"])
            self._play(state)
            same = self._start is not None and self._outcome() == state["outcome"]
        except (saved.Misfit, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise ValueError(f"the episode cannot be played again: {reason(error)}") from error
        if not same:
            raise ValueError("the episode, played again, went differently")
        self._start = state["start"]  # not the attributes from this environment's construction

    def _play(self, state: Replay) -> None:
        actions, resets, scalar = state["actions"], Counter(state["resets"]), isinstance(self.action_space, Discrete)
        self._start = None
        self.reset(seed=state["seed"])
        if self._start is None:
            raise ValueError("an object outlived the reset")
        for i in range(len(actions) + 1):
            for _ in range(resets[i]):
                self._reset_again()
            if i < len(actions):
                self.step(actions[i] if scalar else actions[i, ...])

    def _outcome(self) -> str:
        layers = separate(self.env)[0]
        generators = [(name, code) for own in layers for name, code in own.items() if code[0] == "rng"]
        return sha256(fingerprint([encode(self._last[:-1]), generators]).encode()).hexdigest()


def _outlives(env: AnyEnv, before: list[object], after: list[object]) -> bool:
    """Whether an object survived a reset that may not have cleared it."""
    kept = {id(item) for item in before} & {id(item) for item in after}
    clears = any(f"{c.__module__}.{c.__name__}" == _MUJOCO for c in type(env.unwrapped).__mro__)
    return any(id(item) in kept and not (clears and _simulates(item)) for item in after)


def _simulates(item: object) -> bool:
    module = type(item).__module__
    return module.startswith(("mujoco.", "gymnasium.envs.mujoco."))
