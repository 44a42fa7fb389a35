"""Benchmarks beyond one core: environments in threads and in processes, two ranks, and what a run on Ray sends."""

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from agents import A2C
from agents.settings.actor_critic import Engine
from envs import Backend
from rl.experiments.bench.rank import Measured, Task
from rl.experiments.bench.systems import Shape
from rl.experiments.executors.copies import Changes, apply, packed
from rl.experiments.pages import Page, paragraph, table
from rl.run.terminal import RunFailed

if TYPE_CHECKING:
    from ray.util.queue import Queue

ENVIRONMENT = "HalfCheetah-v5"
CASES: Sequence[tuple[Engine, Shape]] = (("fused", Shape(8, 64)), ("torch", Shape(8, 64)), ("fused", Shape(8, 5)))
WIDTHS = (64, 215, 697, 2226)  # 10 thousand to 10 million parameters
IN_TURN, ONE, THREADS = "stepped in turn", "one thread", "two threads"
ASYNC, RANKS, SOCKETS = "environments in processes", "two ranks", "two ranks, through sockets"
APART = "two runs side by side"
_SYSTEMS: Sequence[tuple[str, Backend, int, int, bool]] = (
    # name, backend, threads of a process, ranks, whether these share memory
    (IN_TURN, "sync", 1, 1, True), (ONE, "mujoco", 1, 1, True), (THREADS, "mujoco", 2, 1, True),
    (ASYNC, "async", 1, 1, True), (RANKS, "mujoco", 1, 2, True), (SOCKETS, "mujoco", 1, 2, False),
)  # fmt: skip
Measurements = Mapping[str, Mapping[str, Sequence[Measured]]]  # case or width → system → a measurement per repeat


