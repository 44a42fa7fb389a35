"""REINFORCE with a baseline, as a user might write it outside of the package."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.optim import Adam

from agents import Algorithm
from agents.maths.distributions import Categorical
from agents.maths.returns import gae
from agents.networks.actor_critic import encode, input_size, mlp
from agents.rollout import NO_CONTEXT, Array, Choice, Context, Metrics, Rollout
from agents.settings.values import ConfigError


@dataclass(eq=False)
class Reinforce(Algorithm):
    """∇ ln π(a|s) (G − V(s)), where G is the discounted return within the rollout. For Discrete actions."""

    learning_rate: float = 5e-3
    gamma: float = 0.99
    n_steps: int = 64

    def build(self, generator: Generator) -> None:
        actions = getattr(self.worlds.policy_action_space, "n", None)
        if actions is None:
            raise ConfigError(f"REINFORCE here needs Discrete actions, got {self.worlds.policy_action_space}")
        sizes = [input_size(self.obs_space), 32]
        self.policy: nn.Sequential = mlp([*sizes, int(actions)], "tanh", 0.01, generator)
        self.value: nn.Sequential = mlp([*sizes, 1], "tanh", 1.0, generator)
        self.optimizer = Adam([*self.policy.parameters(), *self.value.parameters()], self.learning_rate)
        self.generator = Generator().manual_seed(self.seed)

    @torch.no_grad()
    def act(
        self, obs: Array, deterministic: bool = False, generator: Generator | None = None, context: Context = NO_CONTEXT
    ) -> Choice:
        pi = self._distribution(torch.as_tensor(obs))
        return Choice(pi.mode() if deterministic else pi.sample(generator or self.generator), pi.logits)

    def update(self, batch: Rollout, progress: float = 0.0) -> Metrics:
        pi, v = self._distribution(batch.obs), self.value(encode(self.obs_space, batch.obs)).squeeze(-1)
        returns = gae(batch.reward, batch.ended, self.gamma)  # Σ γᵏ r within the episode
        policy_loss = -(pi.log_prob(batch.action) * (returns - v).detach()).mean()
        value_loss = (returns - v).square().mean()
        self.optimizer.zero_grad()
        (policy_loss + value_loss).backward()
        self.optimizer.step()
        return {"train/policy_loss": policy_loss.detach(), "train/value_loss": value_loss.detach()}

    def _distribution(self, obs: Tensor) -> Categorical:
        return Categorical(self.policy(encode(self.obs_space, obs)))
