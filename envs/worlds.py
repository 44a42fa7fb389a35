"""`Worlds`: a vector environment whose every step returns the true successor of every observation."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeVar, cast
from weakref import WeakValueDictionary

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper
from numpy.typing import NDArray

from envs import saved
from envs.backends.base import REPLACED, BackendEnv, Flags, Infos, StepResult, check_answer
from envs.build import EnvLike, Variant
from envs.errors import EnvironmentFailure, EnvironmentReplaced, EnvironmentUsageError, WrongObservation, reason
from envs.masks import KEY, check_maskable, completed, legal_actions
from envs.observations import first
from envs.spaces import Array, Flat, check_action_space, factors, policy_action_space, to_env_action

_LARGEST = float(np.finfo(np.float32).max)  # a larger float64 would overflow to infinity in the networks
Result = TypeVar("Result")
_USERS: WeakValueDictionary[int, "Worlds"] = WeakValueDictionary()  # id of an environment object → who reset it last
Resume = Literal["state", "replay", "new episodes"]


class Origin(NamedTuple):
    """The arguments of `make`; `Worlds.masked` and `backend` hold what was chosen."""

    env: EnvLike
    seed: int
    variant: Variant
    backend: str
    action_masks: bool | None
    step_timeout: float | None = None


class Worlds(VectorWrapper):
    """N environments in SAME_STEP mode, with observations, actions and episode ends that are safe to learn from.

    `obs_space` is the space of the observations that `reset` and `step` return, Box or Discrete: the flat form of the
    environment's own `env_obs_space`. `legal`: the actions allowed now, bool[N, A]; None without action masks.

    `step` takes the policy's actions (choices count from 0; Box may lie outside its bounds) and adds to `infos`:

    - `next_obs`: [N, …], the true successor of every row, the last observation of the episode where one ended;
    - `episode`: {"r": float64[N], "l": int64[N]} with the mask `_episode`, if an episode ended: undiscounted return
      and length, counted here.

    The first `reset` uses the seeds given at construction; later ones continue the environments' random streams.
    Raises EnvironmentFailure if an environment raises or returns what cannot be learned from, EnvironmentReplaced if
    a process was replaced.
    """

    env: BackendEnv

    def __init__(
        self, env: BackendEnv, env_id: str, origin: Origin, seeds: list[int], masked: bool | None, parts: int = 1
    ) -> None:
        """masked: whether to obey action masks; None raises EnvironmentUsageError if the environments provide any.

        parts: number of processes, each of which steps the same number of environments.
        """
        super().__init__(env)
        self.env_id, self.origin = env_id, origin
        self.total_envs = self.num_envs * parts  # over all processes
        threshold = None if env.spec is None else env.spec.reward_threshold
        self.reward_threshold = None if threshold is None else float(threshold)
        self.env_action_space = check_action_space(env.single_action_space, env_id)
        self.env_obs_space = env.env_obs_space
        self.obs_space = cast(Flat, env.single_observation_space)
        self.policy_action_space = policy_action_space(self.env_action_space)
        self.single_action_space = self.policy_action_space
        self.action_space = gym.vector.utils.batch_space(self.single_action_space, env.num_envs)
        self.action_space.seed(seeds[0])
        if masked:
            check_maskable(self.env_action_space, env_id)
        self.masked = masked
        self.legal: Flags | None = None
        self._first = env.fixed_dtypes  # whether the types of the first step are to be checked
        self._seeds: list[int] | None = seeds
        self._began: Sequence[int | None] = seeds  # seeds of the current random streams
        self._checks_obs = isinstance(self.obs_space, gym.spaces.Box) and self.obs_space.dtype.kind == "f"
        self.uses = 0  # calls of reset and step; a chunk of steps in kernels counts as one
        self._return = np.zeros(self.num_envs)
        self._length = np.zeros(self.num_envs, np.int64)

    @property
    def backend(self) -> str:
        """Name of the backend in use."""
        return self.env.backend

    @property
    def resume(self) -> Resume:
        """How `load_state_dict` restores the environments; known once they have been reset.

        "state": from plain data. "replay": by replaying the unfinished episodes. "new episodes": not at all.
        """
        state = self.env.capture()
        if state is None:
            return "new episodes"
        return "replay" if isinstance(state, list) and any(isinstance(one, dict) for one in state) else "state"

    @property
    def taken(self) -> bool:
        """Whether others have reset the environment object since, with worlds of their own."""
        return isinstance(self.origin.env, gym.Env | VectorEnv) and _USERS.get(id(self.origin.env)) is not self

    @property
    def replaced(self) -> int:
        """The number of environments replaced because their process died or hung."""
        return self.env.replaced

    @property
    def has_time_limit(self) -> bool:
        """Whether every environment is known to truncate its episodes."""
        return self.env.has_time_limit

    @property
    def running(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return and length so far of each environment's episode, float64[N] and int64[N]. Not copies."""
        return self._return, self._length

    def reset(self, *, seed: int | list[int | None] | None = None, options: Infos | None = None) -> tuple[Array, Infos]:
        self.uses, _USERS[id(self.origin.env)] = self.uses + 1, self
        seeds, self._seeds = self._seeds if seed is None else seed, None
        if seeds is not None:
            self._began = [seeds + i for i in range(self.num_envs)] if isinstance(seeds, int) else seeds
        options = None if options is None else dict(options)  # Gymnasium removes reset_mask from it
        chosen = cast(Flags, (options or {}).get("reset_mask", np.ones(self.num_envs, bool)))
        self._return[chosen], self._length[chosen] = 0.0, 0
        obs, infos = self._named(lambda: self.env.reset(seed=cast("int | None", seeds), options=options))
        obs = np.array(obs, copy=True)
        self._check_finite(obs, "observation at reset")
        self._read_masks(infos, chosen)
        return obs, infos

    def step(self, actions: Array) -> StepResult:
        env_actions = to_env_action(self.env_action_space, actions)
        self.uses += 1
        self._length += 1
        obs, reward, terminated, truncated, infos = self._named(lambda: self.env.step(env_actions))
        if "_episode" in infos:  # set by a wrapper inside
            infos = {key: value for key, value in infos.items() if key not in ("episode", "_episode")}
        next_obs = infos["next_obs"]
        if self._first:
            self._first = False
            check_answer(self.env, (obs, reward, terminated, truncated, infos))
        self._return += reward
        self._check_finite(reward, "reward")
        self._check_finite(next_obs, "observation")
        if next_obs is not obs:
            ended = terminated | truncated
            self._check_finite(obs, "observation at reset")
            infos |= {"episode": {"r": self._return.copy(), "l": self._length.copy()}, "_episode": ended}
            self._return[ended], self._length[ended] = 0.0, 0
        if self.masked is not False:
            self._read_masks(infos, None)
        if REPLACED in infos:
            raise self._replacement(obs, cast(Flags, infos[REPLACED]))
        return obs, reward, terminated, truncated, infos

    def _replacement(self, obs: Array, replaced: Flags) -> EnvironmentReplaced:
        self._return[replaced], self._length[replaced] = 0.0, 0
        return EnvironmentReplaced(obs, replaced)

    def _read_masks(self, infos: Infos, chosen: Flags | None) -> None:
        """chosen: the environments that were reset, which the infos describe; None for all."""
        if self.masked:
            if chosen is not None and not chosen.all():
                assert self.legal is not None
                infos = completed(infos, chosen, self.legal)
            self.legal = self._named(lambda: legal_actions(infos, self.env_action_space, self.num_envs, self.env_id))
        elif self.masked is None and KEY in infos:
            raise EnvironmentUsageError(
                f"{self.env_id} gives an {KEY} in its infos: pass action_masks=True to obey it, False not to"
            )

    def state_dict(self) -> dict[str, object]:
        """Returns and lengths of the running episodes, and the captured environments (None if that is impossible)."""
        return {
            "return": self._return.tolist(),
            "length": self._length.tolist(),
            "legal": None if self.legal is None else self.legal.copy(),
            self.env.state_key: self.env.capture(),
        }

    def load_state_dict(self, state: dict[str, object]) -> bool:
        """Continues from `state_dict`. Returns False if that is impossible; the caller must then reset.

        Raises Misfit if no `state_dict` can have returned this state.
        """
        captured = state.get(self.env.state_key)
        rows = saved.sequence(state["return"], "return")
        unmasked = self.masked and state["legal"] is None  # saved without action masks
        if captured is None or unmasked or len(rows) != self.num_envs:
            return False
        returns = [saved.number(x, "return") for x in rows]
        lengths = [saved.whole(x, "length") for x in saved.sequence(state["length"], "length", self.num_envs)]
        shape = (self.num_envs, sum(factors(self.env_action_space)))
        legal = saved.array(state["legal"], "legal", np.dtype(bool), shape) if self.masked else None
        self.reset()  # sets up what only a reset does; captured values then overwrite the rest
        try:
            self.env.restore(captured)
        except saved.Misfit:
            raise
        except ValueError:  # other environments, another version of Gymnasium, or a replay with another outcome
            return False
        self._return[:], self._length[:] = returns, lengths
        self.legal = None if legal is None else legal.astype(bool, copy=False)
        return True

    def saved_observations(self, value: object) -> Array:
        """Observations of a checkpoint, [N, …]. Raises Misfit if they are not in `obs_space`."""
        space = self.obs_space
        same_kind = isinstance(value, np.ndarray) and value.dtype.kind == space.dtype.kind
        dtype = value.dtype if isinstance(value, np.ndarray) and same_kind else np.dtype(space.dtype)
        obs = saved.array(value, "obs", dtype, (self.num_envs, *(space.shape or ())))
        if isinstance(space, gym.spaces.Discrete) and not all(map(space.contains, obs.tolist())):
            raise saved.Misfit(f"obs is {saved.shown(obs.tolist())}, which is not in {space}")
        return obs

    def _named(self, call: Callable[[], Result]) -> Result:
        """The result of the call. Raises EnvironmentFailure if the call raises, with everything known about where."""
        try:
            return call()
        except EnvironmentFailure as failure:
            if failure.index is None:
                raise
            raise EnvironmentFailure(f"{failure}{self._where(failure.index)}", failure.index) from failure
        except KeyboardInterrupt:
            raise
        except WrongObservation as error:
            raise EnvironmentFailure(f"{self.env_id} returned an {error}") from error
        except BaseException as error:
            raise EnvironmentFailure(f"{self.env_id} raised {reason(error)}") from error

    def _where(self, i: int) -> str:
        return f" (step {int(self._length[i]):,} of its episode, seed {self._began[i]})"

    def _check_finite(self, values: NDArray[Any], what: str) -> None:
        if not (self._checks_obs or what == "reward") or float(np.vdot(values, values)) <= _LARGEST:
            return  # a sum of squares is a third of the work, and is infinite or NaN if a value is
        finite = np.abs(values) <= _LARGEST if values.dtype == np.float64 else np.isfinite(values)  # false for NaN too
        if not finite.all():
            i = int(np.flatnonzero(~finite.reshape(self.num_envs, -1).all(1))[0])
            space = None if what == "reward" else self.env_obs_space
            found = f"non-finite {what}, {first(np.array(values[i]), np.array(~finite[i]), space)}, which was not used"
            raise EnvironmentFailure(f"environment {i} ({self.env_id}) returned a {found}{self._where(i)}", i)
