"""The one training loop: collect → update → hooks."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from agents.rollout import Actor, Array, ChunkPlan, ChunkResult, Episode, Metrics, Rollout, collect
from agents.settings.values import ConfigError
from envs import EnvironmentFailure, EnvironmentReplaced, Worlds, saved
from envs.streams import resumed_seeds

_MAX_INTERVAL = 100  # updates
_SHIFTS_PER_INTERVAL = 10  # how often the policy shift is measured in the hooks' interval, or in _MAX_INTERVAL updates
_MAX_CHUNK_STEPS = 20_000  # environment steps per call of `chunk`: Ctrl-C and the progress bar wait until it returns
_MOST_IN_VAIN = 10  # replacements of processes without an update between them
RunChunk = Callable[[Worlds, ChunkPlan, Array], ChunkResult]


class Trainable(Actor, Protocol):
    """What the loop needs of an agent. See `agents.agent.Agent`."""

    @property
    def n_steps(self) -> int: ...
    @property
    def chunk(self) -> RunChunk | None: ...
    def update(self, batch: Rollout, progress: float = 0.0) -> Metrics: ...
    def on_reset(self) -> None: ...


class Status(NamedTuple):
    """The state of training, as a hook receives it after one or several updates."""

    step: int  # environment steps taken, over all environments
    until: int  # the step at which training ends
    iteration: int  # updates made
    seconds: float  # training time: collecting and updating, without hooks
    metrics: Metrics  # of the U updates since the last status: float32[U] each, or scalars if U = 1
    episodes: Sequence[Episode]  # finished since the last status


Hook = Callable[[Status], bool | None]
"""Called after every update, which keeps the fused engine from its full speed. Returning False ends training.

