"""The environment in a process of `ProcessBackend`."""

import pickle
from collections.abc import Callable

from envs.backends.base import FAILURE, Infos
from envs.backends.guard import guarded
from envs.build import AnyEnv
from envs.errors import EnvironmentFailure, EnvironmentUsageError, reason
from envs.observations import example
from envs.spaces import Space


class RemoteEnv(AnyEnv):
    """The environment inside a worker process; `begin` builds it there.

    `reset` and `step` report a failure in `info`: an exception would end the process and print a traceback.
    """

    def __init__(self, build: Callable[[], AnyEnv], name: str, spaces: tuple[Space, Space], i: int) -> None:
        self.build, self.name, self.i = build, name, i
        self.observation_space, self.action_space = spaces

    def begin(self) -> str:
        """Builds the environment. Returns an error message, or ''."""
        try:
            self.env = guarded(self.build(), self.i, self.name)
        except EnvironmentUsageError as error:
            return str(error)
        except BaseException as error:
            return reason(error)
        same = (self.env.observation_space, self.env.action_space) == (self.observation_space, self.action_space)
        return "" if same else "its spaces differ from those of environment 0"

    def reset(self, *, seed: int | None = None, options: Infos | None = None) -> tuple[object, Infos]:
        try:
            return self.env.reset(seed=seed, options=options)
        except EnvironmentFailure as failure:
            return example(self.observation_space), {FAILURE: str(failure)}

    def step(self, action: object) -> tuple[object, float, bool, bool, Infos]:
        try:
            return self.env.step(action)
        except EnvironmentFailure as failure:
            return example(self.observation_space), 0.0, False, False, {FAILURE: str(failure)}

    def snapshot(self) -> bytes:
        """The state, pickled, since torch would send tensors through shared memory."""
        return pickle.dumps(self.env.snapshot)

    def restore(self, snapshots: list[bytes]) -> bool:
        """Restores this environment's snapshot, one of those given. Returns whether it fits."""
        try:
            self.env.snapshot = pickle.loads(snapshots[self.i])
        except ValueError:  # from other wrappers
            return False
        return True

    def echo(self, token: float) -> float:
        return token

    def close(self) -> None:
        if hasattr(self, "env"):
            self.env.close()
