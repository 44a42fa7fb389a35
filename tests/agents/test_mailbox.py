"""Ranks of one machine exchange numbers through memory."""

import os
from ast import literal_eval
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from agents import mailbox
from agents.mailbox import Mailbox, opened
from tests.ranks import on_ranks

pytestmark = pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="only Linux has /dev/shm")
Collect = Callable[[object], list[object]]


def of(rank: int, count: int, path: Path) -> Mailbox:
    """Opened by all ranks before any of them goes on."""
    if rank == 0:
        path.with_name("new").touch()
        os.posix_fallocate(fd := os.open(path.with_name("new"), os.O_RDWR), 0, count * (64 + 2 * mailbox._SLOT))
        os.close(fd)
        path.with_name("new").rename(path)
    while not path.exists():
        os.sched_yield()
    box = Mailbox(path, rank, count)
    box.add([np.ones(1)])
    return box


@pytest.mark.parametrize("slot", [256, 1 << 20])
@pytest.mark.parametrize("count", [2, 3])
def test_sums_and_rows_of_all_ranks(count: int, slot: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays that fit into a message, that are cut, and that are empty; all ranks get the same bits."""
    monkeypatch.setattr(mailbox, "_SLOT", slot)

    def arrays(rank: int, turn: int) -> list[np.ndarray]:
        rng = np.random.default_rng([rank, turn])
        return [rng.standard_normal(n).astype(t) for n, t in zip((turn % 9, 1, 200, 33), "fdfd", strict=True)]

    def exchange(rank: int) -> None:
        box = of(rank, count, tmp_path / "box")
        for turn in range(300):
            all_of_them = [arrays(other, turn) for other in range(count)]
            own = arrays(rank, turn)
            box.add(own)
            for k, total in enumerate(own):
                expected = all_of_them[0][k].copy()
                for other in all_of_them[1:]:
                    expected += other[k]
                np.testing.assert_array_equal(total, expected, strict=True)
            for k, row in enumerate(arrays(rank, turn)):
                np.testing.assert_array_equal(
                    box.gather(row), np.stack([other[k] for other in all_of_them]), strict=True
                )
            flags = np.arange(5) == rank
            np.testing.assert_array_equal(box.gather(flags), np.arange(5) == np.arange(count)[:, None], strict=True)

    assert on_ranks(count, exchange) == [0] * count


def test_a_rank_that_has_ended_is_noticed_unless_its_last_message_has_arrived(tmp_path: Path) -> None:
    def exchange(rank: int) -> None:
        box = of(rank, 2, tmp_path / "box")
        x = np.ones(3)
        if rank == 1:
            box._numbers[rank * 8] = box._sent = 2  # it has sent its last message, and ends
            os._exit(7)
        while not box._ended(1):
            os.sched_yield()
        box.add([x])
        with pytest.raises(ConnectionError, match="rank 1 has ended"):
            box.add([x])

    assert on_ranks(2, exchange) == [0, 7]


@pytest.mark.parametrize("failing", [None, 0, 1])
def test_all_ranks_have_one_or_none_has(failing: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "_MEMORY", tmp_path)

    def collect(rank: int, calls: list[object], value: object) -> list[object]:
        """Through files, as it may be for ranks that share a disk."""
        calls.append(value)
        part = tmp_path / f"part-{len(calls)}-"
        Path(f"{part}{rank}.new").write_text(repr(value))
        Path(f"{part}{rank}.new").rename(f"{part}{rank}")
        while not all(Path(f"{part}{other}").exists() for other in (0, 1)):
            os.sched_yield()
        return [literal_eval(Path(f"{part}{other}").read_text()) for other in (0, 1)]

    def open_it(rank: int) -> None:
        if rank == failing:
            monkeypatch.setattr(mailbox, "_MEMORY", tmp_path / "absent")
        box = opened(rank, 2, partial(collect, rank, []))
        assert (box is None) == (failing is not None)

    assert on_ranks(2, open_it) == [0, 0]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("actor-critic-")], "the file is gone"
