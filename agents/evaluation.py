"""Unbiased evaluation: a fixed number of whole episodes, assigned to environments before any is played."""

from typing import NamedTuple

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray

from agents import episodes as play
from agents.agent import Agent
from agents.episodes import stage
from agents.maths.distributions import MultiCategorical
from agents.rollout import FREE, Actor, Array, Choice, Given
from envs import Backend, EnvLike, Variant, make
from envs.spaces import Actions, factors, span


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
        cut = f"; {self.cut} cut off after {play.PATIENCE:,} steps" if self.cut else ""
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
    with stage(agent, env, episodes, seed, variant, backend) as prepared:
        returns, lengths, cut = np.zeros(episodes), np.zeros(episodes, np.int64), 0
        for step in prepared.play(agent, deterministic):
            playing = step.episode >= 0
            k = step.episode[playing]
            returns[k] += step.reward[playing]
            lengths[k] += 1
            cut += int(step.cut[playing].sum())
    return Evaluation(returns, lengths, deterministic, cut)


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


def evaluate_both(agent: Agent, episodes: int, seed: int) -> tuple[Evaluation, Evaluation]:
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
