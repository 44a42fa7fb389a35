import math

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from agents.maths.distributions import Categorical, DiagonalGaussian
from agents.networks.actor_critic import Hidden, Policy, Trunk, Value, encode, input_size, mlp
from agents.networks.encoders import ImageEncoder, image_parts
from agents.networks.heads import Head


@pytest.mark.parametrize(
    ("space", "obs", "encoded"),
    [
        (spaces.Box(-1, 1, (2,)), [[0.5, -0.5]], [[0.5, -0.5]]),
        (spaces.Box(-1, 1, (2, 2)), [[[1.0, 2.0], [3.0, 4.0]]], [[1.0, 2.0, 3.0, 4.0]]),
        (spaces.Box(-1, 1, ()), [0.5, 0.25], [[0.5], [0.25]]),
        (spaces.Box(0, 9, (1,), np.int64), [[7]], [[7.0]]),
        (spaces.Discrete(3), [0, 2], [[1, 0, 0], [0, 0, 1]]),
        (spaces.Discrete(3, start=-1), [-1, 1], [[1, 0, 0], [0, 0, 1]]),
    ],
)
def test_encode(space: spaces.Box | spaces.Discrete, obs: list[float], encoded: list[list[float]]) -> None:
    for shape in ((len(obs),), (1, len(obs))):
        result = encode(space, torch.tensor(obs).reshape(*shape, *space.shape))
        assert result.dtype == torch.float32
        assert result.shape == (*shape, input_size(space))
        assert result.reshape(len(obs), -1).tolist() == encoded


def test_initialization_is_orthogonal_and_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, last = (layer for layer in mlp([8, 8, 3], "tanh", 0.01, torch.Generator()) if hasattr(layer, "weight"))
    assert torch.allclose(first.weight @ first.weight.T, 2 * torch.eye(8), atol=1e-5)
    assert torch.allclose(last.weight @ last.weight.T, 1e-4 * torch.eye(3), atol=1e-7)
    assert not first.bias.any()
    assert torch.equal(before, torch.get_rng_state())


def test_heads() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.zeros(5, 3, 4)
    discrete = Policy(Trunk(4), Head(spaces.Discrete(6)), Hidden((8,), "relu"), generator)(x)
    assert isinstance(discrete, Categorical)
    assert discrete.logits.shape == (5, 3, 6)
    box = Policy(Trunk(4), Head(spaces.Box(-1, 1, (2, 3)), log_std_init=-0.5), Hidden(()), generator)(x)
    assert isinstance(box, DiagonalGaussian)
    assert box.mean.shape == (5, 3, 6)
    assert box.log_std.unique().item() == -0.5
    assert Value(Trunk(4), False, Hidden((8, 8)), generator)(x).shape == (5, 3)


@pytest.mark.parametrize(
    ("shape", "network", "filters"),
    [
        ((84, 84, 3), "auto", [32, 64, 64]),
        ((84, 84, 3), "cnn", [32, 64, 64]),
        ((84, 84, 3), "small_cnn", [16, 32]),
        ((20, 20, 3), "small_cnn", [32, 64]),  # its kernels do not fit
    ],
)
def test_convolutions_by_name(shape, network, filters) -> None:
    images = image_parts(spaces.Box(0, 255, shape, np.uint8), network)
    features = ImageEncoder(images, math.prod(shape), 8, torch.Generator(), network)
    assert [layer.out_channels for layer in features.modules() if isinstance(layer, nn.Conv2d)] == filters
    assert features(torch.zeros(2, 5, math.prod(shape))).shape == (2, 5, 8)
