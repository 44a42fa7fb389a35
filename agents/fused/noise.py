"""Random numbers for sampling actions, drawn for many steps at a time."""

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from agents.fused.head_arrays import Head
from agents.ranks import Ranks

_BLOCK = 64  # steps


def draw_for(ranks: Ranks, generator: Generator, steps: int, envs: int, head: Head) -> NDArray[np.floating]:
    """`draw` for this rank's environments. Every rank draws the numbers of all environments."""
    numbers = draw(generator, steps, envs * ranks.count, head)
    if ranks.alone:
        return numbers
    everywhere = numbers.reshape(steps, ranks.count * envs, numbers.shape[1])
    own = everywhere[:, ranks.own(ranks.count * envs)]
    return np.ascontiguousarray(own).reshape(steps * envs, numbers.shape[1])


def draw(generator: Generator, steps: int, envs: int, head: Head) -> NDArray[np.floating]:
    """float[T · N, noises of the head]: standard normal for a Gaussian, uniform on [0, 1) for discrete actions.

    The uniform numbers of a step come in the order in which torch samples: factor by factor, except for bits. Unlike
    with torch.randn, the numbers do not depend on how many are drawn per call.
    """
    width = head.noises
    if head.bits:
        return torch.rand(steps * envs, width, generator=generator).numpy()
    if not head.gaussian:
        by_factor = torch.rand(steps, width, envs, generator=generator)
        return by_factor.transpose(1, 2).reshape(steps * envs, width).contiguous().numpy()
    u = torch.rand(steps * envs, width, generator=generator, dtype=torch.float64)
    return cast(Tensor, torch.special.ndtri(u.clamp_min_(2.0**-54))).to(torch.get_default_dtype()).numpy()


class Noise:
    """The noise for one step after another, drawn in blocks, since a torch call costs more than a step's numbers."""

    def __init__(self, ranks: Ranks, generator: Generator, rows: int, head: Head) -> None:
        """rows: per step; ranks, head: as for `draw_for`."""
        self.none = draw(generator, 0, rows, head)
        self._ranks, self._generator, self._rows, self._head = ranks, generator, rows, head
        self._start, self._block, self._taken = generator.get_state(), self.none, _BLOCK

    def take(self) -> NDArray[np.floating]:
        """The noise for the next step."""
        if self._taken == _BLOCK:
            self._start, self._taken = self._generator.get_state(), 0
            self._block = draw_for(self._ranks, self._generator, _BLOCK, self._rows, self._head)
        self._taken += 1
        return self._block[(self._taken - 1) * self._rows : self._taken * self._rows]

    def settle(self) -> None:
        """Sets the generator as if only the rows taken had been drawn."""
        if self._taken < _BLOCK:
            self._generator.set_state(self._start)
            draw_for(self._ranks, self._generator, self._taken, self._rows, self._head)
