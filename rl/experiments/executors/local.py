"""`Local`: trains in processes of this machine, one run after another in each."""

import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from queue import LifoQueue
from threading import Lock, Thread

from envs import interrupts
from rl.experiments.executors.base import Job, Outcome, WorkerLost, check, fault, outcome_of
from rl.run.terminal import FAILED

Command = Callable[[list[str]], int]
_BUSY = Lock()  # held by a worker while it trains
_PATIENCE = 60.0  # seconds for the checkpoint of a run whose parent was killed


class Local:
    """An executor. A process trains many runs, since imports take longer than a short run.

    A killed process is replaced; only its run is lost. Ctrl-C in a terminal reaches the processes directly.
    """

    attempts = 1

    def __init__(self, jobs: int) -> None:
        self.jobs, self._idle = jobs, LifoQueue[ProcessPoolExecutor | None]()
        for _ in range(jobs):
            self._idle.put(None)  # started when it is needed: there may be fewer runs

    def run(self, job: Job) -> None:
        process = self._idle.get()
        try:
            process = process or _process(self.jobs)
            with interrupts.held_back():
                future = process.submit(_outcome, job.command, job.arguments)
            outcome = future.result()
        except BrokenProcessPool:
            if process is not None:
                process.shutdown(wait=False)
            process = None
            raise WorkerLost("the process that trained it was killed; the same command resumes it") from None
        except Exception as error:
            raise fault(error) from error
        finally:
            self._idle.put(process)
        check(outcome)

    def interrupt(self) -> None: ...

    def close(self) -> None:
        for _ in range(self.jobs):
            process = self._idle.get()
            if process is not None:
                process.shutdown()


def _process(jobs: int) -> ProcessPoolExecutor:
    threads = max(1, (os.cpu_count() or 1) // jobs)
    return ProcessPoolExecutor(1, get_context("spawn"), _begin, (threads,))


def _begin(threads: int) -> None:
    """Silences a worker, since several workers' output would be mixed up, and leaves cores to the others."""
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    interrupts.receive()
    Thread(target=_end_with_parent, daemon=True).start()


def _outcome(command: Command, argv: list[str]) -> Outcome:
    with _BUSY:
        return outcome_of(command, argv)


def _end_with_parent() -> None:
    """Ends this worker if its parent was killed: its run saves a checkpoint, and the same command then resumes it."""
    parent = parent_process()
    if parent is None:
        return
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)  # ends an idle worker at once
    _BUSY.acquire(timeout=_PATIENCE)
    os._exit(FAILED)