A hook with an attribute `interval`, an int, receives the metrics of several updates at once: it is called at the latest
when the number of updates is a multiple of `interval`, and may be called earlier.
"""


def check_hooks(hooks: object) -> None:
    """Raises ConfigError unless the hooks are a list of functions."""
    if not isinstance(hooks, Sequence) or not all(map(callable, hooks)):
        raise ConfigError(
            f"hooks must be a list of functions of a Status, such as [f], got {saved.shown(hooks)}; "
            "a callback of Stable-Baselines3 becomes such a function"
        )


ANY_INTERVAL = 2**60  # the `interval` of a hook that need not see any particular update


class Loop:
    """Trains an agent on worlds. Its state, beside the agent's, is what a resumed run needs.

    `exact` tells whether the last `load_state_dict` brought the environments back; `inexact_resumes` counts those that
    did not, over all of a run.
    """

    def __init__(self, agent: Trainable, worlds: Worlds, seed: int) -> None:
        self.agent, self.worlds, self.seed = agent, worlds, seed
        self.step = self.iteration = 0
        self.seconds = 0.0
        self.exact, self.inexact_resumes = True, 0
        self._obs: Array | None = None
        self._state: Tensor | None = None  # of a recurrent agent
        self._between_iterations = True
        self._in_vain = 0  # replacements of processes since the last update

    def run(self, until: int, hooks: Sequence[Hook] = ()) -> None:
        """Trains until `step` reaches `until` or a hook returns False. Never takes more steps: the last rollout may be
        shorter, and a remainder smaller than one step of every environment is left out.
        """
        self.begin_episodes()
        assert self._obs is not None
        num_envs = self.worlds.num_envs
        hook_interval = min((int(getattr(hook, "interval", 1)) for hook in hooks), default=ANY_INTERVAL)
        shift_interval = max(min(hook_interval, _MAX_INTERVAL) // _SHIFTS_PER_INTERVAL, 1)
        while self.step + num_envs <= until:
            start = time.perf_counter()
            self._between_iterations = False
            n_steps = min(self.agent.n_steps, (until - self.step) // num_envs)
            plan = ChunkPlan(1, n_steps, self.step, self.iteration, until, shift_interval)
            chunk = self.agent.chunk
            if chunk is None:
                result = self._iterate(plan, self._obs)
            else:
                result = chunk(self.worlds, plan._replace(updates=self._updates(plan, hook_interval)), self._obs)
            self._obs, self._state, self._between_iterations = result.obs, result.state, result.failure is None
            self.step += result.updates * n_steps * num_envs
            self.iteration += result.updates
            self.seconds += time.perf_counter() - start
            self._in_vain = self._in_vain if result.failure else 0
            status = Status(self.step, until, self.iteration, self.seconds, result.metrics, result.episodes)
            answers = [hook(status) for hook in hooks] if result.updates else []
            if isinstance(result.failure, EnvironmentReplaced):
                self._go_on(result.failure, result.updates)
            elif result.failure is not None:
                raise result.failure
            if any(answer is False for answer in answers):
                return

    def _iterate(self, plan: ChunkPlan, obs: Array) -> ChunkResult:
        """One rollout and one update."""
        try:
            rollout, obs, episodes = collect(self.worlds, self.agent, obs, plan.n_steps, plan.step, self._state)
        except EnvironmentReplaced as failure:
            return ChunkResult(0, {}, [], obs, failure, self._state)
        metrics, states = self.agent.update(rollout, plan.step / plan.until), rollout.recurrent_states
        state = None if states is None else states.after[-1].masked_fill(rollout.ended[-1, :, None], 0.0)
        return ChunkResult(1, metrics, episodes, obs, state=state)

    def _go_on(self, failure: EnvironmentReplaced, updates: int) -> None:
        """Discards the rollout in which processes were replaced; goes on in the episodes of the other environments.

        A recurrent agent, whose state is lost with the rollout, begins all episodes anew. Raises the failure if no
        update was possible between too many of them.
        """
        self._in_vain = 0 if updates else self._in_vain + 1
        if self._in_vain > _MOST_IN_VAIN:
            raise EnvironmentFailure(f"{failure} {self._in_vain} times without an update between them") from failure
        if self._state is not None:
            self.restart_episodes()
            return
        self._obs, self._between_iterations = failure.obs, True
        self.agent.on_reset()

    def _updates(self, plan: ChunkPlan, hook_interval: int) -> int:
        """Updates in the next chunk: up to one that a hook must see, and for a fraction of a second at most."""
        steps = plan.n_steps * self.worlds.num_envs
        remaining = (plan.until - plan.step) // steps  # a shorter last rollout is a chunk by itself
        return min(hook_interval - plan.iteration % hook_interval, max(1, _MAX_CHUNK_STEPS // steps), remaining)

    def begin_anew(self) -> None:
        """Counts steps from 0 again, so that schedules begin anew; new episodes begin."""
        self.step, self.iteration, self.seconds, self._obs = 0, 0, 0.0, None

    def use(self, worlds: Worlds) -> None:
        """Goes on in other environments, where new episodes begin, from random streams that were not used."""
        self.worlds = worlds
        self.restart_episodes([*resumed_seeds(self.seed, self.step, worlds.num_envs)])

    def begin_episodes(self) -> None:
        """Resets the environments unless they are in the middle of training."""
        if self._obs is None or not self._between_iterations:  # an error or Ctrl-C interrupted an iteration
            self.restart_episodes()

    def restart_episodes(self, seeds: list[int | None] | None = None) -> None:
        """Resets every environment, because its episode was interrupted or others have used it."""
        self._obs, _ = self.worlds.reset(seed=seeds)
        self._state = None
        self.agent.on_reset()
        self._between_iterations = True

    def state_dict(self) -> dict[str, object]:
        """Counters, and the worlds unless an iteration was interrupted: the worlds are then ahead of the counters."""
        complete = self._between_iterations and self._obs is not None
        return {
            "step": self.step,
            "iteration": self.iteration,
            "seconds": self.seconds,
            "inexact_resumes": self.inexact_resumes,
            "replaced": self.worlds.replaced,
            "obs": np.asarray(self._obs) if complete else None,
            "state": self._state if complete else None,
            "worlds": self.worlds.state_dict() if complete else None,
        }

    def load_state_dict(self, state: Mapping[str, object], with_worlds: bool = True) -> None:
        """Raises Misfit if the state is not that of a loop on these worlds."""
        self.step, self.iteration = saved.whole(state["step"], "step"), saved.whole(state["iteration"], "iteration")
        self.seconds = saved.number(state["seconds"], "seconds", 0)
        self.worlds.replaced = saved.whole(state.get("replaced", 0), "replaced")  # younger than the format
        worlds = state["worlds"] if with_worlds else None
        restored = worlds is not None and self.worlds.load_state_dict(saved.mapping(worlds, "worlds"))
        self.exact = restored or (worlds is None and self.step == 0)
        earlier = saved.whole(state.get("inexact_resumes", 0), "inexact_resumes")
        self.inexact_resumes = earlier + (not self.exact)
        if restored:
            self._obs, self._state = self.worlds.saved_observations(state["obs"]), self._saved_state(state["state"])
        elif not self.exact:  # new episodes, from random streams that the run has not used
            self.use(self.worlds)

    def _saved_state(self, value: object) -> Tensor | None:
        """The hidden state of a recurrent agent, float[N, H]."""
        if value is None:
            return None
        return saved.tensor(value, "state", torch.get_default_dtype(), (self.worlds.num_envs, None))
