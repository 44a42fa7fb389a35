"""`BackendEnv`: the interface of a backend for `make`, `Worlds` and the engines; `Request`: what it should build."""

from collections.abc import Callable
from functools import cached_property
from typing import ClassVar, Literal, NamedTuple, Self, cast

import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from envs.build import AnyEnv, Variant, builder, name_of
from envs.errors import EnvironmentUsageError, usage_errors
from envs.spaces import Array, Space, check_action_space, check_observation_space

Flags = NDArray[np.bool_]
Infos = dict[str, object]
OnCrash = Literal["fail", "restart"]
REPLACED = "environment_replaced"  # in infos: bool[N], environments whose process was replaced in this step
FAILURE = "environment_failure"  # in infos of a process: the message of an EnvironmentFailure
StepResult = tuple[Array, NDArray[np.float64], Flags, Flags, Infos]


class Description(NamedTuple):
    """What is known about an environment that was built in another process."""

    name: str
    observation_space: Space
    flat_space: Space  # space of flattened observations
    action_space: Space
    gives_masks: bool | None  # None for an environment without an id
    spec: EnvSpec | None  # only the id, the reward threshold and the time limit


class Request:
    """The arguments of `make`, except for a vector environment. Raises what `envs.build.builder` raises."""

    def __init__(
        self,
        env: str | AnyEnv | Callable[[], AnyEnv],
        num_envs: int | None = None,
        variant: Variant = Variant(),  # noqa: B008 - immutable
        step_timeout: float | None = None,
        on_crash: OnCrash = "fail",
    ) -> None:
        self.build, self.count = builder(env, num_envs, variant)
        self.env, self.variant, self.step_timeout, self.on_crash = env, variant, step_timeout, on_crash
        self.description: Description | None = None  # set by backends that build nothing in this process

    @cached_property
    def first(self) -> AnyEnv:
        """The first environment, built on first use. Raises UnsupportedSpace if its spaces are not supported."""
        first = self.build()
        name = self.env if isinstance(self.env, str) else name_of(first)
        with usage_errors(f"{name} has a space that cannot be used"):
            check_observation_space(first.observation_space, name)
            check_action_space(first.action_space, name)
        return first

    @property
    def name(self) -> str:
        """The id, or else the environment's own name."""
        if self.description:
            return self.description.name
        return self.env if isinstance(self.env, str) else name_of(self.first)


class BackendEnv(VectorEnv):
    """N environments in SAME_STEP mode, with flat observations (Box or Discrete).

    `step` returns new arrays every time, with the true successor of every row in `infos["next_obs"]`, [N, …]; this is
    obs itself if no episode ended. A subclass overrides those of the following that do not apply to it.
    """

    backend: str  # its name in messages and in BACKENDS
    env_obs_space: Space  # observation space before flattening
    replaced: int = 0  # environments replaced because their process died or hung, those before a resume included

    bytes_each: ClassVar[int] = 1_000  # minimal memory of an environment
    evaluate_on: ClassVar[str] = "auto"  # another backend with the same environments, or its own name
    takes_timeout: ClassVar[bool] = False  # supports `step_timeout` and `on_crash`
    native: ClassVar[bool] = False  # kernels step the arrays of a `NativeBackend`
    state_key: ClassVar[str] = "snapshots"  # in checkpoints; backends with the same key accept each other's states
    fixed_dtypes: bool = True  # every step returns arrays of the same dtypes

    @classmethod
    def build(cls, request: Request) -> Self:
        """Raises EnvironmentUsageError if this backend cannot build the environments."""
        raise NotImplementedError

    @classmethod
    def suits(cls, request: Request) -> bool:
        """Whether backend="auto" may choose this backend."""
        return False

    @classmethod
    def gives_masks(cls, request: Request) -> bool | None:
        """Whether the environments provide action masks; None if unknown: a mask in their infos is then an error."""
        return None

    def set_spaces(self, count: int, observation: Space, action: Space) -> None:
        """Sets the number of environments, and the spaces of one and of all; observations are not flattened."""
        self.num_envs, self.metadata = count, {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space = self.env_obs_space = observation
        self.single_action_space = action
        self.observation_space, self.action_space = batch_space(observation, count), batch_space(action, count)

    @property
    def has_time_limit(self) -> bool:
        """Whether every environment is known to truncate its episodes."""
        return self.spec is not None and self.spec.max_episode_steps is not None

    def capture(self) -> object:
        """Plain data from which `restore` recovers all environments; None if that is impossible. See `envs.replay`."""
        return None

    def restore(self, state: object) -> None:
        """Continues from what `capture` returned, after a reset. Raises ValueError for other environments' state."""
        raise ValueError(f"backend={self.backend} cannot restore environments")


def as_transitions(result: StepResult) -> StepResult:
    """Turns the result of Gymnasium's step, which may reuse its arrays, into that of `BackendEnv.step`."""
    obs, reward, terminated, truncated, infos = result
    obs, ended = np.array(obs, copy=True), terminated | truncated
    next_obs = obs.copy() if ended.any() else obs
    for i in np.flatnonzero(ended):
        next_obs[i] = cast(Array, infos["final_obs"])[i]
    return obs, np.array(reward, np.float64), terminated, truncated, infos | {"next_obs": next_obs}


def check_answer(env: BackendEnv, answer: StepResult) -> None:
    """Raises EnvironmentUsageError unless the arrays are those that `BackendEnv.step` promises.

    Compiled kernels read rewards and flags as memory of these types.
    """
    obs, reward, terminated, truncated, infos = answer
    rows, number, flag = (env.num_envs,), np.dtype(np.float64), np.dtype(bool)
    shown = (*rows, *(env.single_observation_space.shape or ()))
    for name, x, dtype, shape in (
        ("obs", obs, None, shown),
        ("infos['next_obs']", infos.get("next_obs"), None, shown),
        ("reward", reward, number, rows),
        ("terminated", terminated, flag, rows),
        ("truncated", truncated, flag, rows),
    ):
        if (
            not isinstance(x, np.ndarray)
            or (dtype is not None and x.dtype != dtype)  # not `in`: NumPy takes None for float64
            or x.shape != shape
            or not x.flags.c_contiguous
        ):
            given = f"{x.dtype}{list(x.shape)}" if isinstance(x, np.ndarray) else type(x).__name__
            wanted = f"an array {dtype or env.single_observation_space.dtype}{list(shape)} in C order"
            raise EnvironmentUsageError(f"backend {env.backend}: step must return {name} as {wanted}, got {given}")
