"""Processes of this machine for tasks that are no runs of `rl.train`."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context

from envs import interrupts
from rl.run.terminal import RunFailed


@contextmanager
def processes(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """A pool. Ctrl-C reaches this process alone, which then ends the others, whatever they are doing.

    Raises RunFailed if one of them was killed.
    """
    pool = ProcessPoolExecutor(jobs, get_context("spawn"))
    try:
        with interrupts.held_back():
            pool.submit(int)  # starts them
        yield pool
    except BrokenProcessPool:
        raise RunFailed("a process that computed a part was killed; give the command again") from None
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in active_children():
            process.terminate()
            process.join()
        raise
    finally:
        pool.shutdown()
