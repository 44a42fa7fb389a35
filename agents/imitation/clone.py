"""Behavior cloning: maximum likelihood of recorded actions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from gymnasium import spaces
from torch import Tensor

from agents.demonstrations import Demonstrations
from agents.imitation.base import AgentWrapper
from agents.imitation.examples import Examples, gradient_step
from agents.imitation.offline import Epochs, load_demonstrations, n_steps_for
from agents.loop import RunChunk
from agents.maths import information
from agents.maths.distributions import Categorical, Distribution
from agents.rollout import Metrics
from agents.settings.ranges import Count
from agents.settings.values import ConfigError
from agents.training import AnyHook
from envs.spaces import Actions


def negative_log_likelihood(pi: Distribution, action: Tensor) -> Tensor:
    """−mean ln π(a|s): for discrete actions the cross-entropy H(δ_a, π). action: as `Rollout.action`."""
    if isinstance(pi, Categorical):
        return information.cross_entropy_loss(pi.logits, action, validate=False)
    return -pi.log_prob(action).mean()


def _check_bounds(demonstrations: Demonstrations, actions: Actions) -> None:
    """Raises ConfigError if an action is out of bounds, where the density of a squashed policy is zero."""
    if not isinstance(actions, spaces.Box):
        return
    action = demonstrations.action.astype(np.float32, copy=False)
    low, high = (bound.reshape(-1).astype(np.float32) for bound in (actions.low, actions.high))  # as actions are
    rows = np.nonzero((action < low) | (action > high))[0]
    if len(rows):
        raise ConfigError(f"squash_output: the recorded action in row {rows[0]} lies outside the bounds; leave it off")


@dataclass(eq=False, kw_only=True)
class Clone(AgentWrapper):
    """Loss: −mean ln π(a|s) − ent_coef · mean H(π(·|s)) over minibatches of recorded transitions.

    Early stopping: training ends once the likelihood of held-out episodes has not risen for `patience` epochs, and
    keeps the policy of the best epoch. No environment is stepped; `total_timesteps` counts transitions. V_φ is not
    trained.
    Source: Pomerleau 1991, "Efficient training of artificial neural networks for autonomous navigation".
    """

    demonstrations: str = ""  # file, written by `python -m rl.demos`
    episodes: Count | None = None  # number of episodes used, in recorded order; null uses all
    batch_size: Count = 64  # transitions per update; a multiple of num_envs
    validation_fraction: float = 0.2  # fraction of the episodes held out; 0 disables early stopping
    patience: Count = 20  # epochs without improvement before training ends

    name = "clone"
    changeable = ()
    obstacle = "cloning learns from recorded transitions"

    def prepare(self) -> None:
        agent = self.agent
        if agent.gru_size is not None:
            raise ConfigError("cloning shuffles transitions, so it cannot train a recurrent policy: leave gru_size out")
        for name in ("normalize_rewards", "use_sde"):
            if getattr(agent, name):
                raise ConfigError(f"cloning uses no rewards and samples no actions: leave {name} out")
        demonstrations = load_demonstrations(agent, self.demonstrations, self.episodes)
        if agent.squash_output:
            _check_bounds(demonstrations, agent.worlds.policy_action_space)
        self.n_steps = n_steps_for(self.batch_size, self.worlds.num_envs)
        self.epochs = Epochs(self, demonstrations, self.batch_size, self.validation_fraction, self.patience)

    @property
    def chunk(self) -> RunChunk:
        return self.epochs.chunk

    def learn_from(self, batch: Examples, progress: float) -> Metrics:
        """One gradient step."""
        pi = batch.training_policy(self.agent)
        loss = negative_log_likelihood(pi, batch.action)
        metrics = dict(gradient_step(self.agent, batch, pi, loss, progress))
        if isinstance(pi, Categorical):
            metrics["train/accuracy"] = (pi.mode() == batch.action).float().mean()
        return metrics

    def held_out_loss(self, batch: Examples) -> Tensor:
        """−mean ln π(a|s)."""
        return negative_log_likelihood(batch.policy(self.agent), batch.action)

    def run_loop(self, until: int, hooks: Sequence[AnyHook], log_interval: int) -> None:
        """Trains on transitions; ends with the best epoch's policy."""
        self.epochs.run(super().run_loop, until, hooks, log_interval)

    def summary(self) -> str:
        return f"learns from {self.epochs.describe()} of {self.demonstrations}"
