"""`Mailbox`: memory through which the ranks of one machine exchange numbers.

A message through the sockets of gloo takes longer than most updates of the fused engine (results/bench/cores.md).
Here, a rank that waits keeps looking for the others' messages.
"""

import mmap
import os
import platform
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

try:
    import fcntl
except ModuleNotFoundError:  # on Windows
    fcntl = None  # type: ignore[assignment]

Array = NDArray[Any]
_MEMORY = Path("/dev/shm")
_SLOT = 1 << 20  # bytes of a message
_LINE = 64  # bytes in a line of the processor's cache; no two ranks write into one
_AWAKE = 0.01  # seconds in which a waiting rank keeps looking; then it naps between looks
_NAP = 5e-4  # seconds
_ORDERED = ("x86_64", "AMD64")  # processors on which others see a rank's writes in their order


class Mailbox:
    """A slot for each rank's message.

    Message n is written into slots n mod 2, so a rank that is one message ahead does not write where another still
    reads. Every rank locks a byte of the file; the operating system unlocks it when the process ends, however it ends.
    """

    def __init__(self, path: Path, rank: int, count: int, *, new: bool = False) -> None:
        """Opens the file of `count` ranks; the first rank creates it. Raises OSError."""
        size = count * (_LINE + 2 * _SLOT)
        self._file = os.open(path, os.O_RDWR | (os.O_CREAT | os.O_EXCL if new else 0), 0o600)
        try:
            if new:
                os.posix_fallocate(self._file, 0, size)
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, rank)
            memory = mmap.mmap(self._file, size)
        except OSError:
            os.close(self._file)
            raise
        self._rank, self._count, self._sent = rank, count, 0
        self._numbers = memoryview(memory)[: count * _LINE].cast("q")  # of the latest message of each rank
        self._slots = np.frombuffer(memory, np.uint8, offset=count * _LINE).reshape(2, count, _SLOT)

    def close(self) -> None:
        os.close(self._file)

    def add(self, arrays: Iterable[Array]) -> None:
        """Σ over ranks, in place. Added in the order of ranks, so that all get the same bits.

        arrays: of one dimension and of the same lengths in all ranks. Raises ConnectionError if a rank has ended.
        """
        for message in _messages(arrays):
            for own, rows in zip(message, self._exchange(message), strict=True):
                np.add.reduce(rows, axis=0, out=own)

    def gather(self, own: Array) -> Array:
        """The arrays of all ranks, [ranks, n], given this rank's, [n]. Raises ConnectionError if a rank has ended."""
        parts = [self._exchange(message)[0].copy() for message in _messages([own])]
        return np.concatenate(parts, axis=1) if parts else np.empty((self._count, 0), own.dtype)

    def _exchange(self, message: Sequence[Array]) -> list[Array]:
        """For each array of this rank's message, those of all ranks: [ranks, n], to be read before the next message."""
        self._sent += 1
        slots, start, found = self._slots[self._sent % 2], 0, []
        for array in message:
            place = slice(start, start + array.nbytes)
            slots[self._rank, place] = array.view(np.uint8)
            found.append(slots[:, place].view(array.dtype))
            start += _aligned(array.nbytes)
        self._numbers[self._rank * _LINE // 8] = self._sent
        for rank in range(self._count):
            self._wait(rank)
        return found

    def _wait(self, rank: int) -> None:
        """Returns once the rank has sent as many messages as this one."""
        place, start = rank * _LINE // 8, time.monotonic()
        while self._numbers[place] < self._sent:
            if time.monotonic() < start + _AWAKE:
                os.sched_yield()
            elif self._ended(rank) and self._numbers[place] < self._sent:
                raise ConnectionError(f"rank {rank} has ended")
            else:
                time.sleep(_NAP)

    def _ended(self, rank: int) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, rank)
        except OSError:  # the rank holds it
            return False
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, rank)  # so that the others notice too
        return True


def opened(rank: int, count: int, collect: Callable[[object], list[object]]) -> Mailbox | None:
    """This rank's mailbox; None if the ranks share no memory, or a processor may reorder writes.

    collect: the objects of all ranks, given this rank's.
    """
    path = _MEMORY / str(collect(f"actor-critic-{secrets.token_hex(8)}")[0])
    box = _open(path, rank, count, new=True) if rank == 0 else None
    collect("the first rank has created the file")
    box = box or _open(path, rank, count)
    everywhere = all(collect(box is not None))
    if rank == 0:
        path.unlink(missing_ok=True)  # it remains open
    if box and not everywhere:
        box.close()
    return box if everywhere else None


def _open(path: Path, rank: int, count: int, *, new: bool = False) -> Mailbox | None:
    if fcntl is None or platform.machine() not in _ORDERED:
        return None
    try:
        return Mailbox(path, rank, count, new=new)
    except (OSError, ValueError):  # ValueError: a file that could not be made long enough
        return None


def _messages(arrays: Iterable[Array]) -> Iterator[list[Array]]:
    """The arrays in messages that fit into a slot, cut where they do not fit."""
    message: list[Array] = []
    free = _SLOT
    for array in arrays:
        while len(array):
            fits = min(free // array.itemsize, len(array))
            if fits:
                message.append(array[:fits])
                array, free = array[fits:], free - _aligned(fits * array.itemsize)
            else:
                yield message
                message, free = [], _SLOT
    if message:
        yield message


def _aligned(size: int) -> int:
    """The next multiple of a cache line."""
    return -(-size // _LINE) * _LINE
