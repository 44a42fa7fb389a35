"""Compares our collection of rollouts with Stable-Baselines3's, given equal weights, environment seeds and actions."""

from typing import NamedTuple

import numpy as np
import stable_baselines3 as sb3
import torch
from stable_baselines3.common.callbacks import BaseCallback
from torch import Generator, Tensor

from agents.a2c import A2C
from agents.machine import torch_threads
from agents.rollout import NO_CONTEXT, Array, Choice, Context, Episode, Rollout, collect
from agents.sb3.model import build
from agents.sb3.transfer import parameters
from agents.settings.a2c import A2CSettings
from agents.settings.schema import setting_values
from envs.streams import stream_seeds
from rl.experiments.lockstep.environments import seeded_envs
from rl.experiments.lockstep.replay import Transition, stacked, transition


class Difference(NamedTuple):
    """Ours minus SB3's: the largest absolute difference over all steps.

    Bootstraps, returns and advantages are relative to the largest return of the rollout.
    """

    observations: float = 0.0
    actions: float = 0.0  # as stored
    rewards: float = 0.0
    successors: float = 0.0
    terminations: float = 0.0  # 1 if any differs
    truncations: float = 0.0  # likewise
    episodes: float = 0.0  # return, length and step of finished episodes; ∞ if their number differs
    log_probs: float = 0.0
    bootstraps: float = 0.0  # r + γ V(s′) at a truncation
    returns: float = 0.0
    advantages: float = 0.0

    @property
    def transitions(self) -> float:
        """The largest of observations, actions, rewards, successors, terminations, truncations."""
        return float(np.max(self[:6]))

    @property
    def estimates(self) -> float:
        """The largest of log-probabilities, bootstraps, returns, advantages."""
        return float(np.max(self[7:]))


class Collected(NamedTuple):
    """A run of SB3, and how far our repetition of its rollouts deviates."""

    steps: int
    episodes: int
    terminations: int
    truncations: int
    worst: Difference


class Prescribed:
    """An agent that takes prescribed actions instead of its own."""

    def __init__(self, agent: A2C, actions: Tensor) -> None:
        """actions: [T, N, …]."""
        self.agent, self.actions = agent, iter(actions)

    def act(
        self, obs: Array, deterministic: bool = False, generator: Generator | None = None, context: Context = NO_CONTEXT
    ) -> Choice:
        return self.agent.act(obs, deterministic, generator, context)._replace(action=next(self.actions))


class Collection(BaseCallback):
    """Repeats each of SB3's rollouts in our worlds, with SB3's actions and its weights at that time."""

    model: sb3.A2C

    def __init__(self, agent: A2C) -> None:
        super().__init__()
        self.agent, self.found = agent, Collected(0, 0, 0, 0, Difference())
        self._obs, _ = agent.worlds.reset()
        self._rows: list[Transition] = []
        self._finished: list[Episode] = []

    def _on_step(self) -> bool:
        self._rows.append(transition(self))
        monitored = [info["episode"] for info in self.locals["infos"] if "episode" in info]
        self._finished += [Episode(episode["r"], episode["l"], self.num_timesteps) for episode in monitored]
        return True

    def _on_rollout_end(self) -> None:
        action, terminated, truncated = (stacked(self._rows)[k] for k in (1, 4, 5))
        agent, found = self.agent, self.found
        with torch.no_grad():
            for ours, theirs in parameters(agent.policy, agent.value, self.model.policy):
                ours.copy_(theirs)
        rollout, self._obs, episodes = collect(
            agent.worlds, Prescribed(agent, action), self._obs, len(action), found.steps
        )
        self.found = Collected(
            found.steps + terminated.numel(),
            found.episodes + len(self._finished),
            found.terminations + int(terminated.sum()),
            found.truncations + int(truncated.sum()),
            Difference(*np.maximum(found.worst, self._difference(rollout, episodes)).tolist()),
        )
        self._rows.clear()
        self._finished.clear()

    @torch.no_grad()
    def _difference(self, rollout: Rollout, episodes: list[Episode]) -> Difference:
        _, _, reward, next_obs, terminated, truncated = stacked(self._rows)
        agent, buffer = self.agent, self.model.rollout_buffer
        cut = rollout.truncated & ~rollout.terminated  # SB3's definition of truncated
        size = float(np.abs(buffer.returns).max())
        log_prob = agent.policy.distribution(rollout.behavior).log_prob(rollout.action)
        v_next = agent.value(agent.learner.encoded(rollout.next_obs))
        advantage, returns = agent.estimate(rollout)
        return Difference(
            _apart(rollout.obs, buffer.observations),
            _apart(rollout.action.flatten(), buffer.actions.flatten()),
            _apart(rollout.reward, reward),
            _apart(rollout.next_obs, next_obs),
            _apart(rollout.terminated, terminated),
            _apart(cut, truncated),
            _episodes_apart(episodes, self._finished),
            _apart(log_prob, buffer.log_probs),
            _apart((rollout.reward + agent.gamma * v_next)[cut], buffer.rewards[cut.numpy()]) / size,
            _apart(returns, buffer.returns) / size,
            _apart(advantage, buffer.advantages) / size,
        )


def _apart(ours: Tensor, theirs: Tensor | Array) -> float:
    x, y = ours.double(), torch.as_tensor(theirs).double()
    assert x.shape == y.shape
    return float((x - y).abs().max()) if x.numel() else 0.0


def _episodes_apart(ours: list[Episode], theirs: list[Episode]) -> float:
    if len(ours) != len(theirs):
        return np.inf
    return max((abs(x - y) for pair in zip(ours, theirs, strict=True) for x, y in zip(*pair, strict=True)), default=0.0)


def collected(settings: A2CSettings, steps: int) -> Collected:
    """Trains SB3 for this many steps, and repeats its rollouts in our worlds.

    SB3's environments start with the seeds that ours derive from the seed in the settings.
    """
    agent = A2C.build_from(settings.env, setting_values(settings))
    count = agent.worlds.num_envs
    model = build(settings)
    seeds = stream_seeds(settings.seed, "environments", count)
    model.set_env(seeded_envs(str(settings.env), seeds, settings.variant))
    collection = Collection(agent)
    with torch_threads(settings.threads):
        model.learn(steps, callback=collection, log_interval=10**9)
    return collection.found
