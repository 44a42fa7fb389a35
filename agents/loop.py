"""The one training loop: collect → update → hooks."""

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor

from agents.events import Status, Stop
from agents.logger import Logger
from agents.ranks import concatenated, current, share_of
from agents.rollout import Actor, Array, ChunkPlan, ChunkResult, Episode, Metrics, Rollout, collect
from agents.settings.values import ConfigError
from agents.training import AnyHook, Training
from envs import EnvironmentFailure, EnvironmentReplaced, Worlds, saved
from envs.streams import resumed_seeds

_MAX_INTERVAL = 100  # updates
_SHIFTS_PER_INTERVAL = 10  # measurements of the policy shift per hook interval, or per _MAX_INTERVAL updates
_MAX_CHUNK_STEPS = 20_000  # environment steps per call of `chunk`; Ctrl-C and the progress bar wait for its end
_MOST_IN_VAIN = 10  # replacements of processes without an update in between
RunChunk = Callable[[Worlds, ChunkPlan, Array], ChunkResult]


class Trainable(Actor, Protocol):
    """What the loop uses of an agent. See `agents.agent.Agent`."""

    @property
    def n_steps(self) -> int: ...
    @property
    def chunk(self) -> RunChunk | None: ...
    @property
    def recurrent(self) -> bool: ...
    def update(self, batch: Rollout, progress: float = 0.0) -> Metrics: ...
    def on_reset(self) -> None: ...


