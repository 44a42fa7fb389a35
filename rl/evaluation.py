"""Unbiased evaluation: a fixed number of whole episodes, assigned to environments before any is played."""

from typing import NamedTuple, Protocol, cast

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray

from envs import Backend, EnvLike, Variant, Worlds, environment_seeds, make
from envs.spaces import Actions, factors, span
from rl.distributions import MultiCategorical
from rl.loop import Loop
from rl.rollout import FREE, Actor, Array, Choice, Given
from rl.threads import torch_threads

_PARALLEL = 20  # environments at most
_STREAMS = 4  # the family of streams that evaluation draws from; training uses others
PATIENCE = 30_000  # steps of one episode after which an environment without a time limit is cut off


class Trained(Actor, Protocol):
    """An agent that knows its environment."""

    loop: Loop

    @property
    def env(self) -> EnvLike: ...
    @property
    def backend(self) -> Backend: ...
    @property
    def worlds(self) -> Worlds: ...
    @property
    def variant(self) -> Variant: ...


def has_uniform(actions: Actions) -> bool:
    """Whether there is a uniform distribution: over any choices, and over a Box with bounds."""
    return not isinstance(actions, gym.spaces.Box) or bool(np.isfinite(span(actions)).all())


class UniformPolicy:
    """Uniformly random actions: over the legal ones of a discrete space, or over a bounded Box."""

    def __init__(self, actions: Actions) -> None:
        """Raises ValueError if the Box is not bounded: no distribution over it is uniform."""
        self.actions, self.factors = actions, factors(actions)
        if not has_uniform(actions):
            raise ValueError(f"no distribution over {actions} is uniform")

    def act(
        self, obs: Array, deterministic: bool = False, generator: torch.Generator | None = None, given: Given = FREE
    ) -> Choice:
        """One action a row; there is no mode, so `deterministic` changes nothing. The raw parameters are empty."""
        count, raw, generator = len(obs), torch.zeros(len(obs), 0), generator or torch.default_generator
        if isinstance(self.actions, gym.spaces.Box):
            low, high = (torch.as_tensor(x).flatten().float() for x in (self.actions.low, self.actions.high))
            return Choice(low + (high - low) * torch.rand(count, len(low), generator=generator), raw)
        logits = torch.zeros(count, sum(self.factors))
        if given.legal is not None:
            logits.masked_fill_(~torch.from_numpy(given.legal), -torch.inf)
        action = MultiCategorical(logits, self.factors).sample(generator)
        return Choice(action[:, 0] if isinstance(self.actions, gym.spaces.Discrete) else action, raw)


class Evaluation(NamedTuple):
    """Undiscounted, unnormalized returns and lengths of the episodes, in order of assignment."""

    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]
    deterministic: bool
    cut: int  # episodes of an environment without a time limit that were cut off

    @property
    def mean(self) -> float:
        return float(self.returns.mean())

    @property
    def std(self) -> float:
        """Over episodes (population)."""
        return float(self.returns.std())

    def __str__(self) -> str:
        mode = "deterministic" if self.deterministic else "stochastic"
        cut = f"; {self.cut} cut off after {PATIENCE:,} steps" if self.cut else ""
        return f"{self.mean:.2f} ± {self.std:.2f} (mean ± std of {len(self.returns)} {mode} episodes{cut})"


def evaluate(
    agent: Actor,
    env: EnvLike,
    episodes: int = 100,
    deterministic: bool = True,
    seed: int = 0,
    *,
    variant: Variant | None = None,
    backend: Backend | None = None,
) -> Evaluation:
    """Plays `episodes` whole episodes and changes nothing in the agent: its normalizers and generators stay.

    Episode k is played by environment k mod N, so that short episodes are not favored (taking the first that end
    would). The same agent, environment and seed give the same result. Without a time limit, an episode is cut off
    after 30,000 steps. An environment object that the agent trains on is reset, and its training episodes begin anew.
    variant, backend: as for `envs.make`; if `env` is the agent's own, by default its variant and `evaluation_backend`.
    Raises ValueError if episodes < 1 or the environment's observations are not the agent's, and as `envs.make` does.
    """
    if episodes < 1:
        raise ValueError(f"episodes must be at least 1, got {episodes}")
    count = min(episodes, _PARALLEL) if isinstance(env, str) else None
    start = environment_seeds(seed, 1, key=_STREAMS)[0]
    trained = getattr(agent, "env", None)
    own = cast(Trained, agent) if env is trained or (isinstance(env, str) and env == trained) else None
    variant = (own.variant if own else Variant()) if variant is None else variant
    backend = (evaluation_backend(own.backend) if own else "auto") if backend is None else backend
    worlds = make(env, count, start, variant=variant, backend=backend, action_masks=_obeys_masks(agent))
    _check_observations(agent, worlds)
    generator = torch.Generator().manual_seed(start)
    patience = np.inf if variant.max_episode_steps is not None or worlds.has_time_limit else PATIENCE
    try:
        with torch_threads(1):
            return _play(agent, worlds, episodes, deterministic, generator, patience)
    finally:
        if not isinstance(env, gym.Env | gym.vector.VectorEnv):  # what the caller built, the caller closes
            worlds.close()
        elif getattr(agent, "env", None) is env:
            cast(Trained, agent).loop.begin_anew()


