"""Streaming actor-critic: TD(λ) with eligibility traces, from one environment, one step and one update at a time."""

from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Generator, Tensor

from agents.actor_critic import ActorCritic
from agents.engines import Engine
from agents.maths.distributions import Distribution
from agents.maths.returns import td_error
from agents.networks.forward import legal_actions
from agents.optimizer import bounded
from agents.rollout import Metrics, Rollout
from agents.settings.stream import StreamSettings
from agents.stream_learner import StreamLearner, td_error_failure


class StreamAC(StreamSettings, ActorCritic):
    """Stream AC(λ): after every step, both networks move along their eligibility traces.

    Its arguments are the fields of `agents.settings.stream.StreamSettings`.
    Source: Elsayed, Vasan & Mahmood 2024, "Streaming deep reinforcement learning finally works".
    """

    name: ClassVar[str] = "stream"
    learner: StreamLearner

    def new_learner(self, generator: Generator) -> StreamLearner:
        return StreamLearner.build(self, self.worlds, generator)

    def fused_engine(self) -> Engine:
        from agents.fused.engine import Fused  # imports Numba
        from agents.fused.stream_shared import StreamShared

        return Fused(self.learner, StreamShared(self.learner))

    def learn_from(self, batch: Rollout, progress: float = 0.0) -> Metrics:
        """δ = r + γ (1 − terminated) V(s′) − V(s); e_V ← γλ e_V + ∇V(s); e_π ← γλ e_π + ∇ln π(a|s); then
        φ ← φ + step · δ e_V and θ ← θ + step · (δ e_π + β ∇H), with the steps of a rule (`agents.step_rules`).
        """
        learner = self.learner
        x, legal = learner.encoded(batch.obs), legal_actions(batch)
        learner.observe(batch)
        final = batch.terminated if self.truncation == "bootstrap" else batch.ended
        v, pi = self.value(x), self.policy(x, legal=legal)
        with torch.no_grad():
            v_next = self.value(learner.encoded(batch.next_obs))
            delta = td_error(v, learner.reward(batch), self.gamma * (~final), v_next).squeeze()
        if not bool(torch.isfinite(delta)):
            raise td_error_failure(float(delta))
        entropy = pi.entropy().squeeze()
        log_p, bonus = pi.log_prob(batch.action).squeeze(), self.ent_coef * entropy
        value, policy = learner.value_traces, learner.policy_traces
        value.accumulate(torch.autograd.grad(v.squeeze(), value.parameters))
        push: Sequence[Tensor] = ()
        if self.entropy_form == "td_error":
            log_p = log_p + delta.sign() * bonus
        elif self.ent_coef > 0:
            push = torch.autograd.grad(bonus, policy.parameters, retain_graph=True)
        policy.accumulate(torch.autograd.grad(log_p, policy.parameters))
        steps = {"train/value_step": value.step(delta)}

        def move() -> None:
            steps["train/policy_step"] = policy.step(delta, push)

        kl = bounded(policy.parameters, move, self._shift(pi, x, legal), self.max_policy_shift)
        learner.finish(batch)
        numbers = {"train/td_error": delta, "train/value": v.detach().squeeze(), "train/entropy": entropy.detach()}
        return {"train/policy_shift_kl": kl, **steps, **numbers}

    def _shift(self, before: Distribution, x: Tensor, legal: Tensor | None) -> Callable[[], Tensor]:
        """KL(π_before ‖ π_now) at s, to be called without gradients."""
        return lambda: before.kl(self.policy(x, legal=legal)).mean().detach()
