"""`NativeBackend`: Gymnasium's classic control in compiled kernels."""

from typing import ClassVar, Self, cast

import gymnasium as gym
import numpy as np
from gymnasium.utils.seeding import np_random
from numpy.typing import NDArray

from envs import saved
from envs.backends.base import BackendEnv, Flags, Infos, Request, StepResult
from envs.errors import EnvironmentUsageError
from envs.spaces import Array, Space

WORLDS = (  # indices are those of envs.backends.native_physics
    "CartPole-v1", "Acrobot-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1",
)  # fmt: skip

_STATE_SIZE = 4  # size of the largest state; smaller states leave the rest of the row unused
_LOW = (1 << 64) - 1


class NativeBackend(BackendEnv):
    """N copies of one of `WORLDS`; same trajectories as Gymnasium's for the same seeds and actions.

    As in Gymnasium, Box actions are not clipped; `envs.Worlds` clips them. Rendering is not supported.
    Raises EnvironmentUsageError if `reset` is given options other than `reset_mask`.
    """

    backend = "native"
    native: ClassVar[bool] = True
    state_key: ClassVar[str] = "native"

    def __init__(self, env_id: str, num_envs: int, max_episode_steps: int | None = None) -> None:
        from envs.backends import native_physics as physics

        self._physics = physics
        template = gym.make(env_id, max_episode_steps, disable_env_checker=True)
        assert template.spec is not None
        assert template.spec.max_episode_steps is not None
        self.spec = template.spec
        self.set_spaces(num_envs, cast(Space, template.observation_space), cast(Space, template.action_space))
        self.metadata = template.metadata | self.metadata
        self.world = WORLDS.index(env_id)
        self.limit = template.spec.max_episode_steps
        self.state = np.zeros((num_envs, _STATE_SIZE))
        self.rng = np.zeros((num_envs, 4), np.uint64)
        self.length = np.zeros(num_envs, np.int64)
        self.obs = np.zeros(self.observation_space.shape or (), np.float32)
        self.two = np.array([2.0])
        self._seeded = False

    @classmethod
    def build(cls, request: Request) -> Self:
        if not cls.suits(request):
            changed = " and ".join(_changes(request)) if request.name in WORLDS else ""
            raise EnvironmentUsageError(
                f"there is no native {request.name}{changed and ' with '}{changed}; native are {', '.join(WORLDS)}"
            )
        return cls(request.name, request.count, request.variant.max_episode_steps)

    @classmethod
    def suits(cls, request: Request) -> bool:
        """Whether the id is Gymnasium's own environment, and only its time limit may be changed."""
        if request.env not in WORLDS or _changes(request):
            return False
        spec = request.first.spec
        own = spec is not None and str(spec.entry_point).startswith("gymnasium.envs.classic_control")
        return own and spec is not None and not spec.additional_wrappers

    @classmethod
    def gives_masks(cls, request: Request) -> bool | None:
        return False

    def reset(self, *, seed: int | list[int | None] | None = None, options: Infos | None = None) -> tuple[Array, Infos]:
        chosen = dict(options or {})
        mask = cast(Flags, chosen.pop("reset_mask", np.ones(self.num_envs, bool)))
        if chosen:
            raise EnvironmentUsageError(
                f"native {self._id} takes no reset options, got {sorted(chosen)}; pass an environment function instead"
            )
        seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int) else seed or [None] * self.num_envs
        for i in np.flatnonzero(mask):
            if seeds[i] is not None or not self._seeded:
                self.rng[i] = _row_of(np_random(seeds[i])[0])
            self._physics.reset_world(self.world, self.state[i], self.rng[i])
            self._physics.observe(self.world, self.state[i], self.obs[i])
            self.length[i] = 0
        self._seeded = True
        return self.obs.copy(), {}

    def step(self, actions: Array) -> StepResult:
        if not self._seeded:
            raise EnvironmentUsageError(f"call reset before the first step of {self._id}")
        n, next_obs, reward = self.num_envs, np.empty_like(self.obs), np.empty(self.num_envs)
        terminated, truncated = np.empty(n, np.bool_), np.empty(n, np.bool_)
        index = np.asarray(actions, np.int64).reshape(n) if actions.dtype.kind in "iu" else np.zeros(n, np.int64)
        force = np.asarray(actions, np.float32).reshape(n)
        self._physics.step_worlds(
            self.world, self.limit, self.state, self.rng, self.length, index, force,
            self.obs, next_obs, reward, terminated, truncated, self.two,
        )  # fmt: skip
        ended = terminated | truncated
        if not ended.any():
            return next_obs, reward, terminated, truncated, {"next_obs": next_obs}
        final_obs = np.full(n, None, object)
        for i in np.flatnonzero(ended):
            final_obs[i] = next_obs[i]
        infos: Infos = {"next_obs": next_obs, "final_obs": final_obs, "_final_obs": ended, "final_info": {}}
        return self.obs.copy(), reward, terminated, truncated, infos

    @property
    def _id(self) -> str:
        return WORLDS[self.world]

    def capture(self) -> dict[str, Array]:
        """Everything that `step` changes."""
        return {name: getattr(self, name).copy() for name in ("state", "rng", "length", "obs")}

    def restore(self, state: object) -> None:
        """Raises Misfit unless the state comes from the same number of native environments."""
        own = self.capture()
        given = saved.mapping(state, "native", own)
        checked = {name: saved.array(given[name], name, array.dtype, array.shape) for name, array in own.items()}
        if min(checked["length"].tolist()) < 0:
            raise saved.Misfit("length is negative")
        for name, array in checked.items():
            getattr(self, name)[...] = array
        self._seeded = True


def _changes(request: Request) -> list[str]:
    """Changes to the environment in the request, other than the time limit."""
    return sorted(request.variant.changes.keys() - {"max_episode_steps"})


def _row_of(generator: np.random.Generator) -> NDArray[np.uint64]:
    """The state of a PCG64 generator as a row. Raises ValueError for another kind, or if half a draw is buffered."""
    state = generator.bit_generator.state
    if state["bit_generator"] != "PCG64" or state["has_uint32"]:
        raise ValueError(f"expected a PCG64 generator without a buffered draw, got {state}")
    words = cast("dict[str, int]", state["state"])
    halves = [half for word in (words["state"], words["inc"]) for half in (word >> 64, word & _LOW)]
    return np.array(halves, np.uint64)
