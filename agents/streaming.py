"""Streaming actor-critic: TD(λ) with eligibility traces; one environment, and one update per step."""

from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Generator, Tensor

from agents.actor_critic import ActorCritic
from agents.engines import Engine
from agents.maths.distributions import DISCRETE, Distribution
from agents.maths.returns import td_error
from agents.networks.forward import Inputs, inputs_of
from agents.rollout import Metrics, Rollout
from agents.settings.stream import StreamSettings
from agents.settings.values import ConfigError
from agents.shift import bounded
from agents.stream_learner import StreamLearner, policy_failure, td_error_failure


class StreamAC(StreamSettings, ActorCritic):
    """Stream AC(λ): after every step, both networks move along their eligibility traces.

    Its arguments are the fields of `agents.settings.stream.StreamSettings`. A subclass runs on the torch engine unless
    it declares `engines`.
    Source: Elsayed, Vasan & Mahmood 2024, "Streaming deep reinforcement learning finally works".
    """

    name: ClassVar[str] = "stream"
    engines = ("fused", "torch")
    learner: StreamLearner

    def new_learner(self, generator: Generator) -> StreamLearner:
        if (given := self.worlds.total_envs) > 1:
            raise ConfigError(f"stream learns from one environment, this vector environment has {given}: a2c takes it")
        return StreamLearner.build(self, self.worlds, generator)

    def fused_engine(self) -> Engine:
        from agents.fused.engine import Fused  # imports Numba
        from agents.fused.stream_shared import StreamShared

        return Fused(self.learner, StreamShared(self.learner))

    def update(self, batch: Rollout, progress: float = 0.0) -> Metrics:
        """One update. Raises ConfigError unless the rollout has one step."""
        if batch.reward.numel() != 1:
            raise ConfigError(f"a stream learns from one step at a time, got {batch.reward.numel()}: collect 1 step")
        return super().update(batch, progress)

    def learn_from(self, batch: Rollout, progress: float = 0.0) -> Metrics:
        """δ = r + γ (1 − terminated) V(s′) − V(s); e_V ← γλ e_V + ∇V(s); e_π ← γλ e_π + ∇ln π(a|s); then
        φ ← φ + step · δ e_V and θ ← θ + step · (δ e_π + β ∇H), with the steps of a step rule (`agents.step_rules`).
        """
        learner = self.learner
        x = learner.encoded(batch.obs)
        learner.observe(batch)
        inputs = inputs_of(batch, x, learner.encoded(batch.next_obs), learner.reward(batch))
        pi, v, acting, baseline = learner.forward(inputs)
        final = batch.terminated if self.truncation == "bootstrap" else batch.ended
        with torch.no_grad():
            v_next = self.value(inputs.x_next)
            delta = td_error(baseline, inputs.reward, self.gamma * (~final), v_next).squeeze()
        if not bool(torch.isfinite(delta)):
            raise td_error_failure(float(delta))
        entropy = pi.entropy().squeeze()
        log_p, bonus = pi.log_prob(batch.action).squeeze(), self.ent_coef * entropy
        value, policy = learner.value_traces, learner.policy_traces
        value.accumulate(value.gradients(v.squeeze()))
        push: Sequence[Tensor] = ()
        if self.entropy_form == "td_error":
            log_p = log_p + delta.sign() * bonus
        elif self.ent_coef > 0:
            push = policy.gradients(bonus)
        policy.accumulate(policy.gradients(log_p))
        steps = {"train/value_step": value.step(delta)}

        def move() -> None:
            steps["train/policy_step"] = policy.step(delta, push, self._attainable(pi, batch.action))

        kl = bounded(policy.parameters, move, self._shift(acting, inputs), self.max_policy_shift)
        if not bool(torch.isfinite(kl)):
            raise policy_failure()
        learner.finish(batch)
        numbers = {"train/td_error": delta, "train/value": v.detach().squeeze(), "train/entropy": entropy.detach()}
        return {"train/policy_shift_kl": kl, **steps, **numbers}

    def _attainable(self, pi: Distribution, action: Tensor) -> Tensor | None:
        """The share of an intentional step by which ln π(a|s) can still rise; None: all of it."""
        if self.step_rule != "intentional" or not self.attainable_intent or not isinstance(pi, DISCRETE):
            return None
        return pi.relative_score(action).clamp_max(1.0).squeeze()

    def _shift(self, before: Distribution, inputs: Inputs) -> Callable[[], Tensor]:
        """A function that returns KL(π_before ‖ π_now) at s; call it without gradients."""
        return lambda: before.kl(self.policy(inputs.x, legal=inputs.legal)).mean().detach()
