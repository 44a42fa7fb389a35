"""Unbiased evaluation: a fixed number of complete episodes, assigned to environments in advance."""

from collections.abc import Callable

import gymnasium as gym
import numpy as np
import torch

from agents.agent import Agent
from agents.episodes import episode_player
from agents.events import Evaluation as Evaluation
from agents.maths.distributions import MultiCategorical
from agents.rollout import NO_CONTEXT, Actor, Array, Choice, Context
from envs import Backend, EnvLike, Variant, make
from envs.spaces import Actions, factors, span

Watch = Callable[[int, int], None]  # called with the numbers of finished episodes and of environment steps


def _nobody(ended: int, steps: int) -> None:
    """Watches nothing."""


def has_uniform(actions: Actions) -> bool:
    """Whether there is a uniform distribution over the actions: not for an unbounded Box."""
    return not isinstance(actions, gym.spaces.Box) or bool(np.isfinite(span(actions)).all())


class UniformPolicy:
    """Draws uniformly from the legal actions of a discrete space, or from a bounded Box."""

    def __init__(self, actions: Actions) -> None:
        """Raises ValueError if the Box is unbounded."""
        self.actions, self.factors = actions, factors(actions)
        if not has_uniform(actions):
            raise ValueError(f"no distribution over {actions} is uniform")

    def act(
        self,
        obs: Array,
        deterministic: bool = False,
        generator: torch.Generator | None = None,
        context: Context = NO_CONTEXT,
    ) -> Choice:
        """One action per observation. Ignores `deterministic`, since there is no mode. The raw parameters are empty."""
        count, raw, generator = len(obs), torch.zeros(len(obs), 0), generator or torch.default_generator
        if isinstance(self.actions, gym.spaces.Box):
            low, high = (torch.as_tensor(x).flatten().float() for x in (self.actions.low, self.actions.high))
            return Choice(low + (high - low) * torch.rand(count, len(low), generator=generator), raw)
        logits = torch.zeros(count, sum(self.factors))
        if context.legal is not None:
            logits.masked_fill_(~torch.from_numpy(context.legal), -torch.inf)
        action = MultiCategorical(logits, self.factors).sample(generator)
        return Choice(action[:, 0] if isinstance(self.actions, gym.spaces.Discrete) else action, raw)


class ConstantPolicy:
    """Takes one action of the policy's space in every state."""

    def __init__(self, action: Array | int) -> None:
        self.action = torch.as_tensor(action)

    def act(
        self,
        obs: Array,
        deterministic: bool = True,
        generator: torch.Generator | None = None,
        context: Context = NO_CONTEXT,
    ) -> Choice:
        """The action, repeated for each observation. The raw parameters are empty."""
        return Choice(self.action.expand(len(obs), *self.action.shape), torch.zeros(len(obs), 0))


def evaluate(
    agent: Actor,
    env: EnvLike,
    episodes: int = 100,
    deterministic: bool = True,
    seed: int = 0,
    *,
    variant: Variant | None = None,
    backend: Backend | None = None,
    max_steps: int | None = None,
    watch: Watch = _nobody,
) -> Evaluation:
    """Plays `episodes` complete episodes; the agent's normalizers and generators do not change.

    Environment k mod N plays episode k, so that short episodes are not favored (taking the first that end would favor
    them). The same agent, environment and seed give the same result. Without a time limit, an episode is cut off after
    30,000 steps; with max_steps, also after its share of these, max_steps // episodes. An environment object that the
    agent trains on is reset; its training episodes start over.
    variant, backend: as for `envs.make`; in the agent's training environment, by default those of training. watch: is
    told after every step how many episodes have ended, and how many environment steps have been taken.
    Raises ValueError if episodes < 1 or observations or actions differ in form, and as `envs.make` does.

    >>> from agents import A2C
    >>> evaluation = evaluate(A2C("Pendulum-v1"), "Pendulum-v1", episodes=2)
    >>> evaluation.lengths.tolist(), bool(evaluation.mean < 0)
    ([200, 200], True)
    """
    with episode_player(agent, env, episodes, seed, variant, backend, max_steps) as player:
        returns, lengths, cut, ended, steps = np.zeros(episodes), np.zeros(episodes, np.int64), 0, 0, 0
        for step in player.play(agent, deterministic):
            playing = step.episode >= 0
            k = step.episode[playing]
            returns[k] += step.reward[playing]
            lengths[k] += 1
            cut += int(step.cut[playing].sum())
            ended += int((step.terminated | step.truncated)[playing].sum())
            steps += len(k)
            watch(ended, steps)
    return Evaluation(returns, lengths, deterministic, cut)


def evaluate_uniform(
    env_id: str, episodes: int = 100, *, variant: Variant | None = None, backend: Backend = "auto",
    max_steps: int | None = None,
) -> Evaluation | None:  # fmt: skip
    """Evaluates uniformly random actions; None if the actions are unbounded. max_steps: see `evaluate`."""
    variant = variant or Variant()
    worlds = make(env_id, 1, variant=variant, backend=backend)
    worlds.close()
    actions = worlds.policy_action_space
    if not has_uniform(actions):
        return None
    policy = UniformPolicy(actions)
    return evaluate(policy, env_id, episodes, False, variant=variant, backend=backend, max_steps=max_steps)


def evaluate_still(
    env_id: str, episodes: int = 100, *, variant: Variant | None = None, backend: Backend = "auto"
) -> Evaluation | None:
    """Evaluates standing still: in a Box, the action nearest to zero; for Discrete actions, the constant action with
    the highest mean return over these episodes. None for other actions."""
    variant = variant or Variant()
    worlds = make(env_id, 1, variant=variant, backend=backend)
    worlds.close()
    actions = worlds.policy_action_space
    constants: list[Array | int]
    if isinstance(actions, gym.spaces.Box):
        constants = [np.clip(np.zeros(actions.shape, actions.dtype), actions.low, actions.high)]
    elif isinstance(actions, gym.spaces.Discrete):
        constants = list(range(int(actions.n)))
    else:
        return None
    played = [
        evaluate(ConstantPolicy(action), env_id, episodes, variant=variant, backend=backend) for action in constants
    ]
    return max(played, key=lambda each: each.mean)


def evaluate_both(
    agent: Agent, episodes: int, seed: int, max_steps: int | None = None, watch: Watch = _nobody,
    *, env: EnvLike | None = None,
) -> tuple[Evaluation, Evaluation]:  # fmt: skip
    """The deterministic and the stochastic evaluation of an agent, by `evaluate`. env: by default, the agent's own."""
    where = agent.env if env is None else env
    first = evaluate(agent, where, episodes, True, seed, max_steps=max_steps, watch=watch)
    done = int(first.lengths.sum())

    def later(ended: int, steps: int) -> None:
        watch(episodes + ended, done + steps)

    return first, evaluate(agent, where, episodes, False, seed, max_steps=max_steps, watch=later)


def summarize(deterministic: Evaluation, stochastic: Evaluation) -> dict[str, float | int]:
    """The evaluations' part of `summary.json`."""
    return {
        "eval_mean": deterministic.mean,
        "eval_std": deterministic.std,
        "eval_stochastic_mean": stochastic.mean,
        "eval_stochastic_std": stochastic.std,
        "eval_episodes": len(deterministic.returns),
        "eval_cut": deterministic.cut + stochastic.cut,
    }
