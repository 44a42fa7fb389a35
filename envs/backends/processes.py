"""`ProcessBackend`: each environment in its own process, with Gymnasium's `AsyncVectorEnv` in SAME_STEP mode.

Returns the same rows as `SyncBackend` for the same seeds. No environment is built in the main process. The processes
are not forked from it (see `process_context`), so a script needs `if __name__ == "__main__":`, as always with
multiprocessing.
"""

import atexit
import multiprocessing
import pickle
import signal
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import ClassVar, Self, TypeVar, cast
from weakref import WeakMethod

import gymnasium as gym
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from gymnasium.vector.async_vector_env import AsyncState, _async_worker

from envs import saved
from envs.backends.base import FAILURE, REPLACED, BackendEnv, Description, Infos, Request, StepResult, as_transitions
from envs.backends.guard import flattened, merge_info
from envs.backends.remote import RemoteEnv
from envs.backends.replacement import PatientPipe, start
from envs.backends.scout import describe, how_ended, process_context
from envs.build import AnyEnv
from envs.errors import EnvironmentFailure, EnvironmentUsageError, EnvironmentWarning, in_one_line, reason
from envs.replay import Replay, Snapshot, decoded
from envs.snapshot import Layers
from envs.spaces import Array
from envs.streams import replacement_seed

Answer = TypeVar("Answer")
_PATIENCE = 5.0  # seconds for a process to close its environment before it is killed