def evaluate_uniform(
    env_id: str, episodes: int = 100, *, variant: Variant | None = None, backend: Backend = "auto"
) -> Evaluation | None:
    """Episodes of uniformly random actions; None where actions have no bounds."""
    variant = variant or Variant()
    worlds = make(env_id, 1, variant=variant, backend=backend)
    worlds.close()
    actions = worlds.policy_action_space
    if not has_uniform(actions):
        return None
    return evaluate(UniformPolicy(actions), env_id, episodes, False, variant=variant, backend=backend)


def evaluation_backend(backend: Backend) -> Backend:
    """The backend to evaluate on: the environments of envpool are its own, all others are the same on every backend."""
    return "envpool" if backend == "envpool" else "auto"


def _check_observations(agent: Actor, worlds: Worlds) -> None:
    """Raises ValueError if the agent says what it observes and it is not what these worlds show."""
    own, given = getattr(agent, "obs_space", None), worlds.obs_space
    if own is not None and _form(own) != _form(given):
        raise ValueError(f"the agent was trained on observations {own}; {worlds.env_id} gives {given}")


def _obeys_masks(agent: Actor) -> bool | None:
    """None lets the environment decide, for an actor that does not say."""
    own = getattr(agent, "worlds", None)
    return own.masked if isinstance(own, Worlds) else None


def _form(space: gym.Space[object]) -> tuple[object, ...]:
    return type(space), space.shape, getattr(space, "n", None)


def evaluate_both(agent: Trained, episodes: int, seed: int) -> tuple[Evaluation, Evaluation]:
    """The deterministic and the stochastic evaluation of an agent on its own environment."""
    return evaluate(agent, agent.env, episodes, True, seed), evaluate(agent, agent.env, episodes, False, seed)


def summarize(deterministic: Evaluation, stochastic: Evaluation) -> dict[str, float | int]:
    """The keys of `summary.json` that come from evaluation."""
    return {
        "eval_mean": deterministic.mean,
        "eval_std": deterministic.std,
        "eval_stochastic_mean": stochastic.mean,
        "eval_stochastic_std": stochastic.std,
        "eval_episodes": len(deterministic.returns),
        "eval_cut": deterministic.cut + stochastic.cut,
    }


def _play(
    agent: Actor, worlds: Worlds, episodes: int, deterministic: bool, generator: torch.Generator, patience: float
) -> Evaluation:
    n = worlds.num_envs
    assigned = [list(range(i, episodes, n)) for i in range(n)]
    returns, lengths = np.zeros(episodes), np.zeros(episodes, np.int64)
    running, played, cut = np.zeros(n), np.zeros(n, np.int64), 0
    obs, _ = worlds.reset()
    given = Given(worlds.legal)
    while any(assigned):
        choice = agent.act(obs, deterministic, generator, given)
        obs, reward, terminated, truncated, _ = worlds.step(choice.action.numpy(force=True))
        running += reward
        played += 1
        late = (played >= patience) & ~(terminated | truncated)
        over = terminated | truncated | late
        for i in np.flatnonzero(over):
            if assigned[i]:
                k = assigned[i].pop(0)
                returns[k], lengths[k] = running[i], played[i]
                cut += bool(late[i])
        running[over], played[over] = 0.0, 0
        if late.any():
            obs, _ = worlds.reset(options={"reset_mask": late})
        given = given.after(choice, worlds.legal, over)
    return Evaluation(returns, lengths, deterministic, cut)
