"""Compares our sampled actions with Stable-Baselines3's, for policies whose distribution is the same in every state."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, cast

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray
from scipy import special, stats
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn

from agents.a2c import A2C
from agents.settings.actor_critic import Engine
from envs.spaces import Array

_AT_ONCE = 10_000  # actions per call
_OBSERVATIONS = spaces.Box(-1.0, 1.0, (1,))


class Distribution(NamedTuple):
    """A policy's distribution, in every state."""

    actions: spaces.Discrete | spaces.Box
    output: Sequence[float]  # the network's output: logits or means
    log_std: Sequence[float] = ()


CATEGORICAL = Distribution(spaces.Discrete(5), (0.5, -1.0, 2.0, 0.0, -4.0))
GAUSSIAN = Distribution(spaces.Box(-np.inf, np.inf, (2,)), (0.3, -1.5), (-0.7, 0.7))


class Comparison(NamedTuple):
    """Our actions beside others: smallest p-value and largest difference over the components.

    Categorical: χ² tests, and differences of frequencies. Gaussian: Kolmogorov–Smirnov tests, and differences of
    cumulative distributions.
    """

    p_others: float  # two-sample test against the others
    p_exact: float  # test against the exact distribution
    apart: float  # distance from the others


class ActionSink(VectorEnv):
    """Environments without observations, rewards and ends that record the actions they receive."""

    def __init__(self, actions: spaces.Discrete | spaces.Box) -> None:
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.num_envs = _AT_ONCE
        self.single_observation_space, self.single_action_space = _OBSERVATIONS, actions
        self.observation_space = batch_space(_OBSERVATIONS, _AT_ONCE)
        self.action_space = batch_space(actions, _AT_ONCE)
        self.taken: list[Array] = []

    def reset(self, *, seed: object = None, options: object = None) -> tuple[Array, dict[str, object]]:
        return _no_obs(), {}

    def step(
        self, actions: Array
    ) -> tuple[Array, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, object]]:
        self.taken.append(np.array(actions, copy=True))
        return _no_obs(), np.zeros(_AT_ONCE), np.zeros(_AT_ONCE, bool), np.zeros(_AT_ONCE, bool), {}


def _no_obs() -> NDArray[np.float32]:
    return np.zeros((_AT_ONCE, 1), np.float32)


Sampler = Callable[[Distribution, int, int], Array]


@torch.no_grad()
def sb3_actions(of: Distribution, draws: int, seed: int) -> Array:
    """Actions drawn by SB3's policy with torch's generator. Returns int[draws] or float[draws, A]."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        policy = ActorCriticPolicy(_OBSERVATIONS, of.actions, lambda _: 7e-4)
        _fix(of, cast(nn.Linear, policy.action_net), policy.log_std if of.log_std else None)
        obs = torch.from_numpy(_no_obs())
        return np.concatenate([policy(obs)[0].numpy() for _ in range(draws // _AT_ONCE)])


def acting(engine: Engine) -> Sampler:
    """Actions drawn by our engine's `act`, as in evaluation. Returns a function like `sb3_actions`."""

    def sampler(of: Distribution, draws: int, seed: int) -> Array:
        agent = _agent(of, ActionSink(of.actions), engine, seed)
        return np.concatenate([agent.act(_no_obs()).action.numpy() for _ in range(draws // _AT_ONCE)])

    return sampler


def fused_training(of: Distribution, draws: int, seed: int) -> Array:
    """Actions drawn by the fused engine in training, at a learning rate of 0. Like `sb3_actions`."""
    sink = ActionSink(of.actions)
    _agent(of, sink, "fused", seed).learn(draws)
    return np.concatenate(sink.taken)


SAMPLERS: Mapping[str, Sampler] = {  # the torch engine trains with actions from `act`
    "torch": acting("torch"),
    "fused, evaluation": acting("fused"),
    "fused, training": fused_training,
}


def _agent(of: Distribution, sink: ActionSink, engine: Engine, seed: int) -> A2C:
    agent = A2C(sink, learning_rate=0.0, engine=engine, seed=seed)
    _fix(of, cast(nn.Linear, agent.policy.net[-1]), agent.policy.log_std)
    return agent


@torch.no_grad()
def _fix(of: Distribution, head: nn.Linear, log_std: nn.Parameter | None) -> None:
    head.weight.zero_()
    head.bias.copy_(torch.tensor(of.output))
    if log_std is not None:
        log_std.copy_(torch.tensor(of.log_std))


def compared(of: Distribution, ours: Array, theirs: Array) -> Comparison:
    if isinstance(of.actions, spaces.Discrete):
        return _frequencies(of, ours, theirs)
    return _cumulative(of, ours, theirs)


def _frequencies(of: Distribution, ours: Array, theirs: Array) -> Comparison:
    counts = np.stack([np.bincount(actions, minlength=len(of.output)) for actions in (ours, theirs)])
    expected = len(ours) * special.softmax(of.output)
    shares = counts / counts.sum(1, keepdims=True)
    return Comparison(
        float(stats.chi2_contingency(counts).pvalue),
        float(stats.chisquare(counts[0], expected).pvalue),
        float(np.abs(shares[0] - shares[1]).max()),
    )


def _cumulative(of: Distribution, ours: Array, theirs: Array) -> Comparison:
    found = []
    for k, (mean, log_std) in enumerate(zip(of.output, of.log_std, strict=True)):
        both = stats.ks_2samp(ours[:, k], theirs[:, k])
        exact = stats.kstest(ours[:, k], stats.norm(mean, np.exp(log_std)).cdf)
        found.append((float(both.pvalue), float(exact.pvalue), float(both.statistic)))
    p_others, p_exact, apart = zip(*found, strict=True)
    return Comparison(min(p_others), min(p_exact), max(apart))
