"""A2C: advantage actor-critic, from scratch. Single-step TD by default; n-step and GAE generalize it."""

from pathlib import Path

import torch
from torch import Generator, Tensor

from agents.actor_critic import ActorCritic
from agents.engines import Engine
from agents.learner import Learner
from agents.maths.distributions import Distribution
from agents.maths.returns import explained_variance, gae, td_error
from agents.maths.schedules import value_at
from agents.networks.forward import Inputs, Objective, next_value, policy_and_value
from agents.ranks import Ranks
from agents.rollout import Metrics, Rollout
from agents.settings.a2c import A2CSettings
from agents.settings.values import ConfigError


class A2C(A2CSettings, ActorCritic):
    """Policy π_θ and value V_φ, updated together after every `n_steps` steps of `num_envs` environments.

    Its arguments are the fields of `agents.settings.a2c.A2CSettings`: the environment, and settings by keyword.
    A subclass that changes `objective` or `advantages` runs on the torch engine unless it declares `engines`.
    Raises ValueError on a setting out of range, and as `envs.make` does.

    >>> agent = A2C("CartPole-v1", seed=0, n_steps=5).learn(400)
    >>> agent.loop.step
    400
    >>> action, _ = agent.predict([0.0, 0.5, 0.1, 0.5], deterministic=True)
    >>> int(action) in (0, 1)
    True
    """

    name = "a2c"
    engines = ("fused", "torch")
    learner: Learner

    def new_learner(self, generator: Generator) -> Learner:
        return Learner.build(self, self.worlds, generator)

    def check_ranks(self, ranks: Ranks) -> None:
        unfit = {"use_sde": self.use_sde, "gru_size": self.gru_size, "on_crash=restart": self.on_crash == "restart"}
        chosen = [name for name, given in unfit.items() if given]
        if chosen and not ranks.alone:
            raise ConfigError(f"torchrun: an agent with {chosen[0]} learns in one process: leave one of them out")

    def fused_engine(self) -> Engine:
        from agents.fused.engine import Fused  # imports Numba
        from agents.fused.shared import Shared

        return Fused(self.learner, Shared(self.learner))

    # --- the algorithm ---

    def learn_from(self, batch: Rollout, progress: float = 0.0) -> Metrics:
        """One gradient step on the `objective`, in torch; the torch engine's `update`."""
        self.learner.observe_rewards(batch)
        return self.learner.descend(self.objective(batch, progress), batch, progress)

    def objective(self, batch: Rollout, progress: float = 0.0) -> Objective:
        """−mean(ln π(a|s) Â) + vf_coef · mean((target − V)²) − ent_coef · mean H(π), with δ the TD error,
        Â = GAE(δ) and target = V + Â, neither differentiated. Source: Mnih et al. 2016, algorithm S3.

        Its terms are `policy_loss` and `value_loss`; a subclass may change these, `advantages`, or the loss as a whole.
        """
        inputs, ranks = self.learner.inputs(batch), self.learner.ranks
        pi, v, _, baseline = self.learner.forward(inputs)
        advantage, target = self.advantages(batch, inputs, baseline)
        if self.normalize_advantage:
            advantage = self.learner.standardized(advantage)
        policy_loss, value_loss = self.policy_loss(batch, pi, advantage), self.value_loss(v, target)
        entropy = pi.entropy().mean()
        ent_coef = self.learner.optimizer.entropy_coefficient(progress)
        loss = policy_loss + value_at(self.vf_coef, progress) * value_loss - ent_coef * entropy
        metrics = {
            "train/policy_loss": policy_loss.detach(),
            "train/value_loss": value_loss.detach(),
            "train/entropy": entropy.detach(),
            "train/ent_coef": torch.tensor(ent_coef),
            "train/explained_variance": explained_variance(ranks.gather(v.detach()), ranks.gather(target)),
        }
        return Objective(loss, pi, inputs, metrics)

    def policy_loss(self, batch: Rollout, pi: Distribution, advantage: Tensor) -> Tensor:
        """−mean(ln π(a|s) Â), a scalar. pi: π_θ at the rollout's observations; advantage: float32[T, N]."""
        return -(pi.log_prob(batch.action) * advantage).mean()

    def value_loss(self, v: Tensor, target: Tensor) -> Tensor:
        """mean((target − V)²), a scalar. Both float32[T, N]; v is differentiable."""
        return (target - v).square().mean()

    @torch.no_grad()
    def advantages(self, batch: Rollout, inputs: Inputs, v: Tensor) -> tuple[Tensor, Tensor]:
        """Â and the target of V_φ, float32[T, N]: generalized advantage estimation.

        v: V_φ at the rollout's observations, float32[T, N], in evaluation mode.
        """
        v_next = next_value(self.value, v, inputs, batch)
        delta = td_error(v, inputs.reward, self.gamma * (~batch.terminated), v_next)
        advantage = gae(delta, batch.ended, self.gamma * self.gae_lambda)
        return advantage, v + advantage

    @torch.no_grad()
    def estimate(self, batch: Rollout) -> tuple[Tensor, Tensor]:
        """Â and the target of V_φ for a rollout, float32[T, N]; changes no state."""
        inputs = self.learner.inputs(batch)
        return self.advantages(batch, inputs, policy_and_value(self.policy, self.value, inputs)[1])

    # --- the interface ---

    def warm_start(self, run: str | Path) -> None:
        source = A2C.load_source(run)
        for name in ("net_arch", "activation", "network", "normalize_observations", "squash_output"):
            own, other = getattr(self, name), getattr(source, name)
            if own != other:
                raise ConfigError(f"warm_start: {name} is {other} in {run} and {own} here; make them equal")
        self.learner.copy_networks(source.learner, f"warm_start: the networks of {run}, trained on {source.env},")
