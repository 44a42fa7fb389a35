"""What the compiled engine needs from an algorithm: its kernels, and the memory that they share with torch."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from agents.fused.head_arrays import Head
from agents.fused.memory import Batch, Reports
from envs.kernels import Kernel


class Arrays(Protocol):
    """The memory of an algorithm's kernels, a named tuple."""

    @property
    def batch(self) -> Batch: ...


class Kernels(Protocol):
    """An algorithm's kernels, with the signatures of `agents.fused.chunk`."""

    act: Kernel
    load: Kernel
    store_learn_act: Kernel
    run_chunk: Kernel


class Program(Protocol):
    """What an algorithm's kernels work on: memory shared with torch's parameters."""

    @property
    def kernels(self) -> Kernels: ...
    @property
    def head(self) -> Head: ...
    @property
    def n_steps(self) -> int:
        """Steps of each environment per update."""

    @property
    def report(self) -> np.dtype[np.void]:
        """The numbers of an update, float64 each."""

    @property
    def metrics(self) -> Sequence[str]:
        """The first fields of a report, logged as train/<name>; "" for a field that is not logged."""

    def memory(self, steps: int, envs: int) -> Arrays:
        """Arrays for rollouts of this shape, with the current settings and state; reused for the same shape."""

    def acting_memory(self, envs: int, deterministic: bool) -> Arrays:
        """Arrays for acting on observations of N environments."""

    def write_back(self, report: Reports) -> None:
        """After a kernel: updates torch's objects with what changed outside the arrays. report: of the last update."""

    def error(self, status: int, report: Reports) -> FloatingPointError:
        """The error for a kernel's status other than DONE."""
