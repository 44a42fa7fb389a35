"""Handmade demonstrations: terminating episodes of equal length, in an `.npz`."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agents.demonstrations import Demonstrations, save


def made(
    path: Path, env_id: str, obs: NDArray[np.generic], action: NDArray[np.generic], length: int = 1,
    legal: NDArray[np.bool_] | None = None,
) -> str:  # fmt: skip
    """Writes and returns the file. obs: [M, …]; action: [M] or [M, A]; M a multiple of length."""
    first = np.arange(len(obs)) % length == 0
    terminated = np.roll(first, -1)
    following = np.where(terminated.reshape(-1, *[1] * (obs.ndim - 1)), obs, np.roll(obs, -1, 0))
    reward = np.zeros(len(obs), np.float32)
    given = Demonstrations(env_id, obs, action, reward, following, terminated, np.zeros_like(first), first, legal)
    return str(save(path, given))
