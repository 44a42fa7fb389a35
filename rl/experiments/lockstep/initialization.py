"""Compares our initial networks with Stable-Baselines3's over many seeds, without environments."""

from collections.abc import Sequence
from typing import NamedTuple

import gymnasium as gym
import torch
from gymnasium import spaces
from scipy import stats
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor

from agents.networks.actor_critic import Policy, Value
from agents.networks.build import build_networks
from agents.sb3.transfer import parameters
from agents.settings.a2c import A2CSettings
from envs.streams import stream_generator

GAINS = {"π 1": 2**0.5, "π 2": 2**0.5, "π head": 0.01, "V 1": 2**0.5, "V 2": 2**0.5, "V head": 1.0}  # SB3's
_OBSERVATIONS = 16  # per seed, to compare the networks' outputs


class Layer(NamedTuple):
    """The weights of one layer over all seeds: p-values of two-sample Kolmogorov–Smirnov tests, ours against SB3's.

    Each test uses one number per seed, so its samples are independent.
    """

    p_weight: float  # of the first weight
    p_fourth: float  # of Σ w⁴, which tells an orthogonal matrix from independent weights
    ours: float  # largest |σ / gain − 1| of our singular values σ
    theirs: float  # the same for SB3

    @property
    def p(self) -> float:
        return min(self.p_weight, self.p_fourth)


class Initialization(NamedTuple):
    """Ours compared with SB3's, over all seeds."""

    layers: dict[str, Layer]
    biases: float  # largest |bias| of either
    log_stds: float  # largest difference of ln σ; 0 without σ
    log_probs: float  # largest difference, with SB3's weights
    values: float  # likewise


def initialized(env_id: str, seeds: Sequence[int]) -> Initialization:
    """Compares the networks that both sides build for an environment's spaces from each of these seeds."""
    env, settings = gym.make(env_id), A2CSettings(env_id)
    samples: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in GAINS}
    biases = log_stds = log_probs = values = 0.0
    for seed in seeds:
        policy, value = _ours(settings, env, seed)
        theirs = _theirs(env, seed)
        pairs = [(own.detach().clone(), other.detach()) for own, other in parameters(policy, value, theirs)]
        for name, pair in zip(GAINS, pairs[0:12:2], strict=True):
            samples[name].append(pair)
        biases = max(biases, *(float(bias.abs().max()) for pair in pairs[1:12:2] for bias in pair))
        log_stds = max(log_stds, *(_apart(*pair) for pair in pairs[12:]), 0.0)
        apart = _outputs_apart(policy, value, theirs, torch.Generator().manual_seed(seed))
        log_probs, values = max(log_probs, apart[0]), max(values, apart[1])
    env.close()
    return Initialization(
        {name: _layer(pairs, GAINS[name]) for name, pairs in samples.items()}, biases, log_stds, log_probs, values
    )


def _ours(settings: A2CSettings, env: gym.Env[object, object], seed: int) -> tuple[Policy, Value]:
    space, actions = env.observation_space, env.action_space
    assert isinstance(space, spaces.Box)
    assert isinstance(actions, spaces.Box | spaces.Discrete)
    return build_networks(settings, space, space, actions, stream_generator(seed, "initialization"))


def _theirs(env: gym.Env[object, object], seed: int) -> ActorCriticPolicy:
    """The policy that `stable_baselines3.A2C("MlpPolicy", …, seed=seed)` builds."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ActorCriticPolicy(env.observation_space, env.action_space, lambda _: 7e-4)


@torch.no_grad()
def _outputs_apart(policy: Policy, value: Value, theirs: ActorCriticPolicy, generator: torch.Generator) -> list[float]:
    """Copies SB3's weights into our networks. Returns the largest differences of log-probabilities and of values."""
    pairs = parameters(policy, value, theirs)
    for own, other in pairs:
        own.copy_(other)
    obs = torch.randn(_OBSERVATIONS, pairs[0][0].shape[1], generator=generator)
    pi = policy(obs)
    action = pi.sample(generator)
    v, log_prob, _ = theirs.evaluate_actions(obs, action)
    return [_apart(pi.log_prob(action), log_prob), _apart(value(obs), v[:, 0])]


def _layer(pairs: Sequence[tuple[Tensor, Tensor]], gain: float) -> Layer:
    """pairs: our weights and SB3's, one pair per seed."""
    ours, theirs = (torch.stack(weights).double() for weights in zip(*pairs, strict=True))
    return Layer(
        _p_value(ours[:, 0, 0], theirs[:, 0, 0]),
        _p_value((ours**4).sum((1, 2)), (theirs**4).sum((1, 2))),
        *(float((torch.linalg.svdvals(weights) / gain - 1).abs().max()) for weights in (ours, theirs)),
    )


def _p_value(ours: Tensor, theirs: Tensor) -> float:
    return float(stats.ks_2samp(ours.numpy(), theirs.numpy()).pvalue)


def _apart(x: Tensor, y: Tensor) -> float:
    return float((x - y).abs().max())