class Loop:
    """Trains an agent on worlds. Its state and the agent's are what a resumed run needs.

    `exact` tells whether the last `load_state_dict` restored the environments; `inexact_resumes` counts the times in a
    run when it did not.
    """

    def __init__(self, agent: Trainable, worlds: Worlds, seed: int) -> None:
        self.agent, self.worlds, self.seed, self.ranks = agent, worlds, seed, current()
        self.step = self.iteration = 0
        self.seconds = 0.0
        self.exact, self.inexact_resumes = True, 0
        self.logger = Logger()
        self._training: Training | None = None  # of the latest call of `run`
        self._running = False
        self._obs: Array | None = None
        self._state: Tensor | None = None  # recurrent state
        self._uses = worlds.uses  # of the worlds, when they showed these observations
        self._between_iterations = True
        self._in_vain = 0  # replacements of processes since the last update

    def run(self, until: int, hooks: Sequence[AnyHook] = (), log_interval: int = 100) -> None:
        """Trains until `step` reaches `until` or a hook stops training. Never takes more steps: the last rollout may be
        shorter, and a remainder of less than one step of every environment is left out.
        """
        self.begin_episodes()
        self._running = True
        start = Status(self.step, until, self.iteration, self.seconds, {}, ())
        self._training = training = Training(self.agent, start, hooks, log_interval, self.logger)
        try:
            training.begin()
            while training.stopped is None and self.step + self.worlds.total_envs <= until:
                self._advance(training)
        except BaseException:
            training.failed = True
            raise
        finally:
            try:
                training.end()
            finally:
                self._running = False

    def check_idle(self) -> None:
        """Raises ConfigError during `run`, such as in a hook."""
        if self._running:
            raise ConfigError("learn was called in a hook of the same agent: call it after learn, or on a deepcopy")

    @property
    def stopped(self) -> Stop | None:
        """What ended the latest `run` early."""
        return None if self._training is None else self._training.stopped

    def _advance(self, training: Training) -> None:
        """Makes one or several iterations in one call, then calls the hooks."""
        assert self._obs is not None
        start, until = time.perf_counter(), training.until
        self._between_iterations = False
        n_steps = min(self.agent.n_steps, (until - self.step) // self.worlds.total_envs)
        shift_interval = max(min(training.interval, _MAX_INTERVAL) // _SHIFTS_PER_INTERVAL, 1)
        plan = ChunkPlan(1, n_steps, self.step, self.iteration, until, shift_interval)
        chunk = self.agent.chunk
        if chunk is None:
            result = self._iterate(plan, self._obs)
        else:
            result = chunk(self.worlds, plan._replace(updates=self._updates(plan, training)), self._obs)
        self._obs, self._state, self._between_iterations = result.obs, result.state, result.failure is None
        self._uses = self.worlds.uses = self.worlds.uses + 1
        self.step += result.updates * n_steps * self.worlds.total_envs
        self.iteration += result.updates
        self.seconds += time.perf_counter() - start
        self._in_vain = self._in_vain if result.failure else 0
        if result.updates:
            episodes = self._of_all_ranks(result.episodes)
            training.updated(Status(self.step, until, self.iteration, self.seconds, result.metrics, episodes))
            training.stopped = next(iter(self.ranks.collect_present(training.stopped)), None)
        if isinstance(result.failure, EnvironmentReplaced):
            self._go_on(result.failure, result.updates)
        elif result.failure is not None:
            raise result.failure

    def _iterate(self, plan: ChunkPlan, obs: Array) -> ChunkResult:
        """One rollout and one update."""
        try:
            rollout, obs, episodes = collect(self.worlds, self.agent, obs, plan.n_steps, plan.step, self._state)
        except EnvironmentReplaced as failure:
            return ChunkResult(0, {}, [], obs, failure, self._state)
        rollout = rollout._replace(measure=(plan.iteration + 1) % plan.interval == 0)
        metrics, states = self.agent.update(rollout, plan.step / plan.until), rollout.recurrent_states
        state = None if states is None else states.after[-1].masked_fill(rollout.ended[-1, :, None], 0.0)
        return ChunkResult(1, metrics, episodes, obs, state=state)

    def _of_all_ranks(self, episodes: Sequence[Episode]) -> Sequence[Episode]:
        """The finished episodes of all ranks, in order of completion."""
        if self.ranks.alone:
            return episodes
        return sorted(chain(*self.ranks.collect_present([*episodes])), key=lambda episode: episode.step)

    def _go_on(self, failure: EnvironmentReplaced, updates: int) -> None:
        """Discards the rollout in which processes were replaced; continues the episodes of the other environments.

        A recurrent agent loses its state with the rollout, so all of its episodes restart. Raises the failure after too
        many replacements without an update in between.
        """
        self._in_vain = 0 if updates else self._in_vain + 1
        if self._in_vain > _MOST_IN_VAIN:
            raise EnvironmentFailure(f"{failure} {self._in_vain} times without an update between them") from failure
        if self.agent.recurrent:
            self.restart_episodes()
            return
        self._obs, self._between_iterations = failure.obs, True
        self.agent.on_reset()

    def _updates(self, plan: ChunkPlan, training: Training) -> int:
        """Updates in the next chunk: until one that a hook must see, and for a fraction of a second at most."""
        steps = plan.n_steps * self.worlds.total_envs
        remaining = (plan.until - plan.step) // steps  # a shorter last rollout is its own chunk
        return min(training.updates_ahead(steps), max(1, _MAX_CHUNK_STEPS // steps), remaining)

    def begin_anew(self) -> None:
        """Counts steps from 0 again, so that schedules restart; new episodes begin."""
        self.step, self.iteration, self.seconds, self._obs, self.logger = 0, 0, 0.0, None, Logger()

    def use(self, worlds: Worlds) -> None:
        """Switches to other environments, where new episodes begin with unused random streams."""
        self.worlds = worlds
        seeds = resumed_seeds(self.seed, self.step, self.worlds.total_envs)
        self.restart_episodes([*seeds[self.ranks.own(len(seeds))]])

    def begin_episodes(self) -> None:
        """Resets the environments at the beginning, after an interrupted iteration, and after others have used them."""
        if self._obs is None or not self._between_iterations:  # an error or Ctrl-C interrupted an iteration
            self.restart_episodes()
        elif self._used_by_others:  # such as a loop of the user's own, which may have reset them with seeds of its own
            self.use(self.worlds)

    @property
    def _used_by_others(self) -> bool:
        return self.worlds.uses != self._uses or self.worlds.taken

    def restart_episodes(self, seeds: list[int | None] | None = None) -> None:
        """Resets every environment, after its episode was interrupted or others have used the environment."""
        self._obs, _ = self.worlds.reset(seed=seeds)
        self._state, self._uses = None, self.worlds.uses
        self.agent.on_reset()
        self._between_iterations = True

    def state_dict(self) -> dict[str, object]:
        """Counters, and the worlds of all ranks; without worlds if they are ahead: after an interrupted iteration, or
        after others have used them.
        """
        complete = self._between_iterations and self._obs is not None and not self._used_by_others
        return {
            "step": self.step,
            "iteration": self.iteration,
            "seconds": self.seconds,
            "inexact_resumes": self.inexact_resumes,
            "replaced": self.worlds.replaced,
            **self._environments(complete),
        }

    def _environments(self, complete: bool) -> dict[str, object]:
        """The state of all ranks' environments."""
        own: dict[str, object] = {
            "obs": np.asarray(self._obs) if complete else None,
            "state": self._state if complete else None,
            "worlds": self.worlds.state_dict() if complete else None,
        }
        return own if self.ranks.alone else cast("dict[str, object]", concatenated(self.ranks.collect(own)))

    def load_state_dict(self, state: Mapping[str, object], with_worlds: bool = True) -> None:
        """Raises Misfit if the state is not that of a loop on these worlds."""
        own = state
        if not self.ranks.alone:
            own = {name: share_of(state[name], self.ranks) for name in ("obs", "state", "worlds")}
        self.step, self.iteration = saved.whole(state["step"], "step"), saved.whole(state["iteration"], "iteration")
        self.seconds = saved.number(state["seconds"], "seconds", 0)
        self.worlds.env.replaced = saved.whole(state.get("replaced", 0), "replaced")  # added after the format
        worlds = own["worlds"] if with_worlds else None
        restored = worlds is not None and self.worlds.load_state_dict(saved.mapping(worlds, "worlds"))
        self.exact = restored or (worlds is None and self.step == 0)
        earlier = saved.whole(state.get("inexact_resumes", 0), "inexact_resumes")
        self.inexact_resumes = earlier + (not self.exact)
        if restored:
            self._obs, self._state = self.worlds.saved_observations(own["obs"]), self._saved_state(own["state"])
            self._uses = self.worlds.uses
        elif not self.exact:  # new episodes, from unused random streams
            self.use(self.worlds)

    def _saved_state(self, value: object) -> Tensor | None:
        """The hidden state of a recurrent agent, float[N, H]."""
        if value is None:
            return None
        return saved.tensor(value, "state", torch.get_default_dtype(), (self.worlds.num_envs, None))