class ProcessBackend(BackendEnv, AsyncVectorEnv):
    """N environments, each in its own process.

    build: returns an environment with flat observations. like: describes it. timeout: seconds for building all
    environments, for a step and for a reset. restart: replaces a process that dies in a step or exceeds the timeout;
    the environment's row of that step is then the first observation of a new episode, and infos contain the mask
    REPLACED. Raises EnvironmentUsageError if an environment cannot be built in its process, EnvironmentFailure if an
    environment raises, its process ends, or it does not answer in time.
    """

    backend = "async"
    bytes_each: ClassVar[int] = 50_000_000
    evaluate_on: ClassVar[str] = "async"  # an environment that can hang or die in training can do so in evaluation
    takes_timeout: ClassVar[bool] = True

    def __init__(
        self, build: Callable[[], AnyEnv], num_envs: int, like: Description, timeout: float | None = None,
        restart: bool = False,
    ) -> None:  # fmt: skip
        self.name, self.spec, self._in_sync, self._timeout = like.name, like.spec, True, timeout
        remote = self._remote = partial(RemoteEnv, build, like.name, (like.flat_space, like.action_space))
        self._seeds: list[int | None] = [None] * num_envs
        self.parent_pipes, self.processes = [], []
        try:
            begin = partial(
                super().__init__, [partial(remote, i) for i in range(num_envs)], copy=False, worker=_work,
                context=process_context().get_start_method(), autoreset_mode=AutoresetMode.SAME_STEP,
            )  # fmt: skip
            self._exchange(begin)
            problems = cast("tuple[str, ...]", self._exchange(partial(self.call, "begin")))
        except BaseException:
            self.close()
            raise
        for i, problem in enumerate(problems):
            if problem:
                self.close()
                raise EnvironmentUsageError(f"environment {i} ({self.name}) cannot be built in its process: {problem}")
        self.env_obs_space = like.observation_space
        if restart:
            pipes = [PatientPipe(pipe, self._row(i)) for i, pipe in enumerate(self.parent_pipes)]
            self.parent_pipes = cast("list[Connection]", pipes)
        self._at_exit = partial(_close, WeakMethod(self.close))
        atexit.register(self._at_exit)  # runs before multiprocessing kills the processes

    @classmethod
    def build(cls, request: Request) -> Self:
        if isinstance(request.env, gym.Env):
            raise EnvironmentUsageError("backend=async builds elsewhere: pass an id or a function, not an object")
        build = partial(_build_flattened, request.build)
        return cls(build, request.count, _described(request), request.step_timeout, request.on_crash == "restart")

    @classmethod
    def gives_masks(cls, request: Request) -> bool | None:
        return _described(request).gives_masks

    def reset(self, *, seed: int | list[int | None] | None = None, options: Infos | None = None) -> tuple[Array, Infos]:
        if not self._in_sync:
            self._exchange(self._discard_answers)
        if seed is not None:
            self._seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int) else seed
        return self._checked(self._exchange(partial(super().reset, seed=seed, options=options)))

    def step(self, actions: Array) -> StepResult:
        if not self._in_sync:
            raise EnvironmentFailure(f"the last call to {self.name} was interrupted: reset before the next step")
        answer = self._checked(self._exchange(partial(super().step, actions)))
        if any(getattr(pipe, "lost", "") for pipe in self.parent_pipes):
            answer = (*answer[:4], self._exchange(partial(self._replace_lost, answer[4])))
        return as_transitions(answer)

    def _replace_lost(self, infos: Infos) -> Infos:
        """Replaces the processes that did not answer a step. Returns the infos, with those of the resets added."""
        pipes = cast("list[PatientPipe]", self.parent_pipes)
        for i, pipe in enumerate(pipes):
            if pipe.lost:
                name = f"environment {i} ({self.name}): its process {pipe.end(self.processes[i])}"
                began, self.replaced = self._seeds[i], self.replaced + 1
                seed = None if began is None else replacement_seed(began, self.replaced)
                try:
                    self.processes[i], pipes[i], info = start(
                        partial(self._remote, i), i, _work, self._row(i), self.error_queue, seed, self._timeout
                    )
                except (EnvironmentFailure, EOFError, ConnectionError, multiprocessing.TimeoutError) as error:
                    raise EnvironmentFailure(f"{name} and could not be replaced: {reason(error)}", i) from error
                warnings.warn(f"{name}; it was replaced, its episode discarded", EnvironmentWarning, stacklevel=2)
                infos = self._add_info(infos, {**info, REPLACED: True}, i)
        return infos

    def _row(self, i: int) -> Array:
        """Environment i's observation in the shared memory, [1, …]."""
        return cast(Array, self.observations)[i : i + 1]

    def reset_wait(self, timeout: float | None = None) -> tuple[Array, Infos]:
        return cast("tuple[Array, Infos]", super().reset_wait(self._timeout if timeout is None else timeout))

    def step_wait(self, timeout: float | None = None) -> StepResult:
        return super().step_wait(self._timeout if timeout is None else timeout)

    def call_wait(self, timeout: float | None = None) -> tuple[object, ...]:
        return super().call_wait(self._timeout if timeout is None else timeout)

    def capture(self) -> list[Snapshot] | None:
        snapshots = [pickle.loads(state) for state in self._exchange(partial(self.call, "snapshot"))]
        return None if any(snapshot is None for snapshot in snapshots) else snapshots

    def restore(self, state: object) -> None:
        snapshots = [decoded(one) for one in saved.sequence(state, "snapshots")]  # raises Misfit here
        if len(snapshots) != self.num_envs or not all(self._exchange(partial(self._restore, snapshots))):
            raise ValueError("the saved state is of other environments, or a replay went differently")

    def _restore(self, snapshots: list[Layers | Replay]) -> tuple[object, ...]:
        """Allows a replay the timeout of all its steps."""
        steps = max(len(one["actions"]) if isinstance(one, dict) else 0 for one in snapshots)
        self.call_async("restore", [pickle.dumps(one) for one in snapshots])
        return self.call_wait(None if self._timeout is None else self._timeout * (steps + 1))

    def _add_info(self, vector_infos: Infos, env_info: Infos, env_num: int) -> Infos:
        return merge_info(super()._add_info, vector_infos, env_info, env_num, self.num_envs)

    def close_extras(self, timeout: float | None = None, terminate: bool = False) -> None:
        """Asks every process to end, and kills those still alive after `timeout` seconds.

        timeout: by default 5, or 1 after an interrupted call, since a hanging process would not react.
        """
        if hasattr(self, "_at_exit"):
            atexit.unregister(self._at_exit)
        for pipe in filter(None, self.parent_pipes):
            with suppress(OSError):  # the process is gone
                pipe.send(("close", None))
        patience = _PATIENCE if self._in_sync else 1.0
        until = time.monotonic() + (patience if timeout is None else timeout)
        for process in self.processes:
            if process.pid is None:  # never started
                continue
            process.join(max(until - time.monotonic(), 0.0))
            if process.is_alive():
                process.kill()
                process.join()
        for pipe in filter(None, self.parent_pipes):
            pipe.close()

    def _exchange(self, call: Callable[[], Answer]) -> Answer:
        """Makes a call to every process. Raises EnvironmentFailure if a process ends or does not answer in time."""
        self._in_sync = False
        try:
            answer = call()
        except (EOFError, ConnectionError) as error:
            raise self._ended() from error
        except multiprocessing.TimeoutError as error:
            raise self._timed_out() from error
        self._in_sync = True
        return answer

    def _discard_answers(self) -> None:
        """Drops late answers to an exchange that was interrupted, for instance by Ctrl-C."""
        token = time.monotonic()
        for pipe in self.parent_pipes:
            pipe.send(("_call", ("echo", (token,), {})))
        for pipe in self.parent_pipes:
            while True:
                if not pipe.poll(self._timeout):
                    raise multiprocessing.TimeoutError
                if pipe.recv()[0] == token:
                    break
        self._state = AsyncState.DEFAULT

    def _checked(self, answer: Answer) -> Answer:
        infos = cast("tuple[Infos, ...]", answer)[-1]
        if FAILURE in infos:
            i, text = next((i, text) for i, text in enumerate(cast("list[str]", infos[FAILURE])) if text)
            raise EnvironmentFailure(text, i)
        return answer

    def _timed_out(self) -> EnvironmentFailure:
        i = next((i for i, pipe in enumerate(self.parent_pipes) if not pipe.poll(0)), 0)
        text = f"environment {i} ({self.name}) has not answered for {self._timeout:g} s (step_timeout)"
        return EnvironmentFailure(text, i)

    def _ended(self) -> EnvironmentFailure:
        wait([process.sentinel for process in self.processes], _PATIENCE)
        i = next((i for i, process in enumerate(self.processes) if process.exitcode is not None), 0)
        text = f"environment {i} ({self.name}): its process {how_ended(self.processes[i])}"
        return EnvironmentFailure(text, i)


def _described(request: Request) -> Description:
    """The description of the first environment, by another process; asked for only once per request."""
    if request.description is None:
        env_id = request.env if isinstance(request.env, str) else None
        request.description = describe(request.build, env_id, request.step_timeout)
    return request.description


def _build_flattened(build: Callable[[], AnyEnv]) -> AnyEnv:
    return flattened(build())


def _work(*arguments: object) -> None:
    """Body of a process: ignores Ctrl-C, which the parent handles, and ends with the parent."""
    worker: Callable[..., None] = _async_worker  # its parameters differ between versions of Gymnasium
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.formatwarning = in_one_line
    with suppress(BrokenPipeError):
        worker(*arguments)


def _close(method: "WeakMethod[Callable[[], None]]") -> None:
    if (close := method()) is not None:
        close()
