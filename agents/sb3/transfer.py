"""Pairs of parameters, optimizer state and normalizers: ours and Stable-Baselines3's."""

from typing import cast

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecNormalize
from torch import nn, optim

from agents.a2c import A2C
from agents.maths.normalize import RunningMoments
from agents.networks.actor_critic import Policy, Value
from agents.sb3.model import linears


def parameters(policy: Policy, value: Value, other: ActorCriticPolicy) -> list[tuple[nn.Parameter, nn.Parameter]]:
    """Pairs of our parameters and SB3's, layer by layer, weight before bias; then the log standard deviations."""
    extractor = other.mlp_extractor
    ours = linears(policy.net, value.net)
    theirs = linears(extractor.policy_net, [other.action_net], extractor.value_net, [other.value_net])
    pairs = [
        (getattr(own, name), getattr(their, name))
        for own, their in zip(ours, theirs, strict=True)
        for name in ("weight", "bias")
    ]
    if policy.log_std is not None:
        pairs.append((policy.log_std, other.log_std))
    return pairs


@torch.no_grad()
def copy(
    source: nn.Parameter, source_optimizer: optim.Optimizer, target: nn.Parameter, target_optimizer: optim.Optimizer
) -> None:
    """Copies a parameter, whether it is frozen, and its optimizer state."""
    target.copy_(source)
    target.requires_grad_(source.requires_grad)
    target_optimizer.state[target] = {
        key: value.detach().to(target.device, copy=True) if isinstance(value, torch.Tensor) else value
        for key, value in source_optimizer.state[source].items()
    }


def moments(agent: A2C, norm: VecNormalize | None) -> list[tuple[RunningMoments, RunningMeanStd]]:
    """Pairs of the agent's moments and VecNormalize's, for everything that both normalize."""
    pairs = []
    if agent.learner.obs_norm and norm:
        pairs.append((agent.learner.obs_norm.moments, cast(RunningMeanStd, norm.obs_rms)))
    if agent.learner.reward_norm and norm:
        pairs.append((agent.learner.reward_norm.moments, norm.ret_rms))
    return pairs


def moments_from(ours: RunningMoments, theirs: RunningMeanStd) -> None:
    ours.count.fill_(float(theirs.count))
    ours.mean.copy_(torch.as_tensor(theirs.mean).reshape(ours.mean.shape))
    ours.m2.copy_(torch.as_tensor(theirs.var * theirs.count).reshape(ours.m2.shape))


def moments_to(ours: RunningMoments, theirs: RunningMeanStd) -> None:
    if ours.count:
        theirs.count = ours.count.item()
        theirs.mean = ours.mean.numpy().reshape(np.shape(theirs.mean)).copy()
        theirs.var = ours.var.numpy().reshape(np.shape(theirs.var)).copy()
