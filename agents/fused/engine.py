"""`Fused`: compiled kernels act and learn, in the memory of a learner's torch parameters."""

import math
import time
from collections.abc import Callable
from functools import cached_property
from typing import cast
from weakref import WeakSet

import numba
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Generator

from agents.base_learner import BaseLearner
from agents.fused.arrays import Doubles, zeros
from agents.fused.changes import Watch
from agents.fused.chunk import Episodes, Stepped, World
from agents.fused.learn import DONE
from agents.fused.memory import Batch, Reports
from agents.fused.noise import Noise, draw, draw_for
from agents.fused.program import Arrays, Program
from agents.networks.actor_critic import encode, input_size
from agents.rollout import Array, Choice, ChunkPlan, ChunkResult, Context, Episode, Metrics, Rollout, finished_episodes
from agents.settings.values import ConfigError
from envs import Worlds
from envs.backends.native import NativeBackend
from envs.kernels import Kernel, compiled_for, compiling
from envs.spaces import factors

_CHUNK_SECONDS = 0.1  # duration of a chunk if the kernels cannot step the environments

# complete updates, episodes that ended in them, next observations, and the error that ended the chunk early
Outcome = tuple[int, list[Episode], Array, BaseException | None]


class Fused:
    """The compiled engine. It changes the learner's own parameters, optimizer state and normalizers."""

    name = "fused"

    def __init__(self, learner: BaseLearner, program: Program) -> None:
        self.learner, self.program = learner, program
        self._watch = Watch(learner)
        space = learner.obs_space
        self._box = isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating)
        self._width, self._choices = input_size(space), np.array(factors(learner.policy.head.actions))
        self._compiled: WeakSet[Worlds] = WeakSet()
        self._columns = {f"train/{name}": k for k, name in enumerate(program.metrics) if name}

    def act(self, obs: Array, deterministic: bool, generator: Generator | None, context: Context) -> Choice:
        """See `A2C.act`. Uses the generator as the torch engine does."""
        generator = generator or self.learner.generator
        raw = self._raw(obs)
        if raw.shape[1] != self._width:
            raise ConfigError(f"observations of shape {obs.shape} do not fit {self.learner.obs_space}")
        memory, rows, head = self.program.acting_memory(len(raw), deterministic), len(raw), self.program.head
        if deterministic:
            noise = zeros(rows, head.noises)
        elif head.gaussian:
            noise = torch.randn(rows, head.size, generator=generator).numpy()
        else:
            noise = draw(generator, 1, rows, head)
        batch = memory.batch
        batch.legal[:] = True if context.legal is None else context.legal
        self.program.kernels.act(memory, raw, noise)
        behavior = torch.from_numpy(batch.behavior[:rows].copy())
        if deterministic:
            return Choice(self.learner.policy.distribution(behavior).mode(), behavior)
        return Choice(torch.from_numpy(self._actions(batch)[:rows].copy()), behavior)

    def update(self, rollout: Rollout, progress: float) -> Metrics:
        """See `A2C.update`. Converts numbers to torch's default dtype, the only one for which kernels are compiled."""
        steps, envs = rollout.reward.shape
        number = torch.get_default_dtype()
        memory = self.program.memory(steps, envs)
        obs, next_obs = (self._raw(x.flatten(0, 1).numpy()) for x in (rollout.obs, rollout.next_obs))
        discrete, continuous = memory.batch.discrete, memory.batch.continuous
        if self.program.head.gaussian:
            continuous = rollout.action.reshape(steps * envs, -1).to(number).numpy()
        else:
            discrete = rollout.action.reshape(steps * envs, -1).numpy()
            if discrete.dtype != np.int64 or (discrete < 0).any() or (discrete >= self._choices).any():
                raise ConfigError(f"rollout.action must hold int64 from 0 up to {self._choices - 1}")
        behavior = rollout.behavior.flatten(0, 1).to(number).numpy()
        outcome = (rollout.reward.double().numpy(), rollout.terminated.numpy(), rollout.truncated.numpy())
        used = self.program.kernels.load(memory, obs, next_obs, discrete, continuous, behavior, *outcome)
        report, last = np.empty(1, self.program.report), next_obs[-envs:]
        _, status = self.program.kernels.store_learn_act(
            memory, steps - 1, steps, used, last, zeros(0, self.program.head.noises), last,
            *(x[-1] for x in outcome), progress, True, report,
        )  # fmt: skip
        if status != DONE:
            raise self.program.error(status, report)
        self.program.write_back(report)
        return self._metrics(report.view(np.float64))

    def chunk(self, worlds: Worlds, plan: ChunkPlan, obs: Array) -> ChunkResult:
        """Runs iterations from these observations: the whole plan on native worlds, otherwise as many as fit 0.1 s.

        The division into chunks does not change the results.
        """
        memory = self.program.memory(plan.n_steps, worlds.num_envs)
        reports = np.empty(plan.updates, self.program.report)
        run = self._native if worlds.env.native else self._stepped
        whole, episodes, obs, failure = run(memory, worlds, plan, obs, reports)
        if whole:
            self.program.write_back(reports[whole - 1 : whole])
        numbers = reports.view(np.float64).reshape(plan.updates, -1)[:whole]
        return ChunkResult(whole, self._metrics(numbers), episodes, obs, failure)

    def _native(self, memory: Arrays, worlds: Worlds, plan: ChunkPlan, obs: Array, reports: Reports) -> Outcome:
        ranks, rows = self.learner.ranks, plan.updates * plan.n_steps * worlds.num_envs
        ended = Episodes(np.empty(rows), np.empty(rows, np.int64), np.empty(rows, np.int64))
        memory.batch.legal[:] = True  # after training on other worlds
        noise = draw_for(ranks, self.learner.generator, plan.updates * plan.n_steps, worlds.num_envs, self.program.head)
        status, whole, count = self.program.kernels.run_chunk(
            memory, _world(worlds), noise, plan.updates, plan.n_steps, plan.step, plan.iteration, plan.until,
            plan.interval, reports, ended,
        )  # fmt: skip
        episodes = [Episode(*row) for row in zip(*(column[:count].tolist() for column in ended), strict=True)]
        failure = None if status == DONE else self.program.error(status, reports[whole : whole + 1])
        return whole, episodes, _native(worlds).obs.copy(), failure

    def _stepped(self, memory: Arrays, worlds: Worlds, plan: ChunkPlan, obs: Array, reports: Reports) -> Outcome:
        """One kernel call per step learns and chooses the next action, since a call costs more than its work."""
        whole, episodes, batch, envs, steps = 0, list[Episode](), memory.batch, worlds.num_envs, plan.n_steps
        actions = self._actions(batch)
        ranks, step, extra, status = self.learner.ranks, plan.step, 0, DONE
        deadline = time.perf_counter() + _CHUNK_SECONDS if ranks.alone else math.inf  # ranks keep in step
        draws = Noise(ranks, self.learner.generator, envs, self.program.head)
        raw, noise, ended = self._raw(obs), draws.take(), list[Episode]()
        batch.legal[:] = True if worlds.legal is None else worlds.legal
        self.program.kernels.act(memory, raw, noise)
        step_kernel = self._step_kernel if worlds.env.fixed_dtypes else self.program.kernels.store_learn_act
        try:
            for whole in range(plan.updates):
                progress, measure = step / plan.until, (plan.iteration + whole + 1) % plan.interval == 0
                report = reports[whole : whole + 1]
                last = whole + 1 == plan.updates or time.perf_counter() > deadline
                for t in range(steps):
                    obs, reward, terminated, truncated, infos = worlds.step(actions[t * envs : (t + 1) * envs].copy())
                    step += worlds.total_envs
                    raw = raw_next = self._raw(obs)
                    if worlds.legal is not None:
                        batch.legal[:] = worlds.legal
                    if "_episode" in infos:
                        ended += finished_episodes(infos, step)
                        raw_next = self._raw(cast(Array, infos["next_obs"]))
                    noise = draws.none if last and t == steps - 1 else draws.take()
                    extra, status = step_kernel(
                        memory, t, steps, extra, raw, noise, raw_next, reward, terminated, truncated, progress,
                        measure, report,
                    )  # fmt: skip
                if status != DONE:
                    return whole, episodes, obs, self.program.error(status, report)
                episodes, ended = episodes + ended, []
                if last:
                    break
        except BaseException as failure:  # from an environment, or Ctrl-C; earlier updates count
            return whole, episodes, obs, failure
        finally:
            draws.settle()
        return whole + 1, episodes, obs, None

    @cached_property
    def _step_kernel(self) -> Kernel:
        """`store_learn_act`, specialized for the arguments of `_stepped`: skips type dispatch, most of a call's cost.

        Only for worlds with `fixed_dtypes`: other types are undefined behavior.
        """
        memory, flags, none = self.program.memory(1, 1), np.empty(1, np.bool_), zeros(0, self.program.head.noises)
        raw, report = np.empty((1, 1)), np.empty(1, self.program.report)
        arguments = (memory, 0, 1, 0, raw, none, raw, np.empty(1), flags, flags, 0.0, True, report)
        return compiled_for(self.program.kernels.store_learn_act, arguments)

    def _actions(self, batch: Batch) -> Array:
        """The batch's actions in a rollout's form, int64[T · N], int64[T · N, K] or float[T · N, A]."""
        if self.program.head.gaussian:
            return batch.continuous
        return batch.discrete[:, 0] if isinstance(self.learner.policy.head.actions, spaces.Discrete) else batch.discrete

    def _metrics(self, numbers: NDArray[np.float64]) -> Metrics:
        """The metrics in reports, float64[11] or float64[updates, 11]."""
        columns = torch.from_numpy(numbers).to(torch.get_default_dtype()).unbind(-1)
        return {name: columns[k] for name, k in self._columns.items()}

    def _raw(self, obs: Array) -> Doubles:
        """Observations as rows of numbers, float64[N, D], so that kernels are compiled for this type only."""
        if self._box:
            return obs.reshape(len(obs), -1).astype(np.float64, copy=False)
        return encode(self.learner.obs_space, torch.as_tensor(obs)).double().numpy()

    def compile(self, worlds: Worlds, on_compile: Callable[[], None] | None = None) -> None:
        """Loads or compiles every kernel that training on these worlds needs; see `agents.engines.Engine`."""
        if worlds in self._compiled:
            return
        self._compiled.add(worlds)
        envs, steps = worlds.num_envs, self.program.n_steps
        memory = self.program.memory(steps, envs)
        raw = np.zeros((envs, self._width))
        noise = zeros(envs, self.program.head.noises)
        with compiling(on_compile):
            compiled_for(self.program.kernels.act, (memory, raw, noise))
            if worlds.env.native:
                ended = Episodes(np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
                counts = (1, steps, 0, 0, 1, 1)
                compiled_for(
                    self.program.kernels.run_chunk,
                    (memory, _world(worlds), noise, *counts, np.empty(1, self.program.report), ended),
                )
            else:
                _ = self._step_kernel

    def compile_update(self, worlds: Worlds, on_compile: Callable[[], None] | None = None) -> None:
        """Loads or compiles the kernels of `act` and `update`, for a caller that collects the rollouts."""
        steps, envs = self.program.n_steps, worlds.num_envs
        memory, raw = self.program.memory(steps, envs), np.zeros((envs, self._width))
        batch, flags = memory.batch, np.empty((steps, envs), np.bool_)
        actions = (batch.discrete, batch.continuous, batch.behavior)
        with compiling(on_compile):
            compiled_for(self.program.kernels.act, (memory, raw, zeros(envs, self.program.head.noises)))
            compiled_for(self.program.kernels.load, (memory, raw, raw, *actions, np.empty((steps, envs)), flags, flags))
            _ = self._step_kernel

    def unseen_change(self, replaced: str) -> str:
        change, obstacle = replaced or self._watch.change(), self.learner.obstacle()
        return change or (obstacle and f"settings: {obstacle}")

    def describe(self) -> str:
        return f"fused (Numba {numba.__version__}), one thread of the CPU"


def _native(worlds: Worlds) -> NativeBackend:
    return cast(NativeBackend, worlds.env)


def _world(worlds: Worlds) -> World:
    native, space = _native(worlds), worlds.env_action_space
    low, high = (float(space.low[0]), float(space.high[0])) if isinstance(space, spaces.Box) else (0.0, 0.0)
    envs = worlds.num_envs
    force, reward, flags = np.empty(envs, np.float32), np.empty(envs), np.empty((2, envs), np.bool_)
    stepped = Stepped(force, np.empty_like(native.obs), reward, flags[0], flags[1])
    return World(
        native.world, native.limit, native.state, native.rng, native.length, native.obs, native.two,
        *worlds.running, low, high, stepped,
    )  # fmt: skip
