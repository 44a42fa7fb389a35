"""Times systems in interleaved repeats, and complete commands from the shell to their last line."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

from rl.experiments.bench import systems
from rl.experiments.bench.systems import Build, Run, Shape
from rl.run.terminal import RunFailed

Progress = Callable[[str], None]


class Rates(NamedTuple):
    """Environment steps per second, one number per repeat."""

    each: list[float]

    @property
    def median(self) -> float:
        return median(self.each)


def interleaved(
    builders: Mapping[str, Build], unit: int, repeats: int, seconds: float, updates: int = 20
) -> dict[str, Rates]:
    """Times every system once, then again, so that a slow phase of the machine affects all of them.

    unit: steps per update. seconds: approximate time per repeat. updates: run before timing, to compile.
    """
    runs = {name: build() for name, build in builders.items()}
    steps = {name: _steps_in(run, unit, seconds, updates) for name, run in runs.items()}
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run(steps[name])
            rates[name].append(steps[name] / (time.perf_counter() - start))
    return {name: Rates(each) for name, each in rates.items()}


def _steps_in(run: Run, unit: int, seconds: float, updates: int) -> int:
    """The number of steps that takes about this long, found by doubling after the updates that compile."""
    steps = updates * unit
    run(steps)
    while True:
        start = time.perf_counter()
        run(steps)
        spent = time.perf_counter() - start
        if spent > 0.1:
            return max(int(steps * seconds / spent) // unit, 1) * unit
        steps *= 2


def sixteen_seeds(repeats: int, progress: Progress) -> dict[str, Rates]:
    """Both cores, 16 seeds of 8 × 5 on CartPole-v1: steps per second over all seeds."""
    few, many = 20_000, 1_000_000
    rates: dict[str, list[float]] = {"ours, fused, threads": [], "ours, fused, processes": [], "SB3, processes": []}
    for _ in range(repeats):
        for name, took, steps in (
            ("ours, fused, threads", systems.in_threads, many),
            ("ours, fused, processes", partial(systems.in_processes, systems.fused_seed), many),
            ("SB3, processes", partial(systems.in_processes, systems.stable_baselines_seed), few),
        ):
            progress(f"16 seeds: {name}")
            rates[name].append(systems.SEEDS * steps / took(steps))
    return {name: Rates(each) for name, each in rates.items()}


def python_environments(shape: Shape, env_id: str, repeats: int, seconds: float) -> dict[str, Rates]:
    """Times training and random stepping of the same Python environments."""
    return interleaved(
        {
            "random": lambda: systems.gymnasium(shape, env_id),
            "fused": lambda: systems.ours("fused", shape, env_id, "sync"),
            "torch": lambda: systems.ours("torch", shape, env_id, "sync"),
            "SB3": lambda: systems.stable_baselines(shape, env_id),
        },
        shape.rows, repeats, seconds,
    )  # fmt: skip


class Whole(NamedTuple):
    """A command, timed from the shell to its last line."""

    command: str
    seconds: float
    solved_at: int | None
    score: float


def from_the_shell(arguments: list[str], kernels: Path | None = None) -> Whole:
    """kernels: folder of compiled kernels; by default Numba's own."""
    environment = os.environ | ({} if kernels is None else {"NUMBA_CACHE_DIR": str(kernels)})
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", *arguments, "--out", out], capture_output=True, text=True, env=environment
        )
        seconds = time.perf_counter() - start
        if done.returncode:
            raise RunFailed(f"{' '.join(arguments)}: {done.stderr.strip()}")
        (file,) = Path(out).glob("*/*/*/summary.json")
        summary = json.loads(file.read_text(encoding="utf-8"))
    return Whole(f"python -m {' '.join(arguments)}", seconds, summary["solved_at"], summary["eval_mean"])


def rival(python: str, repeats: int) -> dict[str, Rates]:
    """rejax's PPO, with the settings closest to A2C, run by another interpreter that has rejax."""
    script = Path(__file__).with_name("rejax_rates.py")
    done = subprocess.run([python, str(script), str(repeats)], capture_output=True, text=True)
    if done.returncode:
        raise RunFailed(f"{python} cannot run rejax: {(done.stderr.strip() or 'no message').splitlines()[-1]}")
    return {name: Rates(each) for name, each in json.loads(done.stdout.splitlines()[-1]).items()}
