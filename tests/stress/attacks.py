"""Makes attacks in processes that may die or hang, and stores their outcomes."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tests import ROOT
from tests.stress.worker import BROKEN

PATIENCE = 900  # a process that gives no answer for so many seconds counts as hanging


class Outcome(NamedTuple):
    number: int
    outcome: str
    report: str  # traceback of a broken promise

    @property
    def broken(self) -> bool:
        return self.outcome == BROKEN


def made(kind: str, numbers: Sequence[int]) -> Iterator[Outcome]:
    """Makes the attacks in a separate process; if it dies or hangs, that is the outcome of the current attack."""
    remaining = list(numbers)
    while remaining:
        for outcome in _answers(kind, remaining):
            remaining.remove(outcome.number)
            yield outcome


def _answers(kind: str, numbers: Sequence[int]) -> Iterator[Outcome]:
    argv = [sys.executable, "-m", "tests.stress.worker", kind, *map(str, numbers)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        left = list(numbers)
        while left:
            watchdog = threading.Timer(PATIENCE, process.kill)
            watchdog.start()
            line = process.stdout.readline() if process.stdout else ""
            watchdog.cancel()
            if not line:
                yield Outcome(left[0], BROKEN, f"the process ended, or was ended, with status {process.wait()}")
                return
            outcome = Outcome(*json.loads(line))
            left.remove(outcome.number)
            yield outcome
