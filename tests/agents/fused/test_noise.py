"""Noise that is drawn many steps at a time."""

import numpy as np
import pytest
import torch

from agents.fused.noise import Noise, draw
from agents.ranks import ALONE


@pytest.mark.parametrize("size", [None, 3])
@pytest.mark.parametrize("steps", [0, 1, 64, 100])
def test_noise_in_blocks_is_the_noise_of_single_draws(size, steps):
    blocks, single = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    noise = Noise(ALONE, blocks, 2, size)
    for _ in range(steps):
        np.testing.assert_array_equal(noise.take(), draw(single, 2, size))
    noise.settle()
    assert torch.equal(blocks.get_state(), single.get_state())
