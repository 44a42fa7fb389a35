"""`ProcessBackend`: each environment in a process, by Gymnasium's `AsyncVectorEnv` in SAME_STEP mode.

The rows are those of `SyncBackend` from the same seeds. Processes are started by forkserver (by spawn on Windows), not
forked from this one: a fork would leave the threads of torch and Numba in an undefined state. So a script must do its
work under `if __name__ == "__main__":`, as always with multiprocessing.
"""

import atexit
import multiprocessing
import pickle
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import wait
from typing import ClassVar, Self, TypeVar, cast
from weakref import WeakMethod

import gymnasium as gym
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from gymnasium.vector.async_vector_env import AsyncState, _async_worker

from envs.backends.base import BackendEnv, Infos, Request, StepResult, as_transitions
from envs.backends.guard import Snapshot, flattened, merge_info
from envs.backends.remote import FAILURE, RemoteEnv
from envs.build import AnyEnv
from envs.errors import EnvironmentFailure, EnvironmentUsageError
from envs.spaces import Array

Answer = TypeVar("Answer")
_PATIENCE = 5.0  # seconds for a process to close its environment before it is killed


class ProcessBackend(BackendEnv, AsyncVectorEnv):
    """N environments, each in its own process.

    like: an environment that `build` returned, for its spaces and its spec; it may be closed already. timeout: seconds
    for a step or a reset. Raises EnvironmentUsageError if an environment cannot be built in its process,
    EnvironmentFailure if one raises, its process ends, or it does not answer in time.
    """

    backend = "async"
    takes_timeout: ClassVar[bool] = True

    def __init__(
        self, build: Callable[[], AnyEnv], num_envs: int, name: str, like: AnyEnv, timeout: float | None = None
    ) -> None:
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            sys.exit(1)  # the script has no __main__ guard: the process that started this one prints the message
        self.name, self.spec, self._in_sync, self._timeout = name, like.spec, True, timeout
        remote = partial(RemoteEnv, build, name, (like.observation_space, like.action_space))
        self.parent_pipes, self.processes = [], []
        method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        if method == "forkserver":
            multiprocessing.get_context(method).set_forkserver_preload([__name__])  # once, for all of them
        try:
            super().__init__(
                [partial(remote, i) for i in range(num_envs)], copy=False, context=method,
                worker=_work, autoreset_mode=AutoresetMode.SAME_STEP,
            )  # fmt: skip
            problems = cast("tuple[str, ...]", self._exchange(partial(self.call, "begin")))
        except Exception as error:
            self.close()
            raise EnvironmentUsageError(self._not_started(error)) from error
        for i, problem in enumerate(problems):
            if problem:
                self.close()
                raise EnvironmentUsageError(f"environment {i} ({name}) cannot be built in its process: {problem}")
        self.env_obs_space = self.single_observation_space
        self._at_exit = partial(_close, WeakMethod(self.close))
        atexit.register(self._at_exit)  # runs before multiprocessing kills the processes

    @classmethod
    def build(cls, request: Request) -> Self:
        if isinstance(request.env, gym.Env):
            raise EnvironmentUsageError(
                "backend=async builds in other processes: pass an id or a function, not an object"
            )
        first = request.first
        first.close()
        build = partial(_build_flattened, request.build)
        built = cls(build, request.count, request.name, flattened(first), request.step_timeout)
        built.env_obs_space = first.observation_space
        return built

    def reset(self, *, seed: int | list[int | None] | None = None, options: Infos | None = None) -> tuple[Array, Infos]:
        if not self._in_sync:
            self._exchange(self._discard_answers)
        return self._checked(self._exchange(partial(super().reset, seed=seed, options=options)))

    def step(self, actions: Array) -> StepResult:
        if not self._in_sync:
            raise EnvironmentFailure(f"the last call to {self.name} was interrupted: reset before the next step")
        return as_transitions(self._checked(self._exchange(partial(super().step, actions))))

    def reset_wait(self, timeout: float | None = None) -> tuple[Array, Infos]:
        return cast("tuple[Array, Infos]", super().reset_wait(self._timeout if timeout is None else timeout))

    def step_wait(self, timeout: float | None = None) -> StepResult:
        return super().step_wait(self._timeout if timeout is None else timeout)

    def capture(self) -> list[Snapshot] | None:
        snapshots = [pickle.loads(state) for state in self._exchange(partial(self.call, "snapshot"))]
        return None if any(snapshot is None for snapshot in snapshots) else snapshots

    def restore(self, state: object) -> None:
        states = [pickle.dumps(snapshot) for snapshot in cast("list[Snapshot]", state)]
        if len(states) != self.num_envs or not all(self._exchange(partial(self.call, "restore", states))):
            raise ValueError("the saved state is of other environments")

    def _add_info(self, vector_infos: Infos, env_info: Infos, env_num: int) -> Infos:
        return merge_info(super()._add_info, vector_infos, env_info, env_num, self.num_envs)

    def close_extras(self, timeout: float | None = None, terminate: bool = False) -> None:
        """Asks every process to end, and kills those still alive after `timeout` seconds.

        timeout: by default 5, or 1 after an interrupted call, since a process that hangs does not listen.
        """
        if hasattr(self, "_at_exit"):
            atexit.unregister(self._at_exit)
        for pipe in filter(None, self.parent_pipes):
            with suppress(OSError):  # its process is gone
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
        """A call to every process. Raises EnvironmentFailure if a process has ended or does not answer in time."""
        self._in_sync = False
        try:
            answer = call()
        except (EOFError, ConnectionError) as error:
            raise EnvironmentFailure(self._ended()) from error
        except multiprocessing.TimeoutError as error:
            raise EnvironmentFailure(self._timed_out()) from error
        self._in_sync = True
        return answer

    def _discard_answers(self) -> None:
        """Drops the late answers to an exchange that was interrupted, by Ctrl-C, say."""
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

    def _timed_out(self) -> str:
        i = next((i for i, pipe in enumerate(self.parent_pipes) if not pipe.poll(0)), 0)
        return f"environment {i} ({self.name}) has not answered for {self._timeout:g} s (step_timeout)"

    def _ended(self) -> str:
        wait([process.sentinel for process in self.processes], _PATIENCE)
        codes = [(i, process.exitcode) for i, process in enumerate(self.processes) if process.exitcode is not None]
        i, code = codes[0] if codes else (0, 0)
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        return f"environment {i} ({self.name}): its process {how}"

    def _not_started(self, error: Exception) -> str:
        if isinstance(error, EOFError | ConnectionError | EnvironmentFailure):
            return f"{self._ended()} before it began; a script must do its work under if __name__ == '__main__':"
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return f"cannot send {self.name} to other processes: {reason}; use backend=sync"


def _build_flattened(build: Callable[[], AnyEnv]) -> AnyEnv:
    return flattened(build())


def _work(*arguments: object) -> None:
    """A process: ignores Ctrl-C, which its parent handles, and ends with its parent."""
    worker: Callable[..., None] = _async_worker  # its parameters differ between versions of Gymnasium
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(BrokenPipeError):
        worker(*arguments)


def _close(method: "WeakMethod[Callable[[], None]]") -> None:
    close = method()
    if close is not None:
        close()
