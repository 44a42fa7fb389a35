"""Forward passes of both networks: one step at a time for acting, a rollout at a time for learning."""

import math
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from agents.maths.distributions import Distribution
from agents.networks.actor_critic import Policy, Value
from agents.networks.encoders import RecurrentInput, single_step
from agents.rollout import Context, Rollout


class PolicyStep(NamedTuple):
    """π_θ at one observation per environment."""

    pi: Distribution
    hidden: Tensor  # float32[N, L], the last hidden layer, on the network's device
    state: Tensor | None  # float32[N, H], the hidden state of a recurrent policy afterwards


class Inputs(NamedTuple):
    """A rollout as the networks and the critic see it: computed once per update."""

    x: Tensor  # float32[T, N, D], observations
    x_next: Tensor  # float32[T, N, D], their true successors
    reward: Tensor  # float32[T, N], scaled, clipped and normalized
    legal: Tensor | None  # bool[T, N, A], the legal actions; None if all were
    recurrent: RecurrentInput | None  # of a recurrent network


class Seen(Protocol):
    """Observations as the networks see them. See `Inputs`."""

    @property
    def x(self) -> Tensor: ...
    @property
    def legal(self) -> Tensor | None: ...
    @property
    def recurrent(self) -> RecurrentInput | None: ...


class Forward(NamedTuple):
    """π_θ and V_φ at the observations of a rollout, in training mode and in evaluation mode."""

    pi: Distribution  # in training mode, differentiable
    v: Tensor  # float32[T, N], in training mode, differentiable
    acting: Distribution  # π_θ in evaluation mode
    baseline: Tensor  # float32[T, N], V_φ in evaluation mode, not differentiated: advantages are relative to it


class Objective(NamedTuple):
    """The loss of an update, and what it was computed from."""

    loss: Tensor
    pi: Distribution  # π_θ at the rollout's observations, differentiable
    inputs: Inputs
    metrics: dict[str, Tensor]


def inputs_of(batch: Rollout, x: Tensor, x_next: Tensor, reward: Tensor) -> Inputs:
    """x, x_next: encoded observations, float32[T, N, D]; reward: float32[T, N], as the critic sees it."""
    recurrent = None if batch.recurrent_states is None else RecurrentInput(batch.recurrent_states.initial, batch.ended)
    return Inputs(x, x_next, reward, legal_actions(batch), recurrent)


def policy_step(policy: Policy, x: Tensor, context: Context) -> PolicyStep:
    """x: float32[N, D]. The distribution and the state are on the CPU, where actions are drawn for every device."""
    memory, recurrent = policy.trunk.memory, None
    if memory is not None:
        start = x.new_zeros(len(x), memory.size) if context.state is None else context.state
        recurrent = single_step(start.to(x.device))
    features, state = policy.trunk(x[None], recurrent)
    legal = None if context.legal is None else torch.from_numpy(context.legal).to(x.device)
    raw, hidden = policy.raw(features[0], legal)
    return PolicyStep(policy.distribution(raw.cpu()), hidden, None if state is None else state[0].cpu())


def legal_actions(batch: Rollout) -> Tensor | None:
    """bool[T, N, A], the legal actions; None if all were. Parameters of real actions are never −inf."""
    legal = batch.behavior > -math.inf
    return None if bool(legal.all()) else legal


def policy_and_value(policy: Policy, value: Value, inputs: Seen) -> tuple[Distribution, Tensor]:
    """π_θ and V_φ, float32[T, N], at observations; shared layers are computed once.

    In the networks' current mode: see `BaseLearner.training_pass`.
    """
    features = policy.trunk(inputs.x, inputs.recurrent).features
    pi = policy.distribution(policy.raw(features, inputs.legal)[0])
    return pi, value.from_features(features) if value.shares_trunk else value(inputs.x, inputs.recurrent)


def next_value(value: Value, v: Tensor, inputs: Inputs, batch: Rollout) -> Tensor:
    """V_φ(s′), float32[T, N]. Where s′ is the next row's s, it is the next row's v. v: V_φ(s), float32[T, N].

    A recurrent network evaluates s′ with the state after s.
    """
    x, x_next = inputs.x, inputs.x_next
    memory = batch.recurrent_states
    if len(v) == 1:
        only: Tensor = value(x_next, None if memory is None else single_step(memory.after[0]))
        return only
    alone = torch.ones_like(batch.terminated)
    alone[:-1] = batch.ended[:-1] | (x_next[:-1] != x[1:]).any(-1)
    v_next = v.roll(-1, 0)
    v_next[alone] = value(x_next[alone][None], None if memory is None else single_step(memory.after[alone]))[0]
    return v_next
