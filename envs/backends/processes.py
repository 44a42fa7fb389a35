"""`Processes`: Gymnasium's `AsyncVectorEnv` in SAME_STEP mode, whose workers fail and end in order.

Each environment lives in a process of its own, behind the same `Boundary` as in `envs.backends.sync`, and gives the
same rows from the same seeds. The processes are started afresh (forkserver, or spawn on Windows), never forked from
this one, whose threads (torch's, Numba's) a fork would leave in an unknown state. So a script must begin its work under
`if __name__ == "__main__":`, as with everything of multiprocessing.
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
from typing import TypeVar, cast
from weakref import WeakMethod

import numpy as np
from gymnasium import Space
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from gymnasium.vector.async_vector_env import AsyncState, _async_worker
from numpy.typing import NDArray

from envs.backends.sync import Boundary, Infos, bounded, merged
from envs.build import AnyEnv
from envs.errors import EnvironmentFailure, EnvironmentUsageError
from envs.snapshot import Encoded
from envs.spaces import Array

Answer = TypeVar("Answer")

Snapshot = list[dict[str, Encoded]] | None

_FAILURE = "environment_failure"  # key of an info that says what went wrong

_PATIENCE = 5.0  # seconds that a process has to close its environment before it is killed


class Remote(AnyEnv):
    """What a process holds: one environment, built by `begin` in the process itself.

    It does not raise in `reset` or `step`, which would end the process and log pages; it says so in `info`.
    """

    def __init__(
        self, build: Callable[[], AnyEnv], name: str, spaces: tuple[Space[object], Space[object]], i: int
    ) -> None:
        self.build, self.name, self.i = build, name, i
        self.observation_space, self.action_space = spaces
        self.env: Boundary | None = None

    def begin(self) -> str:
        """Builds the environment. Returns what went wrong, or nothing."""
        try:
            self.env = bounded(self.build(), self.i, self.name)
        except EnvironmentUsageError as error:
            return str(error)
        except (Exception, SystemExit) as error:
            return f"{type(error).__name__}: {' '.join(str(error).split())}"
        spaces = (self.env.observation_space, self.env.action_space)
        return "" if spaces == (self.observation_space, self.action_space) else "its spaces are not those of the first"

    def reset(self, *, seed: int | None = None, options: Infos | None = None) -> tuple[object, Infos]:
        try:
            return cast(Boundary, self.env).reset(seed=seed, options=options)
        except EnvironmentFailure as failure:
            return self.observation_space.sample(), {_FAILURE: str(failure)}

    def step(self, action: object) -> tuple[object, float, bool, bool, Infos]:
        try:
            return cast(Boundary, self.env).step(action)
        except EnvironmentFailure as failure:
            return self.observation_space.sample(), 0.0, False, False, {_FAILURE: str(failure)}

    def snapshot(self) -> bytes:
        """Pickled here, since torch would send its tensors as shared memory."""
        return pickle.dumps(cast(Boundary, self.env).snapshot)

    def restore(self, snapshots: list[bytes]) -> bool:
        """Takes its own of them all. Returns whether it fits."""
        try:
            cast(Boundary, self.env).snapshot = pickle.loads(snapshots[self.i])
        except ValueError:  # made of other layers
            return False
        return True

    def echo(self, token: float) -> float:
        return token

    def close(self) -> None:
        if self.env is not None:
            self.env.close()


class Processes(AsyncVectorEnv):
    """N environments, each in a process of its own. The arrays that it returns are overwritten by the next call.

    like: an environment of the same build, for its spaces and its spec; it may be closed already. timeout: seconds for
    a step or a reset. Raises EnvironmentUsageError if an environment cannot be built in its process,
    EnvironmentFailure if one raises, its process ends, or it has not answered in time.
    """

    def __init__(
        self, build: Callable[[], AnyEnv], num_envs: int, name: str, like: AnyEnv, timeout: float | None = None
    ) -> None:
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            sys.exit(1)  # a new process is importing a script that has no __main__ guard: the message is ours to give
        self.name, self.spec, self._settled, self._timeout = name, like.spec, True, timeout
        remote = partial(Remote, build, name, (like.observation_space, like.action_space))
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
            raise EnvironmentUsageError(self._why_not(error)) from error
        for i, problem in enumerate(problems):
            if problem:
                self.close()
                raise EnvironmentUsageError(f"environment {i} ({name}) cannot be built in its process: {problem}")
        self._at_exit = partial(_close, WeakMethod(self.close))
        atexit.register(self._at_exit)  # before multiprocessing kills what is left

    def reset(self, *, seed: int | list[int | None] | None = None, options: Infos | None = None) -> tuple[Array, Infos]:
        if not self._settled:
            self._exchange(self._settle)
        return self._sound(self._exchange(partial(super().reset, seed=seed, options=options)))

    def step(self, actions: Array) -> tuple[Array, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], Infos]:
        if not self._settled:
            raise EnvironmentFailure(f"the last call to {self.name} was cut off; reset it before the next step")
        return self._sound(self._exchange(partial(super().step, actions)))

    def reset_wait(self, timeout: float | None = None) -> tuple[Array, Infos]:
        return cast("tuple[Array, Infos]", super().reset_wait(self._timeout if timeout is None else timeout))

    def step_wait(
        self, timeout: float | None = None
    ) -> tuple[Array, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], Infos]:
        return super().step_wait(self._timeout if timeout is None else timeout)

    def snapshots(self) -> list[Snapshot]:
        """The state of each environment; None for one that is not plain data."""
        return [pickle.loads(state) for state in self._exchange(partial(self.call, "snapshot"))]

    def restore(self, snapshots: list[Snapshot]) -> None:
        """Goes on where the snapshots were taken. Raises ValueError if they are of other environments."""
        states = [pickle.dumps(state) for state in snapshots]
        if len(states) != self.num_envs or not all(self._exchange(partial(self.call, "restore", states))):
            raise ValueError("the saved state is of other environments")

    def _add_info(self, vector_infos: Infos, env_info: Infos, env_num: int) -> Infos:
        return merged(super()._add_info, vector_infos, env_info, env_num, self.num_envs)

    def close_extras(self, timeout: float | None = None, terminate: bool = False) -> None:
        """Asks every process to end, and kills those that have not after `timeout`, by default five seconds, or one
        if a call was cut off: a process that hangs does not listen."""
        if hasattr(self, "_at_exit"):
            atexit.unregister(self._at_exit)
        for pipe in filter(None, self.parent_pipes):
            with suppress(OSError):  # its process is gone
                pipe.send(("close", None))
        patience = _PATIENCE if self._settled else 1.0
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
        """A question to every process and all the answers. Raises EnvironmentFailure if a process has ended, or has
        not answered in time."""
        self._settled = False
        try:
            answer = call()
        except (EOFError, ConnectionError) as error:
            raise EnvironmentFailure(self._obituary()) from error
        except multiprocessing.TimeoutError as error:
            raise EnvironmentFailure(self._complaint()) from error
        self._settled = True
        return answer

    def _settle(self) -> None:
        """After an exchange that was cut off, by Ctrl-C say: drops what the processes still had to answer."""
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

    def _sound(self, answer: Answer) -> Answer:
        infos = cast("tuple[Infos, ...]", answer)[-1]
        if _FAILURE in infos:
            raise EnvironmentFailure(next(text for text in cast("list[str]", infos[_FAILURE]) if text))
        return answer

    def _complaint(self) -> str:
        i = next((i for i, pipe in enumerate(self.parent_pipes) if not pipe.poll(0)), 0)
        return f"environment {i} ({self.name}) has not answered for {self._timeout:g} s (step_timeout)"

    def _obituary(self) -> str:
        wait([process.sentinel for process in self.processes], _PATIENCE)
        i, code = next(((i, p.exitcode) for i, p in enumerate(self.processes) if p.exitcode is not None), (0, None))
        killed = code is not None and code < 0
        how = f"was killed by {signal.Signals(-code).name}" if killed else f"ended with status {code}"  # type: ignore[operator]
        return f"environment {i} ({self.name}): its process {how}"

    def _why_not(self, error: Exception) -> str:
        if isinstance(error, EOFError | ConnectionError | EnvironmentFailure):
            return f"{self._obituary()} before it began; a script must do its work under if __name__ == '__main__':"
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return f"cannot send {self.name} to other processes: {reason}; take backend=sync"


def _work(*arguments: object) -> None:
    """A process: leaves Ctrl-C to the one that started it, and ends with it."""
    worker: Callable[..., None] = _async_worker  # its arguments differ between versions of Gymnasium
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(BrokenPipeError):
        worker(*arguments)


def _close(method: "WeakMethod[Callable[[], None]]") -> None:
    close = method()
    if close is not None:
        close()
