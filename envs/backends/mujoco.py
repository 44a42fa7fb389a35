"""`MujocoBackend`: Gymnasium's MuJoCo environments, simulated in threads."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self, cast

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import OrderEnforcing, TimeLimit

from envs.backends.base import Flags, Infos, Request, StepResult
from envs.backends.guard import GuardedEnv
from envs.backends.mujoco_tasks import TASKS, Outcome
from envs.backends.sync import SyncBackend
from envs.errors import EnvironmentUsageError
from envs.snapshot import layers_of
from envs.spaces import Array


class MujocoBackend(SyncBackend):
    """Two or more of Gymnasium's environments, without further wrappers; the rows of `SyncBackend`, bit for bit.

    MuJoCo releases Python's lock, so threads simulate at the same time: as many as OMP_NUM_THREADS says, or else as
    there are cores. Observations and rewards of all environments are computed at once, see
    `envs.backends.mujoco_tasks`; resets, snapshots and time limits are those of Gymnasium's environments.
    """

    backend = "mujoco"

    def __init__(self, envs: Sequence[GuardedEnv]) -> None:
        super().__init__(envs)
        inner: list[Any] = [env.unwrapped for env in envs]
        self._task = TASKS[_entry_point(inner[0])](inner)
        self._limits: list[Any] = [next((x for x in layers_of(env) if isinstance(x, TimeLimit)), None) for env in envs]
        self._recorders = [env.recorded for env in envs]
        self._controls = [env.data.ctrl for env in inner]
        self._together = False  # whether `step` may compute for all at once; not before the first reset
        self._alike = True
        count = min(len(envs), _threads())
        self._shares = [_Share(envs[i::count]) for i in range(count)]
        self._pool = ThreadPoolExecutor(count - 1, "mujoco") if count > 1 else None

    @classmethod
    def build(cls, request: Request) -> Self:
        if not cls.suits(request):
            names = ", ".join(point.partition(":")[2].removesuffix("Env") for point in TASKS)
            raise EnvironmentUsageError(
                f"backend=mujoco simulates two or more of {names} of version 5, by their ids and without wrappers or "
                f"windows, not {request.count} of {request.name}; backend=auto finds a backend"
            )
        return super().build(request)

    @classmethod
    def suits(cls, request: Request) -> bool:
        if request.count == 1:  # nothing to share, and arrays of one row cost more than numbers
            return False
        spec = gym.registry.get(request.env) if isinstance(request.env, str) else None
        if spec is None or spec.entry_point not in TASKS or (request.variant.env_kwargs or {}).get("render_mode"):
            return False
        layers = [type(layer) for layer in layers_of(request.first)]
        return {TimeLimit, OrderEnforcing}.issuperset(layers[:-1]) and _entry_point(request.first) == spec.entry_point

    def reset(self, *, seed: int | list[int | None] | None = None, options: Infos | None = None) -> tuple[Array, Infos]:
        answer = super().reset(seed=seed, options=options)
        self._together = self._alike
        return answer

    def set_attr(self, name: str, values: object) -> None:
        """From now on, each environment is stepped by its own code, since the attributes may differ."""
        super().set_attr(name, values)
        self._together = self._alike = False

    def step(self, actions: Array) -> StepResult:
        if not self._together:
            return super().step(actions)
        given, before = np.array(actions), self._task.place()
        starts = [recorder.depart() for recorder in self._recorders]
        for control, action in zip(self._controls, given, strict=True):
            control[:] = action
        self._simulate()
        outcome = self._task.outcome(before, given)
        truncated = self._truncated()
        rows = zip(outcome.obs.copy(), outcome.reward, outcome.terminated.tolist(), truncated.tolist(), strict=True)
        for recorder, start, action, row in zip(self._recorders, starts, given, rows, strict=True):
            recorder.arrive(start, action, (*row, {}))
        return self._answer(outcome, truncated)

    def _simulate(self) -> None:
        others = [self._pool.submit(share.simulate) for share in self._shares[1:]] if self._pool else []
        try:
            self._shares[0].simulate()
        finally:
            for other in others:
                other.result()

    def _truncated(self) -> Flags:
        """Counts a step for every time limit. Returns which are reached."""
        reached = np.zeros(self.num_envs, bool)
        for i, limit in enumerate(self._limits):
            if limit is not None:
                limit._elapsed_steps = (limit._elapsed_steps or 0) + 1
                reached[i] = limit._elapsed_steps >= limit._max_episode_steps
        return reached

    def _answer(self, outcome: Outcome, truncated: Flags) -> StepResult:
        obs, reward, terminated, columns = outcome
        ended = np.flatnonzero(terminated | truncated)
        if not len(ended):
            infos: Infos = {}
            for key, column in columns.items():
                infos[key], infos[f"_{key}"] = column, np.ones(len(obs), bool)
            return self._result(obs, reward, terminated, truncated, infos, {})
        rows: list[Infos] = [{key: column[i] for key, column in columns.items()} for i in range(len(obs))]
        final = {int(i): (obs[i].copy(), rows[i]) for i in ended}
        for i in final:
            first, rows[i] = self._guarded[i].reset()
            obs[i] = cast(Array, first)
        return self._result(obs, reward, terminated, truncated, self._merged(rows, final), final)

    def close_extras(self, **kwargs: Any) -> None:
        if self._pool is not None:
            self._pool.shutdown()
        super().close_extras(**kwargs)


class _Share:
    """The environments that one thread simulates."""

    def __init__(self, envs: Sequence[GuardedEnv]) -> None:
        import mujoco

        self._step, self._forces = mujoco.mj_step, mujoco.mj_rnePostConstraint
        self._envs: list[tuple[Any, GuardedEnv]] = [(env.unwrapped, env) for env in envs]

    def simulate(self) -> None:
        """What `MujocoEnv._step_mujoco_simulation` does. Raises EnvironmentFailure."""
        for inner, env in self._envs:
            try:
                self._step(inner.model, inner.data, nstep=inner.frame_skip)
                self._forces(inner.model, inner.data)
            except Exception as error:
                raise env.raised("step", error) from error


def _entry_point(env: gym.Env[object, object]) -> str:
    kind = type(env.unwrapped)
    return f"{kind.__module__}:{kind.__name__}"


def _threads() -> int:
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
