"""Behavior cloning: the policy learns to act as recorded, by maximum likelihood."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from gymnasium import spaces
from torch import Tensor

from agents.demonstrations import Demonstrations
from agents.imitation.base import AgentWrapper
from agents.imitation.offline import Epochs, Transitions, fit, recorded, steps_of
from agents.loop import Hook, RunChunk
from agents.maths import information
from agents.maths.distributions import Categorical, Distribution
from agents.rollout import Metrics
from agents.settings.values import ConfigError
from envs.spaces import Actions


def negative_log_likelihood(pi: Distribution, action: Tensor) -> Tensor:
    """−mean ln π(a|s): for discrete actions the cross-entropy H(δ_a, π). action: as `Rollout.action`."""
    if isinstance(pi, Categorical):
        return information.cross_entropy_loss(pi.logits, action, validate=False)
    return -pi.log_prob(action).mean()


def _check_bounds(given: Demonstrations, actions: Actions) -> None:
    """A policy that squashes its actions has no density outside their bounds, where others act, to be clipped."""
    if not isinstance(actions, spaces.Box):
        return
    action = given.action.astype(np.float32, copy=False)
    rows = np.nonzero((action < actions.low.reshape(-1)) | (action > actions.high.reshape(-1)))[0]
    if len(rows):
        raise ConfigError(f"squash_output: the recorded action in row {rows[0]} lies outside the bounds; leave it off")


@dataclass(eq=False, kw_only=True)
class Clone(AgentWrapper):
    """Loss: −mean ln π(a|s) − ent_coef · mean H(π(·|s)) over minibatches of recorded transitions.

    Whole episodes are held out; training ends once their likelihood has not risen for `patience` epochs, and the policy
    is that of the best. `total_timesteps` counts transitions learned from; no environment is stepped. V_φ stays.
    Source: Pomerleau 1991, "Efficient training of artificial neural networks for autonomous navigation".
    """

    demonstrations: str = ""  # the file, by `python -m rl.demos`
    episodes: int | None = None  # the first so many; null takes all
    batch_size: int = 64  # transitions an update; a multiple of num_envs
    validation_fraction: float = 0.2  # of the episodes, held out; 0 trains to the end on all of them
    patience: int = 20  # epochs

    name = "clone"
    obstacle = "cloning learns from recorded transitions"

    def prepare(self) -> None:
        agent = self.agent
        if agent.gru_size is not None:
            raise ConfigError("cloning shuffles transitions, which a memory cannot learn from: leave gru_size out")
        for name in ("normalize_rewards", "use_sde"):
            if getattr(agent, name):
                raise ConfigError(f"{name} has no meaning for cloning, which sees no rewards and draws no actions")
        given = recorded(agent, self.demonstrations, self.episodes)
        if agent.squash_output:
            _check_bounds(given, agent.worlds.policy_action_space)
        self.n_steps = steps_of(self.batch_size, self.worlds.num_envs)
        self.epochs = Epochs(self, given, self.batch_size, self.validation_fraction, self.patience)

    @property
    def chunk(self) -> RunChunk:
        return self.epochs.chunk

    def learn_from(self, batch: Transitions, progress: float) -> Metrics:
        """One gradient step."""
        pi = batch.policy(self.agent)
        loss = negative_log_likelihood(pi, batch.action)
        metrics = dict(fit(self.agent, batch, pi, loss, progress))
        if isinstance(pi, Categorical):
            metrics["train/accuracy"] = (pi.mode() == batch.action).float().mean()
        return metrics

    def held_out_loss(self, batch: Transitions) -> Tensor:
        """−mean ln π(a|s)."""
        return negative_log_likelihood(batch.policy(self.agent), batch.action)

    def learn(self, total_timesteps: int, hooks: Sequence[Hook] = ()) -> Self:
        """Learns from so many further transitions at most; at the end the policy is the best of all epochs."""
        self.epochs.run(super().learn, total_timesteps, hooks)
        return self

    def summary(self) -> str:
        return f"learns from {self.epochs.describe()} of {self.demonstrations}"
