"""Forward passes of both networks: one step at a time to act, a rollout at a time to learn."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from agents.maths.distributions import Distribution
from agents.networks.actor_critic import Policy, Value
from agents.networks.encoders import RecurrentInput, single_step
from agents.rollout import Given, Rollout


class PolicyStep(NamedTuple):
    """π_θ at one observation per environment."""

    pi: Distribution
    hidden: Tensor  # float32[N, L], the last hidden layer
    state: Tensor | None  # float32[N, H], the hidden state of a recurrent policy afterwards


class Objective(NamedTuple):
    """The loss of an update and its parts."""

    loss: Tensor
    pi: Distribution  # π_θ at the rollout's observations, differentiable
    obs: Tensor  # float32[T, N, D], the rollout's observations, encoded and normalized
    metrics: dict[str, Tensor]


def policy_step(policy: Policy, x: Tensor, given: Given) -> PolicyStep:
    """x: float32[N, D]."""
    memory, recurrent = policy.trunk.memory, None
    if memory is not None:
        recurrent = single_step(torch.zeros(len(x), memory.size) if given.state is None else given.state)
    features, state = policy.trunk(x[None], recurrent)
    raw, hidden = policy.raw(features[0], None if given.legal is None else torch.from_numpy(given.legal))
    return PolicyStep(policy.distribution(raw), hidden, None if state is None else state[0])


def recurrent_input(batch: Rollout) -> RecurrentInput | None:
    return None if batch.memory is None else RecurrentInput(batch.memory.first, batch.ended)


def legal_actions(batch: Rollout) -> Tensor | None:
    """bool[T, N, A], the legal actions; None if all were. Parameters of real actions are never −inf."""
    legal = batch.behavior > -math.inf
    return None if bool(legal.all()) else legal


def policy_and_value(policy: Policy, value: Value, x: Tensor, batch: Rollout) -> tuple[Distribution, Tensor]:
    """π_θ and V_φ at the observations of a rollout; a shared trunk is computed once. x: encoded, float32[T, N, D]."""
    recurrent = recurrent_input(batch)
    features = policy.trunk(x, recurrent).features
    pi = policy.distribution(policy.raw(features, legal_actions(batch))[0])
    return pi, value.from_features(features) if value.shares_trunk else value(x, recurrent)


def next_value(value: Value, v: Tensor, x: Tensor, x_next: Tensor, batch: Rollout) -> Tensor:
    """V_φ(s′), float32[T, N], with the hidden state after s. Where s′ is the next row's s, v of that row is reused.

    v: V_φ(s), float32[T, N]; x, x_next: float32[T, N, D].
    """
    memory = batch.memory
    if len(v) == 1:
        only: Tensor = value(x_next, None if memory is None else single_step(memory.after[0]))
        return only
    alone = torch.ones_like(batch.terminated)
    alone[:-1] = batch.ended[:-1] | (x_next[:-1] != x[1:]).any(-1)
    v_next = v.roll(-1, 0)
    v_next[alone] = value(x_next[alone][None], None if memory is None else single_step(memory.after[alone]))[0]
    return v_next
