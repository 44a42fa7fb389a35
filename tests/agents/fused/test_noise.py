"""Noise drawn many steps at a time."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents.fused.head_arrays import head_of
from agents.fused.noise import Noise, draw
from agents.networks.heads import Head
from agents.ranks import ALONE


@pytest.mark.parametrize("space", [spaces.Box(-1, 1, (3,)), spaces.Discrete(2), spaces.MultiDiscrete([2, 3])])
@pytest.mark.parametrize("steps", [0, 1, 64, 100])
def test_noise_in_blocks_is_the_noise_of_single_draws(space, steps):
    blocks, single = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    head = head_of(Head(space))
    noise = Noise(ALONE, blocks, 2, head)
    for _ in range(steps):
        np.testing.assert_array_equal(noise.take(), draw(single, 1, 2, head))
    noise.settle()
    assert torch.equal(blocks.get_state(), single.get_state())
