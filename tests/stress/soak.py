"""Long training: memory, threads, open files and objects do not grow."""

import gc
import os
import resource
import threading
from pathlib import Path
from typing import NamedTuple

from agents.a2c import A2C
from agents.events import Status
from rl.run.recorder import Recorder

ENGINES = ("torch", "fused")
STEPS = 1_000_000  # per attack
_WARM_UP = 0.2  # fraction after which nothing may grow


class Use(NamedTuple):
    """Resources of a process. peak: maximal memory, in KiB (on macOS in bytes)."""

    peak: int
    threads: int
    files: int
    objects: int

    @classmethod
    def now(cls) -> "Use":
        gc.collect()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return cls(peak, threading.active_count(), len(os.listdir("/dev/fd")), len(gc.get_objects()))


def attack(number: int, room: Path, steps: int = STEPS) -> str:
    """A million steps on one engine, with recording: after the first fifth, nothing grows."""
    agent = A2C("CartPole-v1", seed=number, engine=ENGINES[number % len(ENGINES)], normalize_observations=True)
    directory = room / f"soak-{number}"
    directory.mkdir()
    recorder, uses = Recorder(directory, agent.loop.logger, None), list[Use]()

    def watch(status: Status) -> None:
        if status.step >= steps * (_WARM_UP if not uses else 1):
            uses.append(Use.now())

    agent.learn(steps, [recorder, watch])
    recorder.close()
    agent.worlds.close()
    first, last = uses[0], uses[-1]
    assert last.peak <= 1.05 * first.peak, (first, last)
    assert last[1:3] == first[1:3], (first, last)
    assert last.objects <= first.objects + 200, (first, last)
    return f"flat, {agent.engine_in_use}"
