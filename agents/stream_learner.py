"""`StreamLearner`: the networks and training state on which the engines of streaming actor-critic work."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from gymnasium import spaces
from torch import Generator, Tensor, nn

from agents.averages import PolicyAverage
from agents.base_learner import BaseLearner
from agents.devices import chosen_device
from agents.engines import network_obstacle
from agents.maths.normalize import ObservationNormalizer, RewardNormalizer
from agents.networks.actor_critic import Policy, encode, input_size
from agents.networks.build import build_networks, normalized_mask
from agents.rollout import Rollout
from agents.settings.stream import StreamSettings
from agents.settings.values import ConfigError
from agents.step_rules import AdaptiveObGD, Intentional, ObGD, StepRule
from agents.traces import Traces
from envs import Worlds, saved
from envs.streams import stream_generator


def td_error_failure(delta: float) -> FloatingPointError:
    return FloatingPointError(f"the TD error is {delta:g} and was not learned from; normalize the rewards")


def policy_failure() -> FloatingPointError:
    return FloatingPointError(
        "a step moved the policy infinitely far; lower ent_coef, step_size or policy_intent, or set max_policy_shift"
    )


def traces_of(net: nn.Module, settings: StreamSettings, overshoot: float, intent: float, relative: bool) -> Traces:
    """A network's traces with the step rule of the settings. See `agents.step_rules`."""
    parameters, rule = [*net.parameters()], settings.step_rule
    step: StepRule = ObGD(overshoot, settings.step_size)
    if rule == "adaptive":
        step = AdaptiveObGD(overshoot, settings.step_size, parameters)
    elif rule == "intentional":
        step = Intentional(intent, relative, parameters)
    return Traces(parameters, step, settings.gamma * settings.trace_decay)


@dataclass(eq=False, kw_only=True)
class StreamLearner(BaseLearner):
    """The networks and training state on which the engines of `StreamAC` work."""

    settings: StreamSettings
    policy_traces: Traces
    value_traces: Traces
    average: PolicyAverage | None  # policy for deterministic actions
    begins: Tensor  # bool[1], whether the next transition is the first of its episode

    parts = ("policy", "value", "policy_traces", "value_traces", "average", "obs_norm", "reward_norm", "generator")

    @classmethod
    def build(cls, settings: StreamSettings, worlds: Worlds, generator: Generator) -> Self:
        """A learner with new networks. generator: for their parameters. Raises ConfigError on invalid settings."""
        space, flat, bound = worlds.env_obs_space, worlds.obs_space, settings.clip_normalized
        policy, value = build_networks(settings, space, flat, worlds.policy_action_space, generator, softplus_std=True)
        obs_norm, horizon = None, settings.averaging_steps
        device = chosen_device(settings.device, policy.trunk.sees_images)
        policy, value = policy.to(device), value.to(device)
        if settings.normalize_observations:
            obs_norm = ObservationNormalizer(input_size(flat), bound, normalized_mask(settings, space, flat), device)
        return cls(
            settings=settings,
            obs_space=flat,
            device=device,
            policy=policy,
            value=value,
            policy_traces=traces_of(policy, settings, settings.policy_overshoot, settings.policy_intent, True),
            value_traces=traces_of(value, settings, settings.value_overshoot, settings.value_intent, False),
            average=PolicyAverage(policy, horizon) if horizon else None,
            obs_norm=obs_norm,
            reward_norm=RewardNormalizer(1, settings.gamma, bound, device) if settings.normalize_rewards else None,
            generator=stream_generator(settings.seed, "actions"),
            begins=torch.ones(1, dtype=torch.bool),
        )

    def policy_for(self, deterministic: bool) -> Policy:
        """The policy that acts: the averaged one for deterministic actions."""
        return self.average.current() if deterministic and self.average else self.policy

    @property
    def gaussian(self) -> bool:
        return isinstance(self.policy.head.actions, spaces.Box)

    def obstacle(self) -> str:
        """Why the compiled kernels cannot train this learner; empty if they can."""
        if self.settings.activation not in ("tanh", "relu", "leaky_relu"):
            return "it has tanh, ReLU and leaky ReLU units"
        return network_obstacle(self.settings, self.policy, self.device)

    def reward(self, batch: Rollout) -> Tensor:
        """The reward to learn from: scaled, clipped, and normalized by statistics that include it."""
        reward = self.scaled_reward(batch)
        if self.reward_norm is None:
            return reward
        self.reward_norm.update(reward, batch.ended)
        return self.reward_norm(reward)

    def observe(self, batch: Rollout) -> None:
        """Before V(s′): adds s′ to the observation statistics, and s if its episode begins.

        Raises ConfigError if a module was replaced, since its new parameters have no traces.
        """
        for network, traces in ((self.policy, self.policy_traces), (self.value, self.value_traces)):
            if [*map(id, network.parameters())] != [*map(id, traces.parameters)]:
                raise ConfigError(
                    "a module of the networks was replaced, and its parameters have no traces: "
                    "build the agent with network=module:Class"
                )
        if self.obs_norm:
            if bool(self.begins):
                self.obs_norm.update(encode(self.obs_space, batch.obs))
            self.obs_norm.update(encode(self.obs_space, batch.next_obs))

    def finish(self, batch: Rollout) -> None:
        """After an update: clears the traces at an episode's end, and adds the policy to its average."""
        self.begins.fill_(bool(batch.ended))
        for traces in (self.policy_traces, self.value_traces):
            traces.finish(bool(batch.ended))
        if self.average:
            self.average.update()

    def on_reset(self) -> None:
        """Discards the traces and the discounted return of an interrupted episode."""
        self.begins.fill_(True)
        self.policy_traces.reset()
        self.value_traces.reset()
        super().on_reset()

    def state_dict(self) -> dict[str, object]:
        return {**super().state_dict(), "begins": self.begins.clone()}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        super().load_state_dict({name: part for name, part in state.items() if name != "begins"})
        self.begins.copy_(saved.tensor(state["begins"], "begins", torch.bool, (1,)))
