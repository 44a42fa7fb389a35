"""Both networks on observations: a step at a time to act, a rollout at a time to learn."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from agents.maths.distributions import Distribution
from agents.networks.actor_critic import Policy, Value
from agents.networks.encoders import Past
from agents.rollout import Given, Rollout


class Step(NamedTuple):
    """π_θ at one observation of each environment."""

    pi: Distribution
    hidden: Tensor  # float32[N, L], the last hidden layer
    state: Tensor | None  # float32[N, H], what a memory holds now


class Objective(NamedTuple):
    """The loss of an update, and what it was made of."""

    loss: Tensor
    pi: Distribution  # π_θ at the rollout's observations, differentiable
    obs: Tensor  # float32[T, N, D], those observations as the networks see them
    metrics: dict[str, Tensor]


def step(policy: Policy, x: Tensor, given: Given) -> Step:
    """x: float32[N, D]."""
    memory, past = policy.trunk.memory, None
    if memory is not None:
        state = torch.zeros(len(x), memory.size) if given.state is None else given.state
        past = _begun(state)
    seen = policy.trunk(x[None], past)
    raw, hidden = policy.raw(seen.features[0], None if given.legal is None else torch.from_numpy(given.legal))
    return Step(policy.distribution(raw), hidden, None if seen.memory is None else seen.memory[0])


def past_of(batch: Rollout) -> Past | None:
    return None if batch.memory is None else Past(batch.memory.first, batch.ended)


def legal_of(batch: Rollout) -> Tensor | None:
    """bool[T, N, A], which actions were allowed; None if all were. Real actions have no parameter of −inf."""
    legal = batch.behavior > -math.inf
    return None if bool(legal.all()) else legal


def on_rollout(policy: Policy, value: Value, x: Tensor, batch: Rollout) -> tuple[Distribution, Tensor]:
    """π_θ and V_φ at the observations of a rollout; what they share is computed once. x: those, float32[T, N, D]."""
    past = past_of(batch)
    features = policy.trunk(x, past).features
    pi = policy.distribution(policy.raw(features, legal_of(batch))[0])
    return pi, value.of(features) if value.shares else value(x, past)


def next_value(value: Value, v: Tensor, x: Tensor, x_next: Tensor, batch: Rollout) -> Tensor:
    """V_φ(s′), float32[T, N]: a memory has seen s when it sees s′. Where s′ is the next row's s, that row's v is taken.

    v: V_φ(s), float32[T, N]; x, x_next: float32[T, N, D].
    """
    memory = batch.memory
    if len(v) == 1:
        only: Tensor = value(x_next, None if memory is None else _begun(memory.after[0]))
        return only
    alone = torch.ones_like(batch.terminated)
    alone[:-1] = batch.ended[:-1] | (x_next[:-1] != x[1:]).any(-1)
    v_next = v.roll(-1, 0)
    v_next[alone] = value(x_next[alone][None], None if memory is None else _begun(memory.after[alone]))[0]
    return v_next


def _begun(state: Tensor) -> Past:
    """One step of environments in which nothing ends. state: float32[N, H]."""
    return Past(state, torch.zeros(1, len(state), dtype=torch.bool))
