"""`Learner`: the networks and training state on which A2C's engines work."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Generator, Tensor

from agents.base_learner import BaseLearner
from agents.devices import chosen_device, moved
from agents.engines import network_obstacle
from agents.maths.distributions import Distribution
from agents.maths.normalize import ObservationNormalizer, RewardNormalizer
from agents.maths.returns import standardized
from agents.maths.schedules import described
from agents.networks.actor_critic import encode, input_size
from agents.networks.build import build_networks, normalized_mask
from agents.networks.contents import Contents
from agents.networks.forward import Inputs, Objective, inputs_of
from agents.networks.heads import StateDependentNoise
from agents.networks.modes import has_modes
from agents.optimizer import ConstrainedOptimizer, check_target_entropy
from agents.ranks import current
from agents.rollout import Metrics, Rollout
from agents.settings.a2c import A2CSettings, scheduled
from agents.settings.values import ConfigError
from agents.shift import Shift
from envs import Worlds
from envs.spaces import Actions
from envs.streams import stream_generator


@dataclass(eq=False, kw_only=True)
class Learner(BaseLearner):
    """The networks and training state on which A2C's engines work."""

    settings: A2CSettings
    actions: Actions  # the policy's: choices count from 0
    optimizer: ConstrainedOptimizer

    parts = ("policy", "value", "optimizer", "noise", "obs_norm", "reward_norm", "generator")

    @classmethod
    def build(cls, settings: A2CSettings, worlds: Worlds, generator: Generator) -> Self:
        """A learner with new networks. generator: for their parameters. Raises ConfigError on invalid settings."""
        obs_space, actions = worlds.obs_space, worlds.policy_action_space
        if settings.normalize_advantage and worlds.total_envs * settings.n_steps == 1:
            raise ConfigError("normalize_advantage needs more than one step per update: raise num_envs or n_steps")
        check_target_entropy(settings.target_entropy, actions)
        policy, value = build_networks(settings, worlds.env_obs_space, obs_space, actions, generator)
        device = chosen_device(settings.device, policy.trunk.sees_images)
        policy, value = policy.to(device), value.to(device)
        if not current().alone and (has_modes(Contents(policy, value)) or device.type != "cpu"):
            raise ConfigError("torchrun: dropout, batch normalization and devices other than the CPU need one process")
        frequency = settings.n_steps if settings.sde_sample_freq < 0 else settings.sde_sample_freq
        sde_weights = policy.log_std if settings.use_sde else None
        bound, obs_norm, reward_norm = settings.clip_normalized, None, None
        if settings.normalize_observations:
            part = normalized_mask(settings, worlds.env_obs_space, obs_space)
            obs_norm = ObservationNormalizer(input_size(obs_space), bound, part, device)
        if settings.normalize_rewards:
            reward_norm = RewardNormalizer(worlds.total_envs, settings.gamma, bound, device)
        return cls(
            settings=settings,
            obs_space=obs_space,
            actions=actions,
            device=device,
            policy=policy,
            value=value,
            optimizer=ConstrainedOptimizer(policy, value, settings, current()),
            noise=None if sde_weights is None else StateDependentNoise(frequency, sde_weights.shape),
            obs_norm=obs_norm,
            reward_norm=reward_norm,
            generator=stream_generator(settings.seed, "actions"),
            ranks=current(),
        )

    def inputs(self, batch: Rollout) -> Inputs:
        """The inputs of an update on a rollout, for the networks and the critic; changes no statistics."""
        return inputs_of(batch, self.encoded(batch.obs), self.encoded(batch.next_obs), self._reward(batch))

    def observe_rewards(self, batch: Rollout) -> None:
        """Updates the reward normalizer; called before `inputs`, so that a reward counts in its own statistics."""
        if self.reward_norm:
            reward, ended = self.ranks.gather(self.scaled_reward(batch)), self.ranks.gather(batch.ended)
            self.reward_norm.update(reward, ended)

    def descend(self, objective: Objective, batch: Rollout, progress: float = 0.0) -> Metrics:
        """One `step` on the loss, then `observe`."""
        metrics = self.step(objective, batch, progress)
        self.observe(batch)
        return metrics

    def step(self, objective: Objective, batch: Rollout, progress: float = 0.0) -> Metrics:
        """One optimizer step on the loss; then updates the adaptive coefficients. Returns the metrics.

        The policy shift KL(π_before ‖ π_after) is measured after the step, on the rollout's states; NaN unless the
        rollout or a setting asks for it. Raises FloatingPointError if the gradient is not finite (no parameter has
        changed then), or if the policy moved infinitely far.
        """
        shift = self.shift(batch, objective.inputs)
        metrics = self.optimizer.step(objective.loss, progress, shift, batch.measure) | shift.js()
        of_loss = self.over_ranks(objective.metrics)
        self.optimizer.adapt_entropy_coefficient(of_loss["train/entropy"], progress)
        return {**metrics, **of_loss}

    def standardized(self, advantage: Tensor) -> Tensor:
        """(Â − mean) / (s + 1e-8), over the advantages of all ranks."""
        return standardized(advantage) if self.ranks.alone else self.ranks.standardized(advantage)

    def over_ranks(self, metrics: Metrics, share: float | None = None) -> Metrics:
        """The means over the rows of all ranks. share: this rank's share of the rows, see `Ranks.mean`."""
        if self.ranks.alone:
            return metrics
        means = self.ranks.mean(torch.stack([*metrics.values()]), share)
        return dict(zip(metrics, means.unbind(), strict=True))

    def shift(self, batch: Rollout, inputs: Inputs) -> Shift:
        """Divergences of π_θ from the policy that acted, on the rollout's states."""

        def now() -> Distribution:
            pi: Distribution = self.policy(inputs.x, inputs.recurrent, inputs.legal)
            return pi

        return Shift(self.policy, batch.behavior, now, self.ranks)

    def observe(self, batch: Rollout) -> None:
        """Ends an update: then the observation normalizer learns, so that π_before is the policy that acted, and gSDE
        draws new noise, so that each rollout is sampled from its policy."""
        if self.noise:
            self.noise.steps = 0
        if self.obs_norm:
            self.obs_norm.update(self.ranks.gather(encode(self.obs_space, moved(batch.obs, self.device))))

    def _reward(self, batch: Rollout) -> Tensor:
        reward = self.scaled_reward(batch)
        return self.reward_norm(reward) if self.reward_norm else reward

    def obstacle(self) -> str:
        """Why the compiled kernels cannot train this learner; empty if they can."""
        settings = self.settings
        for name in ("optimizer", "optimizer_kwargs"):
            if getattr(settings, name):
                return f"it steps by RMSprop or Adam as they are, {name} is set"
        if settings.activation not in ("tanh", "relu", "leaky_relu"):
            return "it has tanh, ReLU and leaky ReLU units"
        if functions := [name for name in self._scheduled if callable(getattr(settings, name))]:
            return f"it calls no Python function, {functions[0]} is one; linear, cosine and exponential are compiled"
        if settings.use_sde:
            return "it has Gaussians without gSDE, use_sde is true"
        return network_obstacle(settings, self.policy, self.device)

    @cached_property
    def _scheduled(self) -> tuple[str, ...]:
        return scheduled(type(self.settings))

    def copy_networks(self, source: "Learner", what: str) -> None:
        """Copies parameters and observation statistics. Raises ConfigError, starting with `what`, if shapes differ."""
        pairs = ((self.policy, source.policy), (self.value, source.value))
        shapes = [[{key: x.shape for key, x in net.state_dict().items()} for net in pair] for pair in pairs]
        if any(own != other for own, other in shapes):
            raise ConfigError(f"{what} have other shapes")
        for own, other in pairs:
            own.load_state_dict(other.state_dict())
        if self.obs_norm and source.obs_norm:
            self.obs_norm.load_state_dict(source.obs_norm.state_dict())

    def describe(self) -> dict[str, str]:
        """Title → text: part of the summary that a run prints before training."""
        settings, size = self.settings, sum(p.numel() for net in (self.policy, self.value) for p in net.parameters())
        normalized = [what for what, norm in (("observations", self.obs_norm), ("rewards", self.reward_norm)) if norm]
        return {
            "normalized": " and ".join(normalized) or "nothing",
            "networks": f"{self._networks()}, {size:,} parameters",
            "optimizer": f"{type(self.optimizer.inner).__name__}, learning rate {described(settings.learning_rate)} "
            f"(critic × {described(settings.critic_lr_scale)})",
        }

    def _networks(self) -> str:
        settings, trunk, shared = self.settings, self.policy.trunk, "π_θ and V_φ share nothing"
        hidden = " and ".join(dict.fromkeys("-".join(map(str, widths)) or "no" for widths in settings.widths))
        if self.value.shares_trunk:
            shared = f"π_θ and V_φ share {'all but the last layer' if trunk.shared else 'the feature extractor'}"
        before = [] if trunk.encoder is None else [trunk.encoder.describe()]
        before += [] if trunk.memory is None else [f"a GRU of {trunk.memory.size} units"]
        return "; ".join([shared, *before, f"{hidden} hidden {settings.activation} units each"])
