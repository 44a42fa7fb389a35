"""The random order of rows in which PPO takes its minibatches; the same in both engines."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from agents.rollout import Array
from envs import saved

Keys = NDArray[np.uint64]
Columns = NDArray[np.int64] | slice
GOLDEN, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def mix(seed: Keys, count: Keys) -> Keys:
    """The numbers of SplitMix64 from this seed, by their count, uint64; all differ. The fused engine compiles this.

    Source: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators".
    """
    z = seed + (count + np.uint64(1)) * np.uint64(GOLDEN)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(FIRST)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(SECOND)
    mixed: Keys = z ^ (z >> np.uint64(31))
    return mixed


class Shuffle:
    """Rows in the order of random keys, a fresh order in every epoch."""

    def __init__(self, seed: int) -> None:
        self.state = np.array([seed, 0], np.uint64)  # seed, number of keys drawn; the kernels count on it

    def minibatches(self, rows: int, size: int) -> Iterator[Columns]:
        """The rows of one epoch, `size` at a time; all at once need no order."""
        if size >= rows:
            yield slice(None)
            return
        keys = mix(self.state[:1], self.state[1] + np.arange(rows, dtype=np.uint64))
        self.state[1] += np.uint64(rows)
        order = np.argsort(keys)
        for begin in range(0, rows, size):
            yield order[begin : begin + size]

    def state_dict(self) -> dict[str, object]:
        return {"state": self.state.copy()}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Raises Misfit if the state is not two numbers."""
        read: Array = saved.array(state["state"], "state", np.dtype(np.uint64), (2,))
        self.state[:] = read