def measure(repeats: int, seconds: float) -> tuple[Measurements, Measurements]:
    """Of all systems in each case, and of two ranks by the width of the networks. All are interleaved."""
    cases: dict[str, dict[str, list[Measured]]] = {}
    widths: dict[str, dict[str, list[Measured]]] = {}
    for _ in range(repeats):
        for engine, shape in CASES:
            of = cases.setdefault(f"{engine}, {shape}", {})
            for name, backend, threads, ranks, share_memory in _SYSTEMS:
                task = Task(ENVIRONMENT, shape.envs, shape.steps, engine, backend, 64, seconds, share_memory)
                of.setdefault(name, []).append(measured(task, ranks, threads))
            half = Task(ENVIRONMENT, shape.envs // 2, shape.steps, engine, "mujoco", 64, seconds)
            of.setdefault(APART, []).append(side_by_side(half))
        for width in WIDTHS:
            for name, share_memory in ((RANKS, True), (SOCKETS, False)):
                task = Task(ENVIRONMENT, 8, 64, "fused", "mujoco", width, seconds, share_memory)
                widths.setdefault(str(width), {}).setdefault(name, []).append(measured(task, 2))
    return cases, widths


def measured(task: Task, ranks: int, threads: int = 1) -> Measured:
    """Measures in new processes. Raises RunFailed with the last line of their error output."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    torchrun = [] if ranks == 1 else ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    command = [sys.executable, *torchrun, "-m", "rl.experiments.bench.rank", json.dumps(task)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RunFailed(f"{task} failed: {(done.stderr.strip() or 'no message').splitlines()[-1]}")
    return Measured(*json.loads(done.stdout.splitlines()[-1]))


def side_by_side(task: Task) -> Measured:
    """Two runs of the task at the same time that know nothing of each other; their speeds are added."""
    with ThreadPoolExecutor(2) as pool:
        both = [*pool.map(measured, [task] * 2, [1] * 2)]
    return both[0]._replace(rate=sum(one.rate for one in both))


def messages(count: int) -> tuple[int, list[float]]:
    """Bytes sent per checkpoint, and seconds until each of `count` messages is on disk.

    A Ray task sends them as fast as it can, through the same queue as runs use; this process writes them.
    """
    import ray
    from ray.util.queue import Queue

    with tempfile.TemporaryDirectory() as folder:
        run, copy = Path(folder, "run"), Path(folder, "copy")
        agent = A2C(ENVIRONMENT, num_envs=8)
        agent.save(run / "checkpoints/step-000000100000.pt")
        agent.worlds.close()
        changes, seconds = packed(run), []
        ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        queue = Queue(1)
        sent = ray.remote(_send).remote(queue, changes, count + 1)
        apply(queue.get(), copy)
        for _ in range(count):
            start = time.perf_counter()
            apply(queue.get(), copy)
            seconds.append(time.perf_counter() - start)
        ray.get(sent)
        ray.shutdown()
    return sum(len(content) for _, content in changes[0].values()), seconds


def _send(queue: "Queue", message: Changes, count: int) -> None:
    for _ in range(count):
        queue.put(message)


def page(
    cases: Measurements, widths: Measurements, message: tuple[int, list[float]], repeats: int, command: str,
    machine: str,
) -> Page:  # fmt: skip
    about = f"""What is gained or lost beyond one thread? {_ratios(THREADS, cases).capitalize()};
        {_ratios(RANKS, cases)}; {_ratios(ASYNC, cases)}. Numbers are environment steps per second of A2C on
        {ENVIRONMENT} with two networks of 64-64 units, and beside them the ratio to one thread; the heads of the
        columns are environments × steps per update. They are medians of {repeats} repeats, in which the systems took
        turns, each in new processes. Compilation is not counted. "{IN_TURN.capitalize()}" is `--backend sync`,
        Gymnasium's environments one after another. "{ONE.capitalize()}" and "{THREADS}" are `--backend mujoco`, the
        default here, with `OMP_NUM_THREADS` at 1 and 2; only the environments are stepped in threads.
        "{ASYNC.capitalize()}" is `--backend async`, which has a process for each of the eight environments.
        "{RANKS.capitalize()}" is torchrun with four of the eight environments in each rank, in one thread; the ranks
        exchange numbers through shared memory, or, as ranks on several machines do, through the sockets of gloo.
        "{APART.capitalize()}" are two runs of four environments each, with the sum of their speeds: what this
        machine's two cores give if nothing is exchanged."""
    rows = []
    for system in (*(name for name, *_ in _SYSTEMS), APART):
        rates = [[median(one.rate for one in of[name]) for name in (system, ONE)] for of in cases.values()]
        rows.append([system, *(cell for rate, one in rates for cell in (f"{rate:,.0f}", f"{rate / one:.2f}"))])
    heads = ["environments", *(cell for name in cases for cell in (name, f"÷ {ONE}"))]
    size, seconds = message
    copies = f"""A run on Ray sends its files to the driver at every checkpoint. Writing such a message, of
        {size / 1e6:.2f} MB here, to this disk takes the driver {1e3 * median(seconds):.1f} ms, Ray's queue included:
        the median of {len(seconds)} messages."""
    numbers = {
        "message": {"bytes": size, "seconds": seconds},
        "cases": {name: {system: [*map(_plain, each)] for system, each in of.items()} for name, of in cases.items()},
        "widths": {
            width: {system: [*map(_plain, each)] for system, each in of.items()} for width, of in widths.items()
        },
    }
    parts = [paragraph(about), table(heads, rows), *_sums(widths), paragraph(copies)]
    return Page("Beyond one core", command, machine, parts, numbers)


def _ratios(system: str, cases: Measurements) -> str:
    """Speed of a system relative to one thread, over the cases."""
    rates = [[median(one.rate for one in of[name]) for name in (system, ONE)] for of in cases.values()]
    ratios = [ours / one for ours, one in rates]
    return f"{system} train {min(ratios):.2f} to {max(ratios):.2f} times as fast"


def _sums(widths: Measurements) -> list[str]:
    """What sums over ranks cost."""
    about = """What the sums over two ranks cost at 8 × 64, through shared memory and through the sockets of gloo, here
        on the loopback interface: the time of a single sum of all gradients by itself, and the share of an update's
        time, environment steps included, that the first rank spends in sums and in waiting there for the second."""
    costs = []
    for of in widths.values():
        size = of[RANKS][0].parameters
        costs.append(
            [f"{size:,}", f"{4 * size / 1e6:.2g} MB", *(cell for each in of.values() for cell in _costs(each))]
        )
    headings = ["parameters", "a sum moves", "one sum alone", "**share of an update**", "sockets: one sum", "share"]
    return [paragraph(about), table(headings, costs)]


def _costs(each: Sequence[Measured]) -> list[str]:
    """A single sum, and the share of an update."""
    alone, share = median(one.sum_seconds for one in each), median(one.share for one in each)
    return [f"{1e3 * alone:.2f} ms", f"{100 * share:.0f} %"]


def _plain(one: Measured) -> dict[str, float]:
    return one._asdict()
