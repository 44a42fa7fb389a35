"""Describes an environment from a separate process, so that one that hangs or dies only raises an error here."""

import multiprocessing
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from typing import cast

from gymnasium.envs.registration import EnvSpec
from gymnasium.vector.utils import CloudpickleWrapper

from envs import interrupts
from envs.backends.base import Description
from envs.backends.guard import flattened
from envs.build import AnyEnv, name_of
from envs.errors import EnvironmentFailure, EnvironmentUsageError, close, in_one_line, reason, usage_errors
from envs.masks import gives_masks, maskable
from envs.spaces import check_action_space, check_observation_space

_PATIENCE = 5.0  # seconds for a process to end


def process_context() -> ForkServerContext | SpawnContext:
    """The context that starts processes: forkserver, which has imported this module, or spawn on Windows.

    A fork of this process would leave the threads of torch and Numba in an undefined state.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # once, for all processes
    with interrupts.held_back():  # permanently: no process that it starts reacts to Ctrl-C
        forkserver.ensure_running()
    return context


def describe(build: Callable[[], AnyEnv], env_id: str | None, timeout: float | None) -> Description:
    """Builds an environment in a process and describes it; for an id, also resets a copy to look for action masks.

    timeout: seconds, from when the process has started. Raises EnvironmentUsageError if the environment cannot be
    built there or has unsupported spaces, EnvironmentFailure if it does not answer in time.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        sys.exit(1)  # the script has no __main__ guard; the parent process prints the message
    name, context = env_id or "the environment", process_context()
    ours, theirs = context.Pipe()
    process = context.Process(target=_answer, args=(CloudpickleWrapper(build), env_id, theirs, ours), daemon=True)
    try:
        process.start()
    except Exception as error:
        raise EnvironmentUsageError(
            f"cannot send {name} to other processes: {reason(error)}; use backend=sync"
        ) from error
    theirs.close()
    try:
        begun = False
        ours.recv()
        begun = True
        if not ours.poll(timeout):
            process.kill()
            raise EnvironmentFailure(f"{name} has not been built and reset within {timeout:g} s (step_timeout)")
        answer = cast("Description | EnvironmentUsageError", ours.recv())
    except (EOFError, ConnectionError) as error:
        how = f"{name}: its process {how_ended(process)}"
        guard = "before it began; a script must do its work under if __name__ == '__main__':"
        raise EnvironmentUsageError(f"{how} {'when it was built' if begun else guard}") from error
    finally:
        ours.close()
        process.join(_PATIENCE)
    if isinstance(answer, EnvironmentUsageError):
        raise answer
    return answer


def how_ended(process: BaseProcess) -> str:
    """ "was killed by SIGKILL", or "ended with status 1"."""
    process.join(_PATIENCE)
    code = process.exitcode or 0
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"


def _answer(build: Callable[[], AnyEnv], env_id: str | None, pipe: Connection, other: Connection) -> None:
    """Body of the process: sends None once its imports are done, then a Description or an EnvironmentUsageError."""
    other.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.formatwarning = in_one_line
    answer: Description | EnvironmentUsageError
    with suppress(BrokenPipeError):
        pipe.send(None)
        try:
            answer = _described(build, env_id)
        except EnvironmentUsageError as error:
            answer = error
        except BaseException as error:
            answer = EnvironmentUsageError(f"{env_id or 'the environment'} raised {reason(error)}")
        pipe.send(answer)


def _described(build: Callable[[], AnyEnv], env_id: str | None) -> Description:
    env = build()
    name, spec = env_id or name_of(env), env.spec
    with usage_errors(f"{name} has a space that cannot be used"):
        check_observation_space(env.observation_space, name)
        check_action_space(env.action_space, name)
    masks = None if env_id is None else maskable(env.action_space) and gives_masks(build)
    kept = spec and EnvSpec(spec.id, reward_threshold=spec.reward_threshold, max_episode_steps=spec.max_episode_steps)
    flat = flattened(env).observation_space
    close(env, name)
    return Description(name, env.observation_space, flat, env.action_space, masks, kept)
