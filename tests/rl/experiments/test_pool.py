"""A pool of processes that ends with its command."""

import os
import signal
import time
from multiprocessing import active_children
from multiprocessing.process import BaseProcess

import pytest

from rl.experiments.executors.pool import processes
from rl.run.terminal import RunFailed


def _interrupted(children: list[BaseProcess]) -> None:
    """As by a terminal, which sends Ctrl-C to every process, while a task is under way."""
    with processes(1) as pool:
        results = pool.map(time.sleep, [0, 60, 60, 60])
        children += active_children()
        next(results)
        _send(signal.SIGINT)
        raise KeyboardInterrupt


def _killed() -> None:
    with processes(1) as pool:
        _send(signal.SIGKILL)
        list(pool.map(time.sleep, [1]))


def _send(number: int) -> None:
    for child in active_children():
        assert child.pid is not None
        os.kill(child.pid, number)


def test_ctrl_c_ends_the_processes_at_once_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    children, start = list[BaseProcess](), time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        _interrupted(children)
    assert [child.is_alive() for child in children] == [False]
    assert time.monotonic() - start < 55
    assert capfd.readouterr().err == ""


def test_a_killed_process_is_one_line() -> None:
    with pytest.raises(RunFailed, match="a process that computed a part was killed"):
        _killed()
