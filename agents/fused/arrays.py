"""Types of the arrays that kernels work on, and which of them are kept for acting."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

Floats = NDArray[np.floating]  # torch's default dtype
Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]
T = TypeVar("T")
_MOST = 4  # batch sizes to act on whose arrays are kept


def recent(kept: dict[int, T], size: int, build: Callable[[], T]) -> T:
    """The arrays for acting on a batch of this size, which are kept for the latest few sizes.

    Training has arrays of its own: an environment, a wrapper or a hook may let the agent act in the middle of a step.
    """
    kept[size] = arrays = kept.pop(size, None) or build()
    while len(kept) > _MOST:
        del kept[next(iter(kept))]
    return arrays


def zeros(*shape: int) -> Floats:
    """Zeros of torch's default dtype."""
    return torch.zeros(shape).numpy()
