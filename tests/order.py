"""The order of tests among the processes of pytest-xdist."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def balanced(slow: Sequence[T], fast: Sequence[T], processes: int) -> list[T]:
    """`--dist worksteal` gives each process a contiguous share: each begins with its part of the slow tests.

    A process steals only from the end of another's share, so a slow test near an end would run last, alone.
    """
    order, rest, total = list[T](), list(fast), len(slow) + len(fast)
    for k in range(processes):
        own = slow[k::processes]
        filling = max((total - len(order)) // (processes - k) - len(own), 0)
        order += [*own, *rest[:filling]]
        rest = rest[filling:]
    return order + rest
