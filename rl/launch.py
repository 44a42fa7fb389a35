"""Many runs side by side, ours and Stable-Baselines3's, each taken as it is, gone on with, or begun."""

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from rl import config
from rl.command import ANTICIPATED, DONE, RunFailed
from rl.record import Result, read_result
from rl.typed import ConfigError

COMMANDS = {"a2c": "rl.train", "sb3": "rl.baseline"}


class Line(NamedTuple):
    """One line of a comparison: settings that every seed of it shares."""

    label: str
    agent: str  # "a2c", which `rl.train` trains, or "sb3", which `rl.baseline` does
    settings: dict[str, object]  # complete but for the seed, as config.yaml holds them
    arguments: list[str]  # of its command, which give these settings


def train_all(env_id: str, lines: Sequence[Line], seeds: Sequence[int], out: Path, jobs: int) -> list[list[Result]]:
    """For each line the result of every seed, in order. Raises RunFailed if any run failed, after the others ended.

    Runs take turns in as many processes as there are jobs, since importing takes longer than many a run.
    """
    results: dict[tuple[int, int], Result] = {}
    failures: list[str] = []
    tasks = [(i, seed) for seed in seeds for i in range(len(lines))]
    workers = ProcessPoolExecutor(jobs, get_context("spawn"), _be_quiet)
    with workers, ThreadPoolExecutor(jobs) as pool, tqdm(total=len(tasks), unit=" runs", disable=None) as bar:
        futures = {pool.submit(_train_one, env_id, lines[i], seed, out, workers): (i, seed) for i, seed in tasks}
        try:
            for future in as_completed(futures):
                i, seed = futures[future]
                try:
                    results[i, seed] = future.result()
                except RunFailed as failure:
                    failures.append(f"{lines[i].label}, seed {seed}: {failure}")
                bar.update()
        except KeyboardInterrupt:  # the runs under way have had it too, and save themselves
            pool.shutdown(cancel_futures=True)
            raise
    if failures:
        raise RunFailed("; ".join(failures))
    return [[results[i, seed] for seed in seeds] for i in range(len(lines))]


def _be_quiet() -> None:
    """A worker's output would run into that of the others."""
    sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def _run(module: str, argv: list[str]) -> str:
    """Runs a command in this process. Returns what went wrong, in one line, or nothing."""
    try:
        status = import_module(module).main(argv)
    except ANTICIPATED as error:
        return " ".join(str(error).split())
    return "" if status == DONE else "it was interrupted"


def _train_one(env_id: str, line: Line, seed: int, out: Path, workers: ProcessPoolExecutor) -> Result:
    """Takes a finished run with these settings, goes on with an interrupted one, or trains a new one."""
    matching = _matching(env_id, line, seed, out)
    if not any(map(_finished, matching)):
        unfinished = [run for run in matching if line.agent == "a2c" and any(run.glob("checkpoints/*.pt"))]
        if unfinished:
            argv = ["--resume", str(unfinished[-1])]
        else:
            argv = [env_id, "--seed", str(seed), "--out", str(out), *line.arguments]
        try:
            problem = workers.submit(_run, COMMANDS[line.agent], argv).result()
        except BrokenProcessPool:
            problem = "the process that trained it, or another beside it, was killed; the same command goes on"
        if problem:
            raise RunFailed(problem)
        matching = _matching(env_id, line, seed, out)
    directory = next((run for run in reversed(matching) if _finished(run)), None)
    if directory is None:
        raise RunFailed("its run directory is not where it was expected")
    return read_result(directory)


def _finished(run: Path) -> bool:
    return (run / "summary.json").is_file()


def _matching(env_id: str, line: Line, seed: int, out: Path) -> list[Path]:
    """Run directories of exactly these settings, oldest first."""
    expected = {"env": env_id, "agent": line.agent, **line.settings, "seed": seed}
    runs = sorted((out / config.directory_name(env_id) / line.agent).glob(f"{seed}-*/config.yaml"))
    return [file.parent for file in runs if _read(file) == expected]


def _read(file: Path) -> dict[str, object]:
    try:
        return config.read_yaml(file)
    except ConfigError:  # a damaged run is none of these
        return {}
