"""Ranks for tests: forks of this process, which has already imported everything."""

import faulthandler
import os
import socket
import sys
import traceback
from collections.abc import Callable
from multiprocessing import get_context

import torch

_LIMIT = 300  # seconds; then a rank says where it hangs, and ends with code 1


def on_ranks(count: int, call: Callable[[int], None]) -> list[int | None]:
    """Calls `call(rank)` on `count` ranks, set up as by torchrun. Returns their exit codes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes = [get_context("fork").Process(target=_run, args=(rank, count, port, call)) for rank in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]


def _run(rank: int, count: int, port: int, call: Callable[[int], None]) -> None:
    place = {"RANK": rank, "WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in place.items()}
    torch.set_num_threads(1)
    faulthandler.dump_traceback_later(_LIMIT, exit=True, file=sys.__stderr__ or sys.stderr)
    try:
        call(rank)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)
