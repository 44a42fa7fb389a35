"""`BaseLearner`: shared by the learners of all actor-critic algorithms."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Generator, Tensor

from agents.devices import moved, prepare
from agents.maths.distributions import Distribution
from agents.maths.normalize import ObservationNormalizer, RewardNormalizer, scale_and_clip
from agents.networks.actor_critic import Policy, Value, encode
from agents.networks.contents import Contents
from agents.networks.forward import Forward, Inputs, Seen, policy_and_value
from agents.networks.heads import StateDependentNoise
from agents.networks.modes import has_modes, training_mode
from agents.parts import Parts, load_state, state_of
from agents.ranks import ALONE, Ranks
from agents.rollout import Rollout
from agents.settings.actor_critic import ActorCriticSettings
from agents.settings.values import ConfigError
from envs.spaces import Flat


@dataclass(eq=False, kw_only=True)
class BaseLearner(ABC):
    """π_θ, V_φ and everything that training changes. All engines of an agent share one learner.

    The networks are in evaluation mode, except in `training_pass`. A rollout to learn from must lie on `device`.
    """

    settings: ActorCriticSettings
    obs_space: Flat
    policy: Policy
    value: Value
    device: torch.device  # of networks, optimizer and normalizers; actions are drawn on the CPU
    obs_norm: ObservationNormalizer | None
    reward_norm: RewardNormalizer | None
    generator: Generator  # draws actions in training
    noise: StateDependentNoise | None = None  # of gSDE
    ranks: Ranks = ALONE  # ranks that train it together

    parts: ClassVar[tuple[str, ...]]  # attributes that training changes, in the checkpoint's order

    def __post_init__(self) -> None:
        prepare(self.device)

    if not TYPE_CHECKING:  # with it, mypy would accept any attribute

        def __setattr__(self, name: str, value: object) -> None:
            """Raises ConfigError on replacing an attribute, since engine and optimizer hold references to it."""
            if name in type(self).__dataclass_fields__ and name != "generator" and name in vars(self):
                raise ConfigError(
                    f"learner.{name} of a built agent cannot be replaced, since the engine holds it: "
                    "change what is inside, or load a state_dict"
                )
            super().__setattr__(name, value)

    @abstractmethod
    def obstacle(self) -> str:
        """Why the compiled kernels cannot train this learner; empty if they can."""

    @property
    def threads(self) -> int:
        return self.settings.threads

    @cached_property
    def contents(self) -> Contents:
        """Modules and parameters of π_θ and V_φ."""
        return Contents(self.policy, self.value)

    def policy_for(self, deterministic: bool) -> Policy:
        """The policy that acts."""
        return self.policy

    def encoded(self, obs: Tensor) -> Tensor:
        """The networks' input, float32[..., D]. obs: [..., *shape], as the environment returned it."""
        x = encode(self.obs_space, moved(obs, self.device))
        return self.obs_norm(x) if self.obs_norm else x.to(torch.get_default_dtype())

    def training_pass(self, inputs: Seen) -> tuple[Distribution, Tensor]:
        """π_θ and V_φ at observations, differentiable, in training mode."""
        with training_mode(self.contents, self.generator, inputs.x.shape[:-1].numel()):
            return policy_and_value(self.policy, self.value, inputs)

    def forward(self, inputs: Inputs) -> Forward:
        """π_θ and V_φ at a rollout's observations: in training mode, differentiable, and in evaluation mode."""
        pi, v = self.training_pass(inputs)
        if not has_modes(self.contents):
            return Forward(pi, v, pi, v.detach())
        with torch.no_grad():
            return Forward(pi, v, *policy_and_value(self.policy, self.value, inputs))

    def scaled_reward(self, batch: Rollout) -> Tensor:
        """The rewards of a rollout, float32[T, N], scaled and clipped."""
        reward = batch.reward.to(torch.get_default_dtype())
        return scale_and_clip(reward, self.settings.reward_scale, self.settings.reward_clip)

    def on_reset(self) -> None:
        """Discards the discounted returns of interrupted episodes."""
        if self.reward_norm:
            self.reward_norm.returns.zero_()

    def describe(self) -> dict[str, str]:
        """Title → text: part of the summary that a run prints before training."""
        return {}

    def state_dict(self) -> dict[str, object]:
        """Name → state of everything that training changes."""
        return state_of(self._parts())

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Raises KeyError if the state lacks a part, Misfit if a part does not fit."""
        load_state(self._parts(), state)

    def _parts(self) -> Parts:
        return {name: part for name in self.parts if (part := getattr(self, name)) is not None}
