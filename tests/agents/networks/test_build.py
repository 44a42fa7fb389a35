"""Networks as set: widths, activations, initial weights, feature extractors."""

import math
from contextlib import nullcontext
from typing import get_args

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from agents import A2C
from agents.networks.actor_critic import ACTIVATIONS
from agents.settings.actor_critic import Activation
from agents.settings.values import ConfigError
from tests.toys import Shaped


class Widened(nn.Module):
    """A features extractor written for Stable-Baselines3."""

    def __init__(self, observation_space: gym.Space, features_dim: int = 8) -> None:
        super().__init__()
        self.features_dim = features_dim
        assert isinstance(observation_space, spaces.Box)
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(observation_space.shape), features_dim), nn.ReLU())

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        return self.net(observations)


def widths(net: nn.Sequential) -> list[int]:
    return [layer.out_features for layer in net if isinstance(layer, nn.Linear)]


@pytest.mark.parametrize("engine", ["torch", "fused"])
def test_widths_of_policy_and_value_apart(engine: str) -> None:
    agent = A2C("CartPole-v1", net_arch={"pi": [32], "vf": [16, 8]}, engine=engine).learn(80)
    assert (widths(agent.policy.net), widths(agent.value.net)) == ([32, 2], [16, 8, 1])
    assert "32 and 16-8 hidden tanh units" in agent.describe()["networks"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"net_arch": {"pi": [32]}}, "net_arch must be a list, or a mapping with pi and vf, got {'pi': [32]}"),
        ({"net_arch": {"pi": [0], "vf": []}}, "a mapping, each item a list, each item at least 1"),
        ({"net_arch": {"pi": [32], "vf": [8]}, "shared_layers": "all"}, "shared_layers all needs hidden layers"),
        ({"ortho_init": False, "sparsity": 0.5}, "leave ortho_init true"),
        ({"network_kwargs": {"features_dim": 4}}, "network_kwargs are for a network module:Class; network is auto"),
        ({"network": Widened, "network_kwargs": {"features": 4}}, "unexpected keyword argument 'features'"),
        ({"activation": "rrelu"}, "activation must be one of tanh, relu"),
    ],
)
def test_refused(settings: dict, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        A2C("CartPole-v1", **settings)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", get_args(Activation))
def test_every_activation_of_torch(name: str) -> None:
    """The module has the class of that name, and it learns."""
    assert ACTIVATIONS[name].__name__.lower() == name.replace("_", "")
    agent = A2C("CartPole-v1", activation=name, num_envs=1, engine="torch").learn(2)
    assert isinstance(agent.policy.net[1], ACTIVATIONS[name])


def test_activations_that_are_left_out_need_arguments_or_have_parameters_or_noise() -> None:
    theirs = {name for name in nn.modules.activation.__all__ if "Softm" not in name}
    assert theirs - {kind.__name__ for kind in ACTIVATIONS.values()} == {
        "GLU", "MultiheadAttention", "PReLU", "RReLU", "Threshold",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("space", "settings"),
    [
        (spaces.Box(-1, 1, (400,)), {}),
        (spaces.Box(0, 1, (36, 36, 3)), {"network": "cnn"}),
        (spaces.Box(-1, 1, (100,)), {"gru_size": 32}),
    ],
)
def test_without_ortho_init_weights_and_biases_are_torch_s_default(space: spaces.Box, settings: dict) -> None:
    """U(±1/√n): largest value near 1/√n, standard deviation 1/√(3n), no orthogonal rows, global generator unchanged."""
    env = Shaped(space, spaces.Discrete(2))
    torch.manual_seed(0)
    before = torch.get_rng_state()
    agent = A2C(env, ortho_init=False, **settings)
    assert torch.equal(before, torch.get_rng_state())
    for layer in agent.policy.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            weight = layer.weight.detach()
            n = weight[0].numel()
            assert 0.9 < float(weight.abs().max()) * math.sqrt(n) <= 1
            assert float(weight.std()) * math.sqrt(3 * n) == pytest.approx(1, rel=0.15)
            assert layer.bias is not None
            assert float(layer.bias.detach().abs().max()) > 0
        if isinstance(layer, nn.GRUCell):
            assert float(layer.weight_hh.detach().std()) * math.sqrt(3 * 32) == pytest.approx(1, rel=0.1)
            assert float(layer.bias_ih.detach().abs().max()) > 0


@pytest.mark.parametrize("sharing", ["features", "nothing"])
@pytest.mark.parametrize("network", [Widened, f"{__name__}:Widened"])
def test_features_extractor_as_a_class_with_arguments(network: object, sharing: str, tmp_path) -> None:
    settings = {"network": network, "network_kwargs": {"features_dim": 5}, "shared_layers": sharing, "num_envs": 2}
    agent = A2C("CartPole-v1", **settings).learn(20)
    assert agent.policy.net[0].in_features == agent.value.net[0].in_features == 5
    assert agent.value.shares_trunk == (sharing == "features")
    loaded = A2C.load(agent.save(tmp_path / "a"))
    assert loaded.network == f"{__name__}:Widened"
    for ours, theirs in zip(agent.policy.parameters(), loaded.policy.parameters(), strict=True):
        assert torch.equal(ours, theirs)


class Looking(Widened):
    """Records its input."""

    def __init__(self, observation_space: gym.Space) -> None:
        super().__init__(observation_space)
        self.space, self.seen = observation_space, torch.zeros(0)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        self.seen = observations
        return super().forward(observations)


@pytest.mark.parametrize(
    ("shape", "first"), [((8, 9, 3), (3, 8, 9)), ((3, 8, 9), (3, 8, 9)), ((8, 9), (1, 8, 9)), ((4,), (4,))]
)
def test_a_features_extractor_sees_what_it_sees_in_stable_baselines3(
    shape: tuple[int, ...], first: tuple[int, ...]
) -> None:
    """Images with channels first, scaled to [0, 1]."""
    space = spaces.Box(0, 255, shape, np.uint8)
    agent = A2C(Shaped(space, spaces.Discrete(2)), network=Looking)
    shown = space.sample()
    agent.predict(shown)
    extractor = agent.policy.trunk.encoder.inner
    assert (extractor.space.shape, extractor.seen.shape) == (first, (1, *first))
    image = len(shape) > 1
    expected = np.moveaxis(shown, -1, 0) if shape == (8, 9, 3) else shown
    seen = extractor.seen.cpu() * (255 if image else 1)
    assert torch.allclose(seen, torch.tensor(expected).reshape(1, *first).float())
    with pytest.raises(ConfigError, match="images are scaled") if image else nullcontext():
        A2C(Shaped(space, spaces.Discrete(2)), network=Looking, normalize_observations=True)


def test_ortho_init_reaches_a_features_extractor_as_in_stable_baselines3() -> None:
    """With its default initialization, the script images of docs/from-sb3 learned more slowly than with SB3."""
    weights = []
    for ortho_init in (True, False):
        agent = A2C("CartPole-v1", network=Widened, ortho_init=ortho_init)
        layer = agent.policy.trunk.encoder.inner.net[1]
        weights.append(layer.weight.detach())
        assert bool(layer.bias.any()) is not ortho_init
    assert torch.allclose(weights[0].T @ weights[0], 2 * torch.eye(4), atol=1e-5)
    assert float(weights[1].abs().max()) <= 0.5


def test_a_local_class_trains_and_is_refused_at_save(tmp_path) -> None:
    class Local(Widened):
        pass

    agent = A2C("CartPole-v1", network=Local, num_envs=2).learn(20)
    with pytest.raises(ConfigError, match=r"^network cannot be saved: Python cannot import .*top level of a module$"):
        agent.save(tmp_path / "a")
    assert not list(tmp_path.iterdir())
