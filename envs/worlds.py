"""`Worlds`: a vector environment whose every step returns the true successor of every observation."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar, cast

import gymnasium as gym
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv, VectorWrapper
from numpy.typing import NDArray

from envs.backends.envpool import Pool
from envs.backends.native import NativeVectorEnv
from envs.backends.processes import Processes, Snapshot
from envs.backends.sync import Boundary, Rows
from envs.build import EnvLike, Variant
from envs.errors import EnvironmentFailure, EnvironmentUsageError
from envs.masks import KEY, check_maskable, legal_actions
from envs.spaces import Flat, Space, check_action_space, policy_action_space, to_env_action

Array = NDArray[np.generic]

_BACKENDS = {NativeVectorEnv: "native", SyncVectorEnv: "sync", AsyncVectorEnv: "async", Pool: "envpool"}

_LARGEST = float(np.finfo(np.float32).max)  # a larger float64 would reach the networks as infinity

Infos = dict[str, object]

Result = TypeVar("Result")


class Origin(NamedTuple):
    """The arguments of `make` that worlds were built from; `Worlds.masked` and `backend` say what they led to."""

    env: EnvLike
    seed: int
    variant: Variant
    backend: str
    action_masks: bool | None


class Worlds(VectorWrapper):
    """N environments in SAME_STEP mode, with the traps of the vector interface taken out.

    `obs_space` is that of the observations shown here, Box or Discrete; `env_obs_space` the environment's own, of which
    it is the flat form. `legal` are the actions allowed now, bool[N, A], if the environments' action masks are obeyed.

    `step` takes the policy's actions (choices count from 0; Box may lie outside its bounds) and adds to `infos`:

    - `next_obs`: [N, …], the true successor of every row, the last observation of the episode where one ended;
    - `episode`: {"r": float64[N], "l": int64[N]} with the mask `_episode`, where an episode ended: its undiscounted
      return and its length, counted here.

    The first `reset` uses the seeds given at construction; later ones go on with the environments' own streams.
    Raises EnvironmentFailure when an environment raises or returns a non-finite observation or reward.
    """

    def __init__(
        self, env: VectorEnv, env_id: str, origin: Origin, seeds: list[int], reward_threshold: float | None,
        env_obs_space: Space, masked: bool | None,
    ) -> None:  # fmt: skip
        """masked: whether action masks are obeyed; None refuses environments that turn out to have any."""
        super().__init__(env)
        mode = env.metadata.get("autoreset_mode")
        if mode not in (AutoresetMode.SAME_STEP, AutoresetMode.SAME_STEP.value):
            raise EnvironmentUsageError(
                f"{env_id} resets in mode {getattr(mode, 'name', mode)}; build it with "
                "autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP, so that no step is a hidden reset"
            )
        self.env_id, self.origin = env_id, origin
        self.reward_threshold = reward_threshold
        self.env_action_space = check_action_space(env.single_action_space, env_id)
        self.env_obs_space = env_obs_space
        self.obs_space = cast(Flat, env.single_observation_space)
        self.policy_action_space = policy_action_space(self.env_action_space)
        self.single_action_space = self.policy_action_space
        self.action_space = gym.vector.utils.batch_space(self.single_action_space, env.num_envs)
        self.action_space.seed(seeds[0])
        if masked:
            check_maskable(self.env_action_space, env_id)
        self.masked, self.legal = masked, cast("NDArray[np.bool_] | None", None)
        self._foreign = not isinstance(env, Rows | NativeVectorEnv | Pool)  # these give successors, in new arrays
        self._seeds: list[int] | None = seeds
        self._checks_obs = isinstance(self.obs_space, gym.spaces.Box) and self.obs_space.dtype.kind == "f"
        self._return = np.zeros(self.num_envs)
        self._length = np.zeros(self.num_envs, np.int64)

    @property
    def native(self) -> NativeVectorEnv | None:
        """The compiled environments, if these are."""
        return self.env if isinstance(self.env, NativeVectorEnv) else None

    @property
    def backend(self) -> str:
        """How these environments are stepped, in a word."""
        names = [name for kind, name in _BACKENDS.items() if isinstance(self.env, kind)]
        return names[0] if names else type(self.env).__name__

    @property
    def state_is_captured(self) -> bool:
        """Whether `state_dict` holds the environments' own state, so that a resumed run is exact; after a reset."""
        state = self.state_dict()
        return state.get("native") is not None or state.get("snapshots") is not None

    @property
    def running(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return and length, float64[N] and int64[N], of each episode so far; not copies."""
        return self._return, self._length

    @property
    def has_time_limit(self) -> bool:
        """Whether every environment is known to truncate its episodes."""
        inner = self.env.envs if isinstance(self.env, SyncVectorEnv) else [self.env]
        return all(env.spec is not None and env.spec.max_episode_steps is not None for env in inner)

    def reset(self, *, seed: int | list[int | None] | None = None, options: Infos | None = None) -> tuple[Array, Infos]:
        seeds, self._seeds = self._seeds if seed is None else seed, None
        options = None if options is None else dict(options)  # Gymnasium pops reset_mask out of it
        chosen = cast("NDArray[np.bool_]", (options or {}).get("reset_mask", np.ones(self.num_envs, bool)))
        obs, infos = self._guarded(lambda: self.env.reset(seed=cast("int | None", seeds), options=options))
        self._return[chosen] = 0.0
        self._length[chosen] = 0
        obs = np.array(obs, copy=True)
        self._check_finite(obs, "observation at reset")
        self._read_masks(infos, chosen)
        return obs, infos

    def step(self, actions: Array) -> tuple[Array, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], Infos]:
        env_actions = to_env_action(self.env_action_space, actions)
        obs, reward, terminated, truncated, infos = self._guarded(lambda: self.env.step(env_actions))
        if self._foreign:  # it may go on using its arrays
            obs, reward = np.array(obs, copy=True), np.array(reward, np.float64)
            infos = infos | {"next_obs": _successors(obs, terminated | truncated, infos)}
        if "_episode" in infos:  # of the environments' own making
            infos = {key: value for key, value in infos.items() if key not in ("episode", "_episode")}
        next_obs = cast(Array, infos["next_obs"])
        self._return += reward
        self._length += 1
        self._check_finite(reward, "reward")
        self._check_finite(next_obs, "observation")
        if next_obs is not obs:
            ended = terminated | truncated
            self._check_finite(obs, "observation at reset")
            infos |= {"episode": {"r": self._return.copy(), "l": self._length.copy()}, "_episode": ended}
            self._return[ended] = 0.0
            self._length[ended] = 0
        if self.masked:
            self._read_masks(infos, None)
        return obs, reward, terminated, truncated, infos

    def _read_masks(self, infos: Infos, chosen: NDArray[np.bool_] | None) -> None:
        """chosen: the environments that these infos are of, after the reset of some."""
        if self.masked:
            if chosen is not None and not chosen.all():
                assert self.legal is not None
                infos = {KEY: np.where(chosen[:, None], np.asarray(infos[KEY]), self.legal)}
            self.legal = legal_actions(infos, self.env_action_space, self.num_envs, self.env_id)
        elif self.masked is None and KEY in infos:
            raise EnvironmentUsageError(
                f"{self.env_id} gives an {KEY} in its infos: pass action_masks=True to obey it, False not to"
            )

    @property
    def current_obs(self) -> Array:
        """What native environments show now: a copy, as `step` returned it."""
        assert self.native is not None
        return self.native.obs.copy()

    def state_dict(self) -> dict[str, object]:
        """Episode accumulators, and the environments' own state where every one is plain data (else None)."""
        legal = None if self.legal is None else self.legal.copy()
        running: dict[str, object] = {
            "return": self._return.tolist(), "length": self._length.tolist(), "legal": legal
        }  # fmt: skip
        if self.native is not None:
            return running | {"native": self.native.state_dict()}
        snapshots = self._snapshots() or [None]
        whole = None if any(state is None for state in snapshots) else list(snapshots)
        return running | {"snapshots": whole}

    def load_state_dict(self, state: dict[str, object]) -> bool:
        """Goes on where `state_dict` was taken. Returns False, leaving fresh episodes, if it cannot."""
        if self.native is not None and "native" in state:
            try:
                self.native.load_state_dict(cast("dict[str, object]", state["native"]))
            except ValueError:  # of another number of environments
                return False
            self._seeds = None
            self._load_running(state)
            return True
        if state.get("snapshots") is None or not isinstance(self.env, SyncVectorEnv | Processes):
            return False
        self.reset()  # sets up what only a reset sets up; every captured value is then overwritten
        try:
            if isinstance(self.env, Processes):
                self.env.restore(cast("list[Snapshot]", state["snapshots"]))
            else:
                self.env.set_attr("snapshot", state["snapshots"])
        except ValueError:  # made of other layers, by another version of Gymnasium perhaps
            return False
        self._load_running(state)
        return True

    def _snapshots(self) -> list[Snapshot]:
        """Of each environment; None for one that is not plain data. Empty where they cannot be had."""
        if isinstance(self.env, Processes):
            return self.env.snapshots()
        inner = self.env.envs if isinstance(self.env, SyncVectorEnv) else []
        return [env.snapshot if isinstance(env, Boundary) else None for env in inner]

    def _load_running(self, state: dict[str, object]) -> None:
        self._return[:] = cast("list[float]", state["return"])
        self._length[:] = cast("list[int]", state["length"])
        self.legal = cast("NDArray[np.bool_] | None", state.get("legal"))

    def _guarded(self, call: Callable[[], Result]) -> Result:
        try:
            return call()
        except EnvironmentFailure:
            raise
        except Exception as error:
            raise EnvironmentFailure(f"{self.env_id} raised {type(error).__name__}: {error}") from error

    def _check_finite(self, values: Array, what: str) -> None:
        if not (self._checks_obs or what == "reward"):
            return
        finite = np.abs(values) <= _LARGEST if values.dtype == np.float64 else np.isfinite(values)  # false for NaN too
        if not finite.all():
            i = int(np.flatnonzero(~finite.reshape(self.num_envs, -1).all(1))[0])
            raise EnvironmentFailure(
                f"environment {i} ({self.env_id}) returned a non-finite {what}, {np.asarray(values[i]).tolist()}, "
                f"at step {int(self._length[i])} of its episode; it was not used"
            )


def _successors(obs: Array, ended: NDArray[np.bool_], infos: Infos) -> Array:
    """The last observation of the episode where one ended: obs itself where none did."""
    if not ended.any():
        return obs
    next_obs = obs.copy()
    for i in np.flatnonzero(ended):  # an object array with holes where no episode ended
        next_obs[i] = cast(Array, infos["final_obs"])[i]
    return next_obs
