"""The random order in which PPO uses the rows of a rollout; the same in both engines."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from agents.rollout import Array
from envs import saved

Keys = NDArray[np.uint64]
Columns = NDArray[np.int64] | slice
GOLDEN, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def mix(seed: Keys, count: Keys) -> Keys:
    """The `count`-th numbers of SplitMix64 from this seed, uint64; all are different. The fused engine compiles this.

    Source: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators".
    """
    z = seed + (count + np.uint64(1)) * np.uint64(GOLDEN)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(FIRST)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(SECOND)
    mixed: Keys = z ^ (z >> np.uint64(31))
    return mixed


class Shuffle:
    """Shuffles rows by random keys, anew in every epoch."""

    def __init__(self, seed: int) -> None:
        self.state = np.array([seed, 0], np.uint64)  # seed, number of keys drawn; kernels use and update it

    def minibatches(self, rows: int, size: int) -> Iterator[Columns]:
        """The rows of one epoch, `size` at a time; not shuffled if they form a single minibatch."""
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
