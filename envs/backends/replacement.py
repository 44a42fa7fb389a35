"""Detects a process that died or hangs, and starts its replacement."""

import inspect
import multiprocessing
from collections.abc import Callable
from multiprocessing import Process
from multiprocessing.connection import Connection
from typing import cast

from gymnasium.vector import AutoresetMode
from gymnasium.vector.async_vector_env import _async_worker
from gymnasium.vector.utils import CloudpickleWrapper

from envs.backends.base import FAILURE, Infos
from envs.backends.remote import RemoteEnv
from envs.backends.scout import how_ended, process_context
from envs.errors import EnvironmentFailure
from envs.spaces import Array

_KNOWN_ARGUMENTS = 7  # of Gymnasium's worker; arguments added by later versions get None
_NO_ANSWER: tuple[object, bool] = ((None, 0.0, False, False, {}), True)  # a worker's answer to a step


class PatientPipe:
    """A pipe to a process that may die in a step: the pipe then answers in its place, and `lost` says what happened.

    row: [1, …], this environment's observation in the array of all observations.
    """

    def __init__(self, pipe: Connection, row: Array) -> None:
        self.pipe, self.lost, self._row, self._command = pipe, "", row, ""

    @property
    def closed(self) -> bool:
        return self.pipe.closed

    def close(self) -> None:
        self.pipe.close()

    def send(self, message: tuple[str, object]) -> None:
        self._command = message[0]
        try:
            self.pipe.send(message)
        except ConnectionError:
            if self._command != "step":
                raise
            self.lost = "died"

    def poll(self, timeout: float | None = 0.0) -> bool:
        """False only if a command other than a step is not answered in time."""
        if not self.lost and not self.pipe.poll(timeout):
            if self._command != "step":
                return False
            self.lost = "hangs"
        return True

    def recv(self) -> tuple[object, bool]:
        if not self.lost:
            try:
                answer, success = cast("tuple[object, bool]", self.pipe.recv())
            except (EOFError, ConnectionError):
                if self._command != "step":
                    raise
                self.lost = "died"
            else:
                return self._without_observation(answer), success
        return _NO_ANSWER

    def end(self, process: Process) -> str:
        """Kills the process of a lost pipe. Returns what happened to it."""
        how = self.lost if self.lost == "hangs" else how_ended(process)
        process.kill()
        process.join()
        self.close()
        return how

    def _without_observation(self, answer: object) -> object:
        """Stores the observation that a process without shared memory sends."""
        if self._command not in ("step", "reset", "reset-noop"):
            return answer
        obs, *others = cast("tuple[object, ...]", answer)
        if obs is not None:
            self._row[...] = cast(Array, obs)
        return (None, *others)


def start(
    remote: Callable[[], RemoteEnv], i: int, work: Callable[..., None], row: Array, errors: object, seed: int | None,
    timeout: float | None,
) -> tuple[Process, PatientPipe, Infos]:  # fmt: skip
    """Starts environment i in a new process and resets it with this seed. Returns process, pipe and the reset's infos.

    timeout: seconds for building the environment, and for resetting it. Raises EnvironmentFailure if either fails.
    """
    context = process_context()
    ours, theirs = context.Pipe()
    spare = (None,) * (len(inspect.signature(_async_worker).parameters) - _KNOWN_ARGUMENTS)
    arguments = (i, CloudpickleWrapper(remote), theirs, ours, None, errors, AutoresetMode.SAME_STEP, *spare)
    process = context.Process(target=work, args=arguments, daemon=True)
    process.start()
    theirs.close()
    pipe = PatientPipe(ours, row)
    try:
        _ask(pipe, ("_call", ("echo", (0.0,), {})), None)  # waits for its imports
        problem = _ask(pipe, ("_call", ("begin", (), {})), timeout)
        if not problem:
            _, infos = cast("tuple[object, Infos]", _ask(pipe, ("reset", {"seed": seed, "options": None}), timeout))
            problem = infos.get(FAILURE, "")
        if problem:
            raise EnvironmentFailure(str(problem), i)
        return cast(Process, process), pipe, infos
    except BaseException:
        process.kill()
        process.join()
        pipe.close()
        raise


def _ask(pipe: PatientPipe, message: tuple[str, object], timeout: float | None) -> object:
    pipe.send(message)
    if not pipe.poll(timeout):
        raise multiprocessing.TimeoutError
    return pipe.recv()[0]
