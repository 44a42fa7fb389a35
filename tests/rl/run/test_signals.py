"""Ctrl-C and SIGTERM that arrive where an exception would be lost."""

import os
import signal
import sys
from collections.abc import Iterator
from threading import Event

import pytest

from rl.run.signals import Terminated, _raise_later, deferred, stop
from tests.conftest import LIMIT


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_an_interrupt_while_a_generator_is_closed_is_raised_a_moment_later(
    number: int, kind: type[BaseException], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", _raise_later)

    def numbers() -> Iterator[int]:
        try:
            yield 0
        finally:
            raise kind

    before = signal.signal(number, stop)
    generators = [numbers()]
    next(generators[0])

    def close_and_wait() -> None:
        generators.clear()
        Event().wait(LIMIT)

    try:
        with pytest.raises(kind):
            close_and_wait()
    finally:
        signal.signal(number, before)
    assert capfd.readouterr().err == ""


def test_other_failures_there_are_told(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "unraisablehook", _raise_later)

    class Unlucky:
        def __del__(self) -> None:
            raise ValueError("a failure of its own")

    Unlucky()
    assert "ValueError: a failure of its own" in capfd.readouterr().err
    with pytest.raises(KeyboardInterrupt):
        stop(signal.SIGINT)
    Unlucky()
    assert capfd.readouterr().err == "", "a construction that a signal cut off is no failure"


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_a_signal_in_a_deferred_block_is_raised_at_its_end(number: int, kind: type[BaseException]) -> None:
    before, ended = signal.signal(number, stop), False
    try:
        with pytest.raises(kind), deferred():  # noqa: PT012 - the last line must run
            os.kill(os.getpid(), number)
            ended = True
        assert ended
        assert signal.getsignal(number) is stop
    finally:
        signal.signal(number, before)
