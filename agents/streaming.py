"""Streaming actor-critic: TD(λ) with eligibility traces, from one environment, one step and one update at a time."""

from typing import ClassVar

import torch
from torch import Generator, Tensor

from agents.agent import Algorithm
from agents.maths.normalize import ObservationNormalizer, RewardNormalizer, scale_and_clip
from agents.maths.returns import td_error
from agents.networks.actor_critic import encode, input_size
from agents.networks.build import build_networks, normalized_mask
from agents.networks.forward import legal_actions, policy_step
from agents.optimizer import bounded
from agents.rollout import NO_CONTEXT, Array, Choice, Context, Metrics, Rollout
from agents.settings.stream import StreamSettings
from agents.traces import Traces
from envs.streams import stream_generator


class StreamAC(StreamSettings, Algorithm):
    """Stream AC(λ): after every step, both networks move along their eligibility traces.

    δ = r + γ (1 − terminated) V(s′) − V(s); e_V ← γλ e_V + ∇V(s); e_π ← γλ e_π + ∇[ln π(a|s) + β sign(δ) H(π(·|s))];
    then w ← w + step · δ · e for each network, with the step of ObGD (`agents.traces`). Traces are 0 after an episode.
    Its arguments are the fields of `agents.settings.stream.StreamSettings`.
    Source: Elsayed, Vasan & Mahmood 2024, "Streaming deep reinforcement learning finally works".
    """

    name: ClassVar[str] = "stream"

    def build(self, generator: Generator) -> None:
        worlds, bound = self.worlds, self.clip_normalized
        space, actions = worlds.env_obs_space, worlds.policy_action_space
        self.policy, self.value = build_networks(self, space, self.obs_space, actions, generator, softplus_std=True)
        self.obs_norm = self.reward_norm = None
        if self.normalize_observations:
            part = normalized_mask(self, space, self.obs_space)
            self.obs_norm = ObservationNormalizer(input_size(self.obs_space), bound, part)
        if self.normalize_rewards:
            self.reward_norm = RewardNormalizer(1, self.gamma, bound)
        self.policy_traces = Traces([*self.policy.parameters()], self.policy_overshoot, self.step_size)
        self.value_traces = Traces([*self.value.parameters()], self.value_overshoot, self.step_size)
        self.generator = stream_generator(self.seed, "actions")

    # --- the algorithm ---

    @torch.no_grad()
    def act(
        self, obs: Array, deterministic: bool = False, generator: Generator | None = None, context: Context = NO_CONTEXT
    ) -> Choice:
        pi, _, _ = policy_step(self.policy, self.encoded(torch.as_tensor(obs)), context)
        return Choice(pi.mode() if deterministic else pi.sample(generator or self.generator), pi.raw)

    def update(self, batch: Rollout, progress: float = 0.0) -> Metrics:
        """Learns from one transition. Raises FloatingPointError if δ is not finite, before any parameter changes."""
        x, legal, ended = self.encoded(batch.obs), legal_actions(batch), bool(batch.ended)
        final = batch.terminated if self.truncation == "bootstrap" else batch.ended
        v = self.value(x)
        with torch.no_grad():
            v_next = self.value(self.encoded(batch.next_obs))
            delta = td_error(v, self._reward(batch), self.gamma * (~final), v_next).squeeze()
        if not bool(torch.isfinite(delta)):
            raise FloatingPointError(f"the TD error is {float(delta):g}; lower step_size, or normalize the rewards")
        pi = self.policy(x, legal=legal)
        entropy = pi.entropy().squeeze()
        target = pi.log_prob(batch.action).squeeze() + self.ent_coef * delta.sign() * entropy
        decay = self.gamma * self.trace_decay
        self.value_traces.accumulate(torch.autograd.grad(v.squeeze(), self.value_traces.parameters), decay)
        self.policy_traces.accumulate(torch.autograd.grad(target, self.policy_traces.parameters), decay)
        metrics = self._move(delta, x, legal, batch.behavior)
        if ended:
            self.value_traces.reset()
            self.policy_traces.reset()
        if self.obs_norm:
            self.obs_norm.update(encode(self.obs_space, batch.obs))
        return {
            **metrics,
            "train/td_error": delta,
            "train/value": v.detach().squeeze(),
            "train/entropy": entropy.detach(),
        }

    def _move(self, delta: Tensor, x: Tensor, legal: Tensor | None, behavior: Tensor) -> Metrics:
        """One step of each network. The policy shift KL(π_before ‖ π_after) at s is measured, and bounded if asked."""
        before = self.policy.distribution(behavior)
        steps = {"train/value_step": self.value_traces.step(delta)}

        def move() -> None:
            steps["train/policy_step"] = self.policy_traces.step(delta)

        def shift() -> Tensor:
            return before.kl(self.policy(x, legal=legal)).mean()

        kl = bounded(self.policy_traces.parameters, move, shift, self.max_policy_shift)
        return {"train/policy_shift_kl": kl, **steps}

    def encoded(self, obs: Tensor) -> Tensor:
        """The networks' input, float32[..., D]. obs: [..., *shape], as the environment returned it."""
        x = encode(self.obs_space, obs)
        return self.obs_norm(x) if self.obs_norm else x.to(torch.get_default_dtype())

    def _reward(self, batch: Rollout) -> Tensor:
        reward = scale_and_clip(batch.reward.to(torch.get_default_dtype()), self.reward_scale, self.reward_clip)
        if self.reward_norm is None:
            return reward
        self.reward_norm.update(reward, batch.ended)
        return self.reward_norm(reward)

    # --- the interface ---

    def on_reset(self) -> None:
        """Discards the traces and the discounted return of an interrupted episode."""
        self.policy_traces.reset()
        self.value_traces.reset()
        if self.reward_norm:
            self.reward_norm.returns.zero_()
