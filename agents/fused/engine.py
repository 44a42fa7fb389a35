"""`Fused`: acting and learning of an A2C agent by compiled kernels, over the memory of its torch parameters."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import numba
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Generator

from agents.descent import gradient_error, shift_error
from agents.fused import learn as kernels
from agents.fused.chunk import Episodes, World, act_once, run_chunk, turn, update_once
from envs.compiling import Kernel, compiling
from agents.fused.learn import DONE, GRADIENT_NOT_FINITE, METRICS
from agents.fused.memory import Doubles, Memory, zeros
from agents.fused.shared import Shared, options_of
from agents.networks import encode
from envs.native import NativeVectorEnv
from rl.rollout import Array, Choice, Chunk, Episode, Metrics, Plan, Rollout, finished

if TYPE_CHECKING:
    from agents.a2c import A2C
    from envs import Worlds

_REPORTED = {
    "train/policy_shift_kl": kernels.KL,
    "train/grad_norm": kernels.GRAD_NORM,
    "train/learning_rate": kernels.LEARNING_RATE,
    "train/policy_shift_js": kernels.JS,
    "train/policy_loss": kernels.POLICY_LOSS,
    "train/value_loss": kernels.VALUE_LOSS,
    "train/entropy": kernels.ENTROPY,
    "train/ent_coef": kernels.ENT_COEF,
    "train/explained_variance": kernels.EXPLAINED,
}


_SHARE = 0.1  # seconds in one call on worlds that are stepped outside
Outcome = tuple[int, int, list[Episode], Array]  # status, whole updates, episodes ended, next observations


class Fused:
    """The engine of one agent. What it changes are the agent's own parameters, optimizer state and normalizers."""

    def __init__(self, agent: "A2C") -> None:
        self.agent = agent
        self.shared = Shared(agent)
        self._memories: dict[tuple[int, int], Memory] = {}
        self._names = {name: k for name, k in _REPORTED.items() if not (self.shared.gaussian and k == kernels.JS)}

    def act(self, obs: Array, deterministic: bool, generator: Generator) -> Choice:
        """See `A2C.act`. The generator is used as the torch engine uses it."""
        raw = self._raw(obs)
        memory, rows = self._memory(1, len(raw)), len(raw)
        if deterministic:
            noise = zeros(rows, self.shared.size if self.shared.gaussian else 1)
        elif self.shared.gaussian:
            noise = torch.randn(rows, self.shared.size, generator=generator).numpy()
        else:
            noise = torch.rand(rows, 1, generator=generator).numpy()
        act_once(memory, 0, raw, noise)
        batch = memory.batch
        behavior = torch.from_numpy(batch.behavior[:rows].copy())
        if deterministic:
            return Choice(self.agent.policy.distribution(behavior).mode(), behavior)
        action = batch.action if self.shared.gaussian else batch.index
        return Choice(torch.from_numpy(action[:rows].copy()), behavior)

    def update(self, rollout: Rollout, progress: float) -> Metrics:
        """See `A2C.update`."""
        steps, envs = rollout.reward.shape
        memory = self._memory(steps, envs)
        space = self.agent.obs_space
        index, action = memory.batch.index, memory.batch.action
        if self.shared.gaussian:
            action = rollout.action.reshape(steps * envs, -1).numpy()
        else:
            index = rollout.action.reshape(-1).numpy()
        report = np.empty((1, METRICS))
        status = update_once(
            memory,
            encode(space, rollout.obs).flatten(0, 1).numpy(),
            encode(space, rollout.next_obs).flatten(0, 1).numpy(),
            index,
            action,
            rollout.behavior.flatten(0, 1).numpy(),
            rollout.reward.numpy(),
            rollout.terminated.numpy(),
            rollout.truncated.numpy(),
            progress,
            report[0],
        )
        self.shared.write_back()
        if status != DONE:
            raise _error(status, report[0])
        numbers = torch.from_numpy(report[0]).to(torch.get_default_dtype()).unbind()
        return {name: numbers[k] for name, k in self._names.items()}

    def chunk(self, worlds: "Worlds", plan: Plan, obs: Array) -> Chunk:
        """Some iterations from these observations: on native worlds in one call, else until a tenth of a second is over.

        They are the same whatever calls they are made in.
        """
        memory = self._memory(plan.n_steps, worlds.num_envs)
        reports = np.empty((plan.updates, METRICS))
        run = self._native if worlds.native else self._stepped
        status, whole, episodes, obs = run(memory, worlds, plan, obs, reports)
        self.shared.write_back()
        numbers = torch.from_numpy(reports[:whole]).to(torch.get_default_dtype()).unbind(1)
        failure = None if status == DONE else _error(status, reports[whole])
        return Chunk(whole, {name: numbers[k] for name, k in self._names.items()}, episodes, obs, failure)

    def _native(self, memory: Memory, worlds: "Worlds", plan: Plan, obs: Array, reports: Doubles) -> Outcome:
        rows = plan.updates * plan.n_steps * worlds.num_envs
        ended = Episodes(np.empty(rows), np.empty(rows, np.int64), np.empty(rows, np.int64))
        status, whole, count = run_chunk(
            memory, _world(worlds), self._noise(rows, self.agent.generator), plan.updates, plan.n_steps, plan.step,
            plan.iteration, plan.until, plan.interval, reports, ended,
        )  # fmt: skip
        episodes = [Episode(*row) for row in zip(*(column[:count].tolist() for column in ended), strict=True)]
        return status, whole, episodes, worlds.current_obs

    def _stepped(self, memory: Memory, worlds: "Worlds", plan: Plan, obs: Array, reports: Doubles) -> Outcome:
        """Each call of a kernel learns from one step and acts for the next, since calls take longer than their work."""
        batch, envs, steps, generator = memory.batch, worlds.num_envs, plan.n_steps, self.agent.generator
        actions = batch.action if self.shared.gaussian else batch.index
        episodes: list[Episode] = []
        start, step, extra, status = time.perf_counter(), plan.step, 0, DONE
        act_once(memory, 0, self._raw(obs), self._noise(envs, generator))
        for u in range(plan.updates):
            progress, measure = step / plan.until, (plan.iteration + u + 1) % plan.interval == 0
            late = u + 1 == plan.updates or time.perf_counter() - start > _SHARE
            for t in range(steps):
                obs, reward, terminated, truncated, infos = worlds.step(actions[t * envs : (t + 1) * envs].copy())
                step += envs
                if "_episode" in infos:
                    episodes += finished(infos, step)
                noise = self._noise(0 if late and t == steps - 1 else envs, generator)
                next_obs = obs if "_episode" not in infos else cast(Array, infos["next_obs"])
                extra, status = turn(
                    memory, t, steps, extra, self._raw(obs), noise, self._raw(next_obs), reward, terminated, truncated,
                    progress, measure, reports[u],
                )  # fmt: skip
            if status != DONE or late:
                break
        return status, u + (status == DONE), episodes, obs

    def _raw(self, obs: Array) -> NDArray[np.floating]:
        """Observations as rows of numbers, float[N, D]."""
        if isinstance(self.agent.obs_space, spaces.Box) and obs.dtype.kind == "f":
            return cast("NDArray[np.floating]", obs.reshape(len(obs), -1))
        return encode(self.agent.obs_space, torch.as_tensor(obs)).numpy()

    def warm(self, worlds: "Worlds", on_compile: Callable[[], None] | None = None) -> None:
        """Loads every kernel that training on these worlds needs, or compiles it, first calling on_compile."""
        memory, envs, steps = self._memory(self.agent.n_steps, worlds.num_envs), worlds.num_envs, self.agent.n_steps
        raw = self._raw(worlds.observation_space.sample())
        noise = zeros(envs, self.shared.size if self.shared.gaussian else 1)
        calls: list[tuple[Kernel, tuple[object, ...]]] = [(act_once, (memory, 0, raw, noise))]
        if worlds.native:
            ended = Episodes(np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
            counts = (1, steps, 0, 0, 1, 1)
            calls.append((run_chunk, (memory, _world(worlds), noise, *counts, np.empty((1, METRICS)), ended)))
        else:
            flags = np.empty(envs, np.bool_)
            report = np.empty(METRICS)
            calls.append((turn, (memory, 0, 1, 0, raw, noise, raw, np.empty(envs), flags, flags, 0.0, True, report)))
        with compiling(on_compile):
            for kernel, arguments in calls:
                kernel.compile(tuple(numba.typeof(argument) for argument in arguments))

    def _noise(self, rows: int, generator: Generator) -> NDArray[np.floating]:
        """What sampling needs, the same however many rows are asked for at once (which torch's normal numbers are not)."""
        if not self.shared.gaussian:
            return torch.rand(rows, 1, generator=generator).numpy()
        u = torch.rand(rows, self.shared.size, generator=generator, dtype=torch.float64)
        return torch.special.ndtri(u.clamp_min_(2.0**-54)).to(torch.get_default_dtype()).numpy()

    def _memory(self, steps: int, envs: int) -> Memory:
        """For a rollout of this shape; its settings and adaptive coefficients as they are now."""
        self.shared.refresh()
        if (steps, envs) not in self._memories:
            self._memories[steps, envs] = self.shared.memory(steps, envs)
        return self._memories[steps, envs]._replace(options=options_of(self.agent))


def _world(worlds: "Worlds") -> World:
    native, space = cast(NativeVectorEnv, worlds.env), worlds.env_action_space
    low, high = (float(space.low[0]), float(space.high[0])) if isinstance(space, spaces.Box) else (0.0, 0.0)
    return World(
        native.world, native.limit, native.state, native.rng, native.length, native.obs, native.two,
        *worlds.running, low, high,
    )  # fmt: skip


def _error(status: int, report: NDArray[np.float64]) -> FloatingPointError:
    if status == GRADIENT_NOT_FINITE:
        return gradient_error(float(report[kernels.LOSS]))
    return shift_error(float(report[kernels.LEARNING_RATE]))
