"""Random numbers for sampled actions, drawn many steps at a time."""

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from agents.ranks import Ranks

_BLOCK = 64  # steps


def draw_for(ranks: Ranks, generator: Generator, steps: int, envs: int, size: int | None) -> NDArray[np.floating]:
    """`draw` for steps of these environments of this rank. Every rank draws the numbers of all environments."""
    numbers = draw(generator, steps * envs * ranks.count, size)
    if ranks.alone:
        return numbers
    everywhere = numbers.reshape(steps, ranks.count * envs, numbers.shape[1])
    own = everywhere[:, ranks.own(ranks.count * envs)]
    return np.ascontiguousarray(own).reshape(steps * envs, numbers.shape[1])


def draw(generator: Generator, rows: int, size: int | None) -> NDArray[np.floating]:
    """float[rows, size], standard normal; float[rows, 1], uniform on [0, 1), if size is None.

    Unlike those of torch.randn, the numbers do not depend on how many are drawn per call.
    """
    if size is None:
        return torch.rand(rows, 1, generator=generator).numpy()
    u = torch.rand(rows, size, generator=generator, dtype=torch.float64)
    return cast(Tensor, torch.special.ndtri(u.clamp_min_(2.0**-54))).to(torch.get_default_dtype()).numpy()


class Noise:
    """The noise of one step after another, from blocks, since a call of torch costs more than the numbers of a step."""

    def __init__(self, ranks: Ranks, generator: Generator, rows: int, size: int | None) -> None:
        """rows: of a step; ranks, size: as for `draw_for`."""
        self.none = draw(generator, 0, size)
        self._ranks, self._generator, self._rows, self._size = ranks, generator, rows, size
        self._start, self._block, self._taken = generator.get_state(), self.none, _BLOCK

    def take(self) -> NDArray[np.floating]:
        """The rows of the next step."""
        if self._taken == _BLOCK:
            self._start, self._taken = self._generator.get_state(), 0
            self._block = draw_for(self._ranks, self._generator, _BLOCK, self._rows, self._size)
        self._taken += 1
        return self._block[(self._taken - 1) * self._rows : self._taken * self._rows]

    def settle(self) -> None:
        """Leaves the generator as if only the rows taken had been drawn."""
        if self._taken < _BLOCK:
            self._generator.set_state(self._start)
            draw_for(self._ranks, self._generator, self._taken, self._rows, self._size)
