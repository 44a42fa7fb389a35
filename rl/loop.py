"""The one training loop: collect → update → hooks."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, cast

import numpy as np
from torch import Tensor

from envs import Worlds, environment_seeds
from rl.rollout import Actor, Array, Episode, Rollout, collect

Metrics = Mapping[str, Tensor]


class Agent(Actor, Protocol):
    """What the loop needs of an algorithm."""

    n_steps: int

    def update(self, batch: Rollout, progress: float = 0.0) -> Metrics: ...
    def begin_episodes(self) -> None: ...


class Status(NamedTuple):
    """What a hook sees after each update."""

    step: int  # environment steps taken, over all environments
    until: int  # the step at which training ends
    iteration: int  # updates made
    seconds: float  # training time: collecting and updating, without hooks
    metrics: Metrics
    episodes: Sequence[Episode]  # finished in this iteration


Hook = Callable[[Status], bool | None]


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
        self._between_iterations = True

    def run(self, until: int, hooks: Sequence[Hook] = ()) -> None:
        """Trains until `step` reaches `until`, never past it: the last rollout is cut short if it must be.

        A remainder smaller than one step of every environment is left out. A hook that returns False ends training.
        """
        if self._obs is None or not self._between_iterations:  # after an error or Ctrl-C in the middle, begin anew
            self.begin_anew()
        assert self._obs is not None
        num_envs = self.worlds.num_envs
        while self.step + num_envs <= until:
            start = time.perf_counter()
            n_steps = min(self.agent.n_steps, (until - self.step) // num_envs)
            self._between_iterations = False
            rollout, obs, episodes = collect(self.worlds, self.agent, self._obs, n_steps, self.step)
            metrics = self.agent.update(rollout, self.step / until)
            self._obs = obs
            self._between_iterations = True
            self.step += n_steps * num_envs
            self.iteration += 1
            self.seconds += time.perf_counter() - start
            status = Status(self.step, until, self.iteration, self.seconds, metrics, episodes)
            wishes = [hook(status) for hook in hooks]
            if any(wish is False for wish in wishes):
                return

    def begin_anew(self, seeds: list[int | None] | None = None) -> None:
        """Resets every environment, because its episode was lost or somebody else has used it."""
        self._obs, _ = self.worlds.reset(seed=seeds)
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
            "worlds": self.worlds.state_dict() if whole else None,
        }

    def load_state_dict(self, state: Mapping[str, object], with_worlds: bool = True) -> None:
        self.step, self.iteration = cast(int, state["step"]), cast(int, state["iteration"])
        self.seconds = cast(float, state["seconds"])
        saved = cast("dict[str, object] | None", state["worlds"]) if with_worlds else None
        self.exact = self.step == 0 or (saved is not None and self.worlds.load_state_dict(saved))
        if self.exact and saved is not None:
            self._obs = cast(Array, state["obs"])
        elif self.step:  # fresh episodes, from streams that this run has not used
            seeds: list[int | None] = list(environment_seeds(self.seed, self.worlds.num_envs, key=self.step))
            self.begin_anew(seeds)
