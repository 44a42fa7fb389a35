"""Demonstrations, a teacher, and the settings that each algorithm around an agent requires."""

from pathlib import Path

import numpy as np
import pytest

from agents import A2C
from tests.agents.recorded import made

FEW = {"net_arch": (8,), "num_envs": 4, "n_steps": 2}
Given = dict[str, dict[str, object]]  # case → the settings that it requires


@pytest.fixture
def given(tmp_path: Path) -> Given:
    """Settings for each case in CartPole: small batches, so that few steps contain many updates and epochs."""
    rows = np.random.default_rng(0).normal(0, 1, (120, 4)).astype(np.float32)
    file = made(tmp_path / "d", "CartPole-v1", rows, (rows[:, 2] > 0).astype(np.int64), length=6)
    teacher = str(A2C("CartPole-v1", seed=9, **FEW).save(tmp_path / "teacher"))
    offline: dict[str, object] = {"demonstrations": file, "batch_size": 16}
    online: dict[str, object] = {"demonstrations": file, "discriminator_batch": 16}
    return {
        "clone": {**offline, "patience": 1000},
        "gail": {**online, "spectral_norm": True},
        "gail-ppo": {**online, "n_epochs": 2, "batch_size": 4},
        "distill": {"teachers": (teacher,), "rl_coef": 0.5},
        "distill-ppo": {"teachers": (teacher,), "rl_coef": 0.5, "n_epochs": 2, "batch_size": 4},
        "mutual": {},
        "mutual-ppo": {"n_epochs": 2, "batch_size": 4},
        "distill offline": {"teachers": (teacher,), **offline, "patience": 1000},
        "clone to its end": {**offline, "patience": 2},
    }
