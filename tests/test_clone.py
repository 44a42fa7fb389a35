"""Behavior cloning: maximum likelihood in closed form, held-out episodes, early stopping, what it refuses."""

from pathlib import Path

import numpy as np
import torch

from agents import A2C
from agents.clone import Clone
from tests.recorded import made


def test_observations_are_normalized_by_the_recorded_statistics(tmp_path: Path) -> None:
    """Each feature by its own; those of held-out episodes are unseen."""
    obs = np.random.default_rng(0).normal([1, -2, 30, 0], [1, 2, 3, 4], (200, 4)).astype(np.float32)
    file = made(tmp_path / "d", "CartPole-v1", obs, np.zeros(200, np.int64))
    clone = Clone(A2C("CartPole-v1", normalize_observations=True), demonstrations=file, validation_fraction=0.5)
    moments, train = clone.agent.obs_norm.moments, clone.epochs.train.obs.double()
    assert moments.count == len(train) == 100
    torch.testing.assert_close(moments.mean, train.mean(0))
    torch.testing.assert_close(moments.var, train.var(0, correction=0))
