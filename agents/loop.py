"""The one training loop: collect → update → hooks."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, cast, runtime_checkable

import numpy as np
from torch import Tensor

from agents.rollout import Actor, Array, Chunk, Episode, Metrics, Plan, Rollout, collect
from envs import Worlds
from envs.streams import resumed_seeds

_INTERVAL, _MEASURES = 100, 10  # in so many updates, or in the hooks' interval, the policy shift is measured so often

SELDOM = 2**60  # the `interval` of a hook that need not see any update in particular

_LONGEST = 20_000  # environment steps in one call: Ctrl-C and the progress bar wait for its end

Chunks = Callable[[Worlds, Plan, Array], Chunk]


class Agent(Actor, Protocol):
    """What the loop needs of an algorithm.

    `chunk` makes several iterations in one call; None if the agent cannot.
    """

    @property
    def n_steps(self) -> int: ...
    @property
    def chunk(self) -> Chunks | None: ...
    def update(self, batch: Rollout, progress: float = 0.0) -> Metrics: ...
    def begin_episodes(self) -> None: ...


class Status(NamedTuple):
    """What a hook sees after an update, or after as many as its `interval` allows."""

    step: int  # environment steps taken, over all environments
    until: int  # the step at which training ends
    iteration: int  # updates made
    seconds: float  # training time: collecting and updating, without hooks
    metrics: Metrics  # of each update since the last status, float32[U], or scalars of one
    episodes: Sequence[Episode]  # finished since then


Hook = Callable[[Status], bool | None]


@runtime_checkable
class PatientHook(Protocol):
    """A hook that need not see every update: it is called at least whenever their number is a multiple of `interval`.

    A hook without an `interval` is called after every update, which keeps the fused engine from its full speed.
    """

    interval: int

    def __call__(self, status: Status) -> bool | None: ...


class Loop:
    """Trains an agent on worlds, and knows where it is: the state that a resumed run needs beside the agent's.

    `exact` tells whether the last `load_state_dict` brought back the environments as they were.
    """

    def __init__(self, agent: Agent, worlds: Worlds, seed: int) -> None:
        self.agent, self.worlds, self.seed = agent, worlds, seed
        self.step = self.iteration = 0
        self.seconds = 0.0
        self.exact = True
        self._obs: Array | None = None
        self._state: Tensor | None = None  # of a recurrent agent
        self._between_iterations = True

    def run(self, until: int, hooks: Sequence[Hook] = ()) -> None:
        """Trains until `step` reaches `until`, never past it: the last rollout is cut short if it must be.

        A remainder smaller than one step of every environment is left out. A hook that returns False ends training.
        """
        if self._obs is None or not self._between_iterations:  # after an error or Ctrl-C in the middle, begin anew
            self.begin_anew()
        assert self._obs is not None
        num_envs = self.worlds.num_envs
        intervals = [hook.interval if isinstance(hook, PatientHook) else 1 for hook in hooks]
        patience = min(intervals, default=SELDOM)
        interval = max(min(patience, _INTERVAL) // _MEASURES, 1)
        while self.step + num_envs <= until:
            start = time.perf_counter()
            self._between_iterations = False
            n_steps = min(self.agent.n_steps, (until - self.step) // num_envs)
            plan = Plan(1, n_steps, self.step, self.iteration, until, interval)
            run = self.agent.chunk
            chunk = self._one(plan, self._obs) if run is None else self._many(plan, self._obs, patience, run)
            self._obs, self._state, self._between_iterations = chunk.obs, chunk.state, chunk.failure is None
            self.step += chunk.updates * n_steps * num_envs
            self.iteration += chunk.updates
            self.seconds += time.perf_counter() - start
            status = Status(self.step, until, self.iteration, self.seconds, chunk.metrics, chunk.episodes)
            wishes = [hook(status) for hook in hooks] if chunk.updates else []
            if chunk.failure is not None:
                raise chunk.failure
            if any(wish is False for wish in wishes):
                return

    def _one(self, plan: Plan, obs: Array) -> Chunk:
        rollout, obs, episodes = collect(self.worlds, self.agent, obs, plan.n_steps, plan.step, self._state)
        metrics, memory = self.agent.update(rollout, plan.step / plan.until), rollout.memory
        state = None if memory is None else memory.after[-1].masked_fill(rollout.ended[-1, :, None], 0.0)
        return Chunk(1, metrics, episodes, obs, state=state)

    def _many(self, plan: Plan, obs: Array, patience: int, run: Chunks) -> Chunk:
        """Up to the next update that a hook must see, and for a fraction of a second at most."""
        steps = plan.n_steps * self.worlds.num_envs
        whole = (plan.until - plan.step) // steps  # of this length: what remains is a chunk of its own
        updates = min(patience - plan.iteration % patience, max(1, _LONGEST // steps), whole)
        return run(self.worlds, plan._replace(updates=updates), obs)

    def begin_anew(self, seeds: list[int | None] | None = None) -> None:
        """Resets every environment, because its episode was lost or somebody else has used it."""
        self._obs, _ = self.worlds.reset(seed=seeds)
        self._state = None
        self.agent.begin_episodes()
        self._between_iterations = True

    def state_dict(self) -> dict[str, object]:
        """Counters, and the worlds unless an iteration was cut off in the middle (their state is then past ours)."""
        whole = self._between_iterations and self._obs is not None
        return {
            "step": self.step,
            "iteration": self.iteration,
            "seconds": self.seconds,
            "obs": np.asarray(self._obs) if whole else None,
            "state": self._state if whole else None,
            "worlds": self.worlds.state_dict() if whole else None,
        }

    def load_state_dict(self, state: Mapping[str, object], with_worlds: bool = True) -> None:
        self.step, self.iteration = cast(int, state["step"]), cast(int, state["iteration"])
        self.seconds = cast(float, state["seconds"])
        saved = cast("dict[str, object] | None", state["worlds"]) if with_worlds else None
        self.exact = self.step == 0 or (saved is not None and self.worlds.load_state_dict(saved))
        if self.exact and saved is not None:
            self._obs, self._state = cast(Array, state["obs"]), cast("Tensor | None", state.get("state"))
        elif self.step:  # fresh episodes, from streams that this run has not used
            seeds: list[int | None] = list(resumed_seeds(self.seed, self.step, self.worlds.num_envs))
            self.begin_anew(seeds)
