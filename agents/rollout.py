"""`Rollout`: full transitions, time first; and `collect`, which fills one."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from agents.devices import moved
from agents.settings.values import ConfigError
from envs import Worlds

Array = NDArray[np.generic]
Metrics = Mapping[str, Tensor]


class RecurrentStates(NamedTuple):
    """A recurrent agent's states during a rollout."""

    initial: Tensor  # float32[N, H], before the first observation
    after: Tensor  # float32[T, N, H], after each observation


class Rollout(NamedTuple):
    """T steps of N environments. In every row δ = r + γ (1 − terminated) V(next_obs) − V(obs) holds."""

    obs: Tensor  # [T, N, …], as the environment returned it
    action: Tensor  # int64[T, N] or float32[T, N, A], as the policy sampled it
    reward: Tensor  # float32[T, N]
    next_obs: Tensor  # [T, N, …], the true successor even at an episode's end
    terminated: Tensor  # bool[T, N]
    truncated: Tensor  # bool[T, N]
    behavior: Tensor  # float32[T, N, P], raw parameters of the policy that acted; −inf marks an illegal action
    recurrent_states: RecurrentStates | None = None  # of a recurrent agent
    measure: bool = True  # whether the update should measure the policy shift; a setting may require it anyway

    @property
    def ended(self) -> Tensor:
        return self.terminated | self.truncated

    def to(self, device: torch.device) -> "Rollout":
        """The rollout on a device; the same object if it is there."""
        if all(x.device == device for x in self[:7]):
            return self
        states = self.recurrent_states and RecurrentStates(*(moved(x, device) for x in self.recurrent_states))
        return Rollout._make([*(moved(x, device) for x in self[:7]), states, self.measure])


def check_rollout(batch: Rollout, observation: tuple[int, ...], action: tuple[int, ...], parameters: int) -> None:
    """Raises ConfigError if a field has another shape than T steps of N environments need.

    observation, action: shapes of one; parameters: the number P of the distribution.
    """
    rows = batch.reward.shape
    if len(rows) != 2:
        raise ConfigError(f"rollout.reward has shape {tuple(rows)}; it needs two dimensions, steps and environments")
    obs = rows + observation
    needed = (obs, rows + action, rows, obs, rows, rows, (*rows, parameters))
    for name, x, shape in zip(batch._fields, batch[:7], needed, strict=False):
        if x.shape != shape:
            steps = f"{rows[0]} steps of {rows[1]} environments (see rollout.reward)"
            raise ConfigError(f"rollout.{name} has shape {tuple(x.shape)}; for {steps} it needs {tuple(shape)}")


class Episode(NamedTuple):
    """A finished training episode: undiscounted return, length, and the environment step at which it ended."""

    ret: float
    length: int
    step: int


class ChunkPlan(NamedTuple):
    """Iterations that one call of `chunk` should make."""

    updates: int
    n_steps: int  # of each environment per update
    step: int  # environment steps taken before
    iteration: int  # updates made before
    until: int  # the step at which training ends
    interval: int  # the policy shift is measured in every update whose number is a multiple of this


class ChunkResult(NamedTuple):
    """Iterations that one call made, all complete."""

    updates: int
    metrics: Metrics  # float32[updates] each, or scalars of one update
    episodes: Sequence[Episode]
    obs: Array  # [N, …], the observations to continue from
    failure: BaseException | None = None  # what ended the call early
    state: Tensor | None = None  # float32[N, H], recurrent state to continue from


class Choice(NamedTuple):
    """Actions that a policy chose."""

    action: Tensor
    raw: Tensor  # parameters of the distribution that the action was drawn from
    state: Tensor | None = None  # float32[N, H], recurrent state after the observation
    seen: Tensor | None = None  # the observations, on the device where the networks are


