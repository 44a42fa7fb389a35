"""Types of the arrays that kernels work on."""

import numpy as np
import torch
from numpy.typing import NDArray

Floats = NDArray[np.floating]  # torch's default dtype
Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]


def zeros(*shape: int) -> Floats:
    """Zeros of torch's default dtype."""
    return torch.zeros(shape).numpy()
