"""A process of `python -m rl.bench --of cores`: trains A2C, alone or as a rank of torchrun, and prints its speed."""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import torch

from agents import A2C
from agents.machine import torch_threads
from agents.ranks import Ranks, joined
from agents.settings.actor_critic import Engine
from envs import Backend

_SUMS = 30  # sums over ranks timed on their own


class Task(NamedTuple):
    """What to train, and for how long."""

    env_id: str
    envs: int  # over all ranks
    steps: int
    engine: Engine
    backend: Backend
    width: int  # units per layer, in both networks
    seconds: float
    share_memory: bool = True  # between ranks; otherwise sockets


class Measured(NamedTuple):
    """Results printed by the first rank, as JSON."""

    rate: float  # environment steps per second over all ranks
    share: float  # share of update time spent in sums over ranks, waiting for the other rank included
    sum_seconds: float  # time of one sum of all parameters, measured on its own
    parameters: int


def measure(task: Task, ranks: Ranks) -> Measured:
    agent = A2C(
        task.env_id, seed=0, num_envs=task.envs, n_steps=task.steps, engine=task.engine, backend=task.backend,
        net_arch=(task.width, task.width),
    )  # fmt: skip
    rows = task.envs * task.steps
    agent.learn(2 * rows)  # may compile
    once = _seconds(lambda: agent.learn(2 * rows), ranks) / 2
    steps = max(round(task.seconds / once), 2) * rows
    with _Clock() as clock:
        seconds = _seconds(lambda: agent.learn(steps), ranks)
        share = clock.spent / seconds
    parameters = sum(p.numel() for network in agent.networks for p in network.parameters())
    agent.worlds.close()
    return Measured(steps / seconds, share, _sum_seconds(parameters, ranks), parameters)


class _Clock:
    """While entered, counts the seconds spent in sums and gathers over ranks."""

    def __enter__(self) -> "_Clock":
        self.spent = 0.0
        self.before: dict[str, Callable[..., object]] = {"add": Ranks.add, "gather": Ranks.gather}
        for name, method in self.before.items():
            setattr(Ranks, name, self._timed(method))
        return self

    def __exit__(self, *_: object) -> None:
        for name, method in self.before.items():
            setattr(Ranks, name, method)

    def _timed(self, call: Callable[..., object]) -> Callable[..., object]:
        def timed(ranks: Ranks, *arguments: object) -> object:
            if ranks.alone:
                return call(ranks, *arguments)
            start = time.perf_counter()
            try:
                return call(ranks, *arguments)
            finally:
                self.spent += time.perf_counter() - start

        return timed


def _seconds(call: Callable[[], object], ranks: Ranks) -> float:
    """The slowest rank's time, known to all ranks."""
    start = time.perf_counter()
    call()
    return max(ranks.collect(time.perf_counter() - start))


def _sum_seconds(parameters: int, ranks: Ranks) -> float:
    if ranks.alone:
        return 0.0
    x = torch.zeros(parameters)
    ranks.add(x)
    return _seconds(lambda: [ranks.add(x) for _ in range(_SUMS)], ranks) / _SUMS


if __name__ == "__main__":
    _task = Task(*json.loads(sys.argv[1]))
    with joined(_task.share_memory) as _ranks, torch_threads(1):
        _measured = measure(_task, _ranks)
        if _ranks.index == 0:
            print(json.dumps(_measured), flush=True)
    os._exit(0)  # on a busy machine, gloo's threads can abort an exiting interpreter
