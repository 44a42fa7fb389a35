"""Ranks of one machine exchange numbers through memory."""

import os
from ast import literal_eval
from pathlib import Path

import numpy as np
import pytest

from agents import mailbox
from agents.mailbox import Mailbox, opened
from tests.ranks import on_ranks

pytestmark = pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="only Linux has /dev/shm")


class Disk:
    """What ranks tell each other through files before they share memory."""

    def __init__(self, folder: Path, rank: int, count: int) -> None:
        self.folder, self.rank, self.count, self.calls = folder, rank, count, 0

    def collect(self, value: object) -> list[object]:
        self.calls += 1
        files = [self.folder / f"{self.calls}-{rank}" for rank in range(self.count)]
        files[self.rank].with_suffix(".new").write_text(repr(value))
        files[self.rank].with_suffix(".new").rename(files[self.rank])
        while not all(file.exists() for file in files):
            os.sched_yield()
        return [literal_eval(file.read_text()) for file in files]


def of(rank: int, count: int, folder: Path) -> Mailbox:
    box = opened(rank, count, Disk(folder, rank, count).collect)
    assert box
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
        box = of(rank, count, tmp_path)
        for turn in range(60):
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
        box = of(rank, 2, tmp_path)
        x = np.ones(3)
        if rank == 1:
            box._numbers[rank * 8] = 1  # it has sent its last message, and ends
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

    def open_it(rank: int) -> None:
        if rank == failing:
            monkeypatch.setattr(mailbox, "_MEMORY", tmp_path / "absent")
        box = opened(rank, 2, Disk(tmp_path, rank, 2).collect)
        assert (box is None) == (failing is not None)

    assert on_ranks(2, open_it) == [0, 0]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("actor-critic-")], "the file is gone"
