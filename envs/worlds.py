"""`Worlds`: a vector environment whose every step returns the true successor of every observation."""

from collections.abc import Callable
from typing import TypeVar, cast

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv, VectorWrapper
from numpy.typing import NDArray

from envs.errors import EnvironmentFailure, EnvironmentUsageError
from envs.snapshot import Encoded, capture, restore
from envs.spaces import check_action_space, check_observation_space, policy_action_space, to_env_action

Array = NDArray[np.generic]
_LARGEST = float(np.finfo(np.float32).max)  # a larger float64 would reach the networks as infinity
Infos = dict[str, object]
Result = TypeVar("Result")


class Boundary(gym.Wrapper[object, object, object, object]):
    """The innermost side of the boundary: one environment, which may reuse its buffers and may raise."""

    def __init__(self, env: gym.Env[object, object], name: str) -> None:
        super().__init__(env)
        self._name = name

    def reset(self, *, seed: int | None = None, options: Infos | None = None) -> tuple[object, Infos]:
        try:
            obs, info = self.env.reset(seed=seed, options=options)
        except (Exception, SystemExit) as error:
            raise EnvironmentFailure(f"{self._name} raised {type(error).__name__} in reset: {error}") from error
        return np.array(obs, copy=True), info

    def step(self, action: object) -> tuple[object, float, bool, bool, Infos]:
        try:
            obs, reward, terminated, truncated, info = self.env.step(action)
        except (Exception, SystemExit) as error:
            raise EnvironmentFailure(f"{self._name} raised {type(error).__name__} in step: {error}") from error
        # the automatic reset that may follow would overwrite a reused buffer: copy the observation now
        return np.array(obs, copy=True), float(reward), bool(terminated), bool(truncated), info

    @property
    def snapshot(self) -> list[dict[str, Encoded]] | None:
        return capture(self.env)

    @snapshot.setter
    def snapshot(self, layers: list[dict[str, Encoded]]) -> None:
        restore(self.env, layers)


class Worlds(VectorWrapper):
    """N environments in SAME_STEP mode, with the traps of the vector interface taken out.

    `step` takes the policy's actions (Discrete counts from 0; Box may lie outside its bounds) and adds to `infos`:

    - `next_obs`: [N, …], the true successor of every row, the last observation of the episode where one ended;
    - `episode`: {"r": float64[N], "l": int64[N]} with the mask `_episode`, where an episode ended: its undiscounted
      return and its length, counted here.

    The first `reset` uses the seeds given at construction; later ones go on with the environments' own streams.
    Raises EnvironmentFailure when an environment raises or returns a non-finite observation or reward.
    """

    def __init__(self, env: VectorEnv, env_id: str, seeds: list[int] | None, reward_threshold: float | None) -> None:
        super().__init__(env)
        mode = env.metadata.get("autoreset_mode")
        if mode not in (AutoresetMode.SAME_STEP, AutoresetMode.SAME_STEP.value):
            raise EnvironmentUsageError(
                f"{env_id} resets in mode {getattr(mode, 'name', mode)}; build it with "
                "autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP, so that no step is a hidden reset"
            )
        self.env_id = env_id
        self.reward_threshold = reward_threshold
        self.env_action_space = check_action_space(env.single_action_space, env_id)
        self.obs_space = check_observation_space(env.single_observation_space, env_id)
        self.policy_action_space = policy_action_space(self.env_action_space)
        self.single_action_space = self.policy_action_space
        self.action_space = gym.vector.utils.batch_space(self.single_action_space, env.num_envs)
        if seeds is not None:
            self.action_space.seed(seeds[0])
        self._seeds = seeds
        self._checks_obs = isinstance(self.obs_space, gym.spaces.Box) and self.obs_space.dtype.kind == "f"
        self._return = np.zeros(self.num_envs)
        self._length = np.zeros(self.num_envs, np.int64)

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
        return obs, infos

    def step(self, actions: Array) -> tuple[Array, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], Infos]:
        env_actions = to_env_action(self.env_action_space, actions)
        obs, reward, terminated, truncated, infos = self._guarded(lambda: self.env.step(env_actions))
        obs, reward = np.array(obs, copy=True), np.asarray(reward, np.float64)
        ended = terminated | truncated
        self._return += reward
        self._length += 1
        next_obs = obs
        if ended.any():
            next_obs = obs.copy()
            for i in np.flatnonzero(ended):  # an object array with holes where no episode ended
                next_obs[i] = infos["final_obs"][i]
        self._check_finite(reward, "reward")
        self._check_finite(next_obs, "observation")
        if next_obs is not obs:
            self._check_finite(obs, "observation at reset")
            infos = infos | {"episode": {"r": self._return.copy(), "l": self._length.copy()}, "_episode": ended}
            self._return[ended] = 0.0
            self._length[ended] = 0
        return obs, reward, terminated, truncated, infos | {"next_obs": next_obs}

    def state_dict(self) -> dict[str, object]:
        """Episode accumulators, and the environments' own state where every one is plain data (else None)."""
        inner = self.env.envs if isinstance(self.env, SyncVectorEnv) else []
        snapshots = [env.snapshot if isinstance(env, Boundary) else None for env in inner] or [None]
        whole = None if any(state is None for state in snapshots) else list(snapshots)
        return {"return": self._return.tolist(), "length": self._length.tolist(), "snapshots": whole}

    def load_state_dict(self, state: dict[str, object]) -> bool:
        """Goes on where `state_dict` was taken. Returns False, leaving fresh episodes, if it cannot."""
        if state["snapshots"] is None:
            return False
        self.reset()  # sets up what only a reset sets up; every captured value is then overwritten
        try:
            cast(SyncVectorEnv, self.env).set_attr("snapshot", state["snapshots"])
        except ValueError:  # made of other layers, by another version of Gymnasium perhaps
            return False
        self._return[:] = cast("list[float]", state["return"])
        self._length[:] = cast("list[int]", state["length"])
        return True

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
        finite = np.abs(values) <= _LARGEST  # false for NaN too
        if not finite.all():
            i = int(np.flatnonzero(~finite.reshape(self.num_envs, -1).all(1))[0])
            raise EnvironmentFailure(
                f"environment {i} ({self.env_id}) returned a non-finite {what}, {np.asarray(values[i]).tolist()}, "
                f"at step {int(self._length[i])} of its episode; it was not used"
            )
