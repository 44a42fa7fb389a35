"""`Rollout`: full transitions, time first; and `collect`, which fills one."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, SupportsFloat, SupportsInt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

Array = NDArray[np.generic]


class Rollout(NamedTuple):
    """T steps of N environments. In every row δ = r + γ (1 − terminated) V(next_obs) − V(obs) holds."""

    obs: Tensor  # [T, N, …], as the environment gave it
    action: Tensor  # int64[T, N] or float32[T, N, A], as the policy sampled it
    reward: Tensor  # float32[T, N]
    next_obs: Tensor  # [T, N, …], the true successor, also where an episode ended
    terminated: Tensor  # bool[T, N]
    truncated: Tensor  # bool[T, N]
    behavior: Tensor  # float32[T, N, P], raw parameters of the policy that acted; −inf forbids an action
    memory: "Memory | None" = None  # of a recurrent agent

    @property
    def ended(self) -> Tensor:
        return self.terminated | self.truncated


class Memory(NamedTuple):
    """What a recurrent agent remembered while it acted."""

    first: Tensor  # float32[N, H], before the first observation
    after: Tensor  # float32[T, N, H], after each


class Episode(NamedTuple):
    """A finished training episode: its undiscounted return, its length, and the step at which it ended."""

    ret: float
    length: int
    step: int


Metrics = Mapping[str, Tensor]


class Plan(NamedTuple):
    """Some iterations to be made in one call, from where training is."""

    updates: int
    n_steps: int  # of each environment, an update
    step: int  # environment steps taken before
    iteration: int  # updates made before
    until: int  # the step at which training ends
    interval: int  # the policy shift is measured where the number of updates is a multiple of this


class Chunk(NamedTuple):
    """Some iterations in a row: how many were whole, what they measured, and why they ended early, if they did."""

    updates: int
    metrics: Metrics  # float32[updates] each, or scalars of one update
    episodes: Sequence[Episode]
    obs: Array  # [N, …], where the next begins
    failure: BaseException | None = None
    state: Tensor | None = None  # float32[N, H], what a recurrent agent remembers there


class Given(NamedTuple):
    """What a policy is given beside observations."""

    legal: NDArray[np.bool_] | None = None  # [N, A], the actions allowed; None allows all
    state: Tensor | None = None  # float32[N, H], what a recurrent agent remembers; None at the beginning

    def after(self, choice: "Choice", legal: NDArray[np.bool_] | None, ended: NDArray[np.bool_]) -> "Given":
        """What the next choice is given: memory goes on but where an episode ended."""
        if choice.state is None:
            return Given(legal)
        return Given(legal, choice.state.masked_fill(torch.from_numpy(ended)[:, None], 0.0))


FREE = Given()  # everything allowed, nothing remembered


class Choice(NamedTuple):
    """What a policy did."""

    action: Tensor
    raw: Tensor  # parameters of the distribution that the action came from
    state: Tensor | None = None  # float32[N, H], what a recurrent agent remembers now


class Actor(Protocol):
    def act(
        self, obs: Array, deterministic: bool = False, generator: Generator | None = None, given: Given = FREE
    ) -> Choice: ...


class Steppable(Protocol):
    """The part of `envs.Worlds` that collecting needs."""

    @property
    def num_envs(self) -> int: ...

    @property
    def legal(self) -> NDArray[np.bool_] | None: ...

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[str, object]]: ...


def collect(
    worlds: Steppable, actor: Actor, obs: Array, n_steps: int, step: int, state: Tensor | None = None
) -> tuple[Rollout, Array, list[Episode]]:
    """Runs N environments for n_steps from obs. Returns the rollout, the next observations, the finished episodes.

    obs: [N, …]; step: environment steps taken before, which dates the episodes; state: of a recurrent actor.
    """
    given, states = Given(worlds.legal, state), list[Tensor]()
    rows: list[tuple[Array, Choice, Array, Array, Array, Array]] = []
    episodes: list[Episode] = []
    for t in range(n_steps):
        choice = actor.act(obs, given=given)
        after, reward, terminated, truncated, infos = worlds.step(choice.action.numpy(force=True))
        rows.append((obs, choice, reward, infos["next_obs"], terminated, truncated))  # type: ignore[arg-type]
        if choice.state is not None:
            states.append(choice.state)
        given = given.after(choice, worlds.legal, np.logical_or(terminated, truncated))
        if "_episode" in infos:
            episodes += finished(infos, step + (t + 1) * worlds.num_envs)
        obs = after
    observations, choices, rewards, successors, terminations, truncations = zip(*rows, strict=True)
    rollout = Rollout(
        obs=_stack(observations),
        action=torch.stack([choice.action for choice in choices]),
        reward=_stack(rewards).float(),
        next_obs=_stack(successors),
        terminated=_stack(terminations),
        truncated=_stack(truncations),
        behavior=torch.stack([choice.raw for choice in choices]),
        memory=Memory(torch.zeros_like(states[0]) if state is None else state, torch.stack(states)) if states else None,
    )
    return rollout, obs, episodes


def _stack(rows: Sequence[Array]) -> Tensor:
    return torch.from_numpy(np.stack(rows))


def finished(infos: dict[str, object], step: int) -> list[Episode]:
    """The episodes that `envs.Worlds.step` says have ended, at this step."""
    statistics: dict[str, Sequence[SupportsFloat | SupportsInt]] = infos["episode"]  # type: ignore[assignment]
    returns, lengths = np.asarray(statistics["r"]), np.asarray(statistics["l"])
    return [Episode(float(returns[i]), int(lengths[i]), step) for i in np.flatnonzero(np.asarray(infos["_episode"]))]