class Context(NamedTuple):
    """What a policy needs in addition to observations."""

    legal: NDArray[np.bool_] | None = None  # [N, A], the legal actions; None if all are
    state: Tensor | None = None  # float32[N, H], recurrent state; None at the start of an episode

    def after(self, choice: Choice, legal: NDArray[np.bool_] | None, ended: NDArray[np.bool_]) -> "Context":
        """The context of the next step; resets the recurrent state to zero where an episode ended."""
        if choice.state is None:
            return Context(legal)
        return Context(legal, choice.state.masked_fill(torch.from_numpy(ended)[:, None], 0.0))


NO_CONTEXT = Context()  # every action is legal; no recurrent state


class Actor(Protocol):
    def act(
        self, obs: Array, deterministic: bool = False, generator: Generator | None = None, context: Context = NO_CONTEXT
    ) -> Choice: ...


def collect(
    worlds: Worlds, actor: Actor, obs: Array, n_steps: int, step: int, state: Tensor | None = None
) -> tuple[Rollout, Array, list[Episode]]:
    """Runs N environments for n_steps from obs. Returns the rollout, the next observations, the finished episodes.

    The rollout's observations are on the device where the actor saw them, the rest is on the CPU.
    obs: [N, …]; step: environment steps taken before, for the episodes' dates; state: of a recurrent actor.
    """
    if n_steps < 1:
        raise ConfigError(f"n_steps must be at least 1, got {n_steps}")
    context, states = Context(worlds.legal, state), list[Tensor]()
    rows: list[tuple[Array, Choice, Array, Array, Array, Array]] = []
    episodes: list[Episode] = []
    for t in range(n_steps):
        choice = actor.act(obs, context=context)
        obs_after, reward, terminated, truncated, infos = worlds.step(choice.action.numpy(force=True))
        rows.append((obs, choice, reward, cast(Array, infos["next_obs"]), terminated, truncated))
        if choice.state is not None:
            states.append(choice.state)
        context = context.after(choice, worlds.legal, np.logical_or(terminated, truncated))
        if "_episode" in infos:
            episodes += finished_episodes(infos, step + (t + 1) * worlds.total_envs)
        obs = obs_after
    observations, choices, rewards, successors, terminations, truncations = zip(*rows, strict=True)
    pairs = zip(choices, observations, strict=True)
    seen = [_tensor(obs) if choice.seen is None else choice.seen for choice, obs in pairs]
    initial = torch.zeros_like(states[0]) if states and state is None else state
    rollout = Rollout(
        obs=torch.stack(seen),
        action=torch.stack([choice.action for choice in choices]),
        reward=_stack(rewards).to(torch.get_default_dtype()),
        next_obs=torch.stack(_successors(observations, successors, seen)),
        terminated=_stack(terminations),
        truncated=_stack(truncations),
        behavior=torch.stack([choice.raw for choice in choices]),
        recurrent_states=None if initial is None else RecurrentStates(initial, torch.stack(states)),
    )
    return rollout, obs, episodes


def _successors(observations: Sequence[Array], successors: Sequence[Array], seen: Sequence[Tensor]) -> list[Tensor]:
    """The successors of each step, on the device of the observations. Those that were also seen are not moved again."""
    after = [*zip(observations[1:], seen[1:], strict=True), (None, None)]
    return [
        there if here is successor and there is not None else moved(_tensor(successor), seen[0].device)
        for successor, (here, there) in zip(successors, after, strict=True)
    ]


def _tensor(x: Array) -> Tensor:
    """The array's own memory, or a copy if torch cannot use that."""
    return torch.from_numpy(np.require(x, requirements=("C", "W")))


def _stack(rows: Sequence[Array]) -> Tensor:
    return torch.from_numpy(np.array(rows))


def finished_episodes(infos: Mapping[str, object], step: int) -> list[Episode]:
    """The episodes that ended at this step, from the infos of `envs.Worlds.step`."""
    statistics = cast("Mapping[str, NDArray[np.float64]]", infos["episode"])
    returns, lengths, ended = statistics["r"], statistics["l"], np.asarray(infos["_episode"])
    return [Episode(float(returns[i]), int(lengths[i]), step) for i in np.flatnonzero(ended)]
