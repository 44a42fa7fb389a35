"""An actor-critic's outputs at each step of an episode: π(·|s), V(s) and δ."""

from typing import NamedTuple

import torch
from torch import Tensor

from agents.actor_critic import ActorCritic
from agents.agent import Agent
from agents.episodes import EpisodeStep
from agents.maths.distributions import Distribution
from agents.maths.normalize import scale_and_clip
from agents.maths.returns import td_error
from agents.networks.encoders import RecurrentInput, single_step
from agents.settings.values import ConfigError


class Reading(NamedTuple):
    """One step of one environment."""

    pi: Distribution  # π(·|s), one row
    action: Tensor  # [1] or [1, A], as the policy chose it
    v: float  # V(s)
    delta: float  # δ = r + γ (1 − terminated) V(s′) − V(s), in units of V: r is scaled as in training


def has_readings(agent: Agent) -> bool:
    return isinstance(agent, ActorCritic)


class Reader:
    """Evaluates the networks along the episodes of one environment; changes nothing.

    Raises ConfigError unless the agent is an actor-critic.
    """

    def __init__(self, agent: Agent) -> None:
        if not isinstance(agent, ActorCritic):
            raise ConfigError(f"the overlay draws π, V and δ, which {agent.name} does not have: leave it off")
        self._agent = agent
        self._state: Tensor | None = None  # recurrent state before the step, float32[1, H]; None: start of an episode

    @torch.no_grad()
    def __call__(self, step: EpisodeStep) -> Reading:
        agent, learner = self._agent, self._agent.learner
        x, x_next = (learner.encoded(torch.from_numpy(obs)) for obs in (step.obs, step.next_obs))
        v = agent.value(x[None], self._recurrent(self._state))
        v_next = agent.value(x_next[None], self._recurrent(step.choice.state))
        scale, clip, norm = agent.reward_scale, agent.reward_clip, learner.reward_norm
        reward = scale_and_clip(torch.from_numpy(step.reward)[None].to(v), scale, clip)
        discount = agent.gamma * (~torch.from_numpy(step.terminated)[None]).to(v)
        delta = td_error(v, norm(reward) if norm else reward, discount, v_next)
        ended = bool((step.terminated | step.truncated)[0])
        self._state = None if ended else step.choice.state
        return Reading(agent.policy.distribution(step.choice.raw), step.choice.action, float(v), float(delta))

    def _recurrent(self, state: Tensor | None) -> RecurrentInput | None:
        memory = self._agent.policy.trunk.memory
        if memory is None:
            return None
        return single_step(torch.zeros(1, memory.size, device=self._agent.learner.device) if state is None else state)
