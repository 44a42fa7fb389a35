"""Many runs side by side, ours and Stable-Baselines3's, each taken as it is, gone on with, or begun."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple, cast

from tqdm import tqdm

from rl import config
from rl.command import ANTICIPATED, DONE, RunFailed
from rl.record import Result, read_result
from rl.typed import ConfigError, plain

COMMANDS = {"a2c": "rl.train", "sb3": "rl.baseline"}


class Line(NamedTuple):
    """One line of a comparison: settings that every seed of it shares."""

    label: str
    agent: str  # "a2c", which `rl.train` trains, or "sb3", which `rl.baseline` does
    settings: dict[str, object]  # complete but for the seed, as config.yaml holds them
    arguments: list[str]  # of its command, which give these settings

    @property
    def max_episode_steps(self) -> int | None:
        return cast("int | None", self.settings["max_episode_steps"])

    @property
    def env_kwargs(self) -> dict[str, object] | None:
        return cast("dict[str, object] | None", self.settings["env_kwargs"])


Train = Callable[[str, Line, int, Path], "Future[Result]"]  # of an environment, a line, a seed and a parent of runs


def prepare(
    label: str, agent: str, env_id: str, kinds: Sequence[type], file: Path | None, assignments: Sequence[str],
    total_timesteps: str | None,
) -> Line:  # fmt: skip
    """The file's settings, and over them the assignments. kinds: the dataclasses whose settings these are."""
    arguments = ["--config", str(file)] if file else []
    arguments += ["--total-timesteps", total_timesteps] if total_timesteps else []
    arguments += [part for assignment in assignments for part in ("--set", assignment)]
    flags = {"total_timesteps": total_timesteps}
    chosen = config.gather(config.schema(*kinds), env_id, agent, file, assignments, flags)
    complete = config.defaults(*kinds) | chosen
    return Line(label, agent, {key: plain(value) for key, value in complete.items() if key != "seed"}, arguments)


def parse_seeds(text: str) -> list[int]:
    """ "0-3,7" → [0, 1, 2, 3, 7]."""
    try:
        parts = [part.split("-") for part in text.split(",")]
        found = [seed for first, *last in parts for seed in range(int(first), int(last[0] if last else first) + 1)]
    except ValueError:
        found = []
    if not found:
        raise ConfigError(f"--seeds takes a range such as 0-9 or a list such as 0,3,7, got {text!r}")
    return list(dict.fromkeys(found))


@contextmanager
def training(jobs: int) -> Iterator[Train]:
    """Yields what takes a run as it is, goes on with it, or begins it, in as many processes as there are jobs.

    Runs take turns in the processes, since importing takes longer than many a run. The future raises RunFailed.
    """
    with closing(_Workers(jobs)) as workers, ThreadPoolExecutor(jobs) as pool:
        try:
            yield lambda env_id, line, seed, out: pool.submit(_train_one, workers, env_id, line, seed, out)
        except KeyboardInterrupt:  # the runs under way have had it too, and save themselves
            pool.shutdown(cancel_futures=True)
            raise


def train_all(env_id: str, lines: Sequence[Line], seeds: Sequence[int], out: Path, jobs: int) -> list[list[Result]]:
    """For each line the result of every seed, in order. Raises RunFailed if any run failed, after the others ended."""
    results: dict[tuple[int, int], Result] = {}
    failures: list[str] = []
    tasks = [(i, seed) for seed in seeds for i in range(len(lines))]
    with training(jobs) as train, tqdm(total=len(tasks), unit=" runs", disable=None) as bar:
        futures = {train(env_id, lines[i], seed, out): (i, seed) for i, seed in tasks}
        for future in as_completed(futures):
            i, seed = futures[future]
            try:
                results[i, seed] = future.result()
            except RunFailed as failure:
                failures.append(f"{lines[i].label}, seed {seed}: {failure}")
            bar.update()
    if failures:
        raise RunFailed("; ".join(failures))
    return [[results[i, seed] for seed in seeds] for i in range(len(lines))]


class _Workers:
    """Processes in which commands take turns. One that is killed costs its own run only: another takes its place."""

    def __init__(self, jobs: int) -> None:
        self._jobs, self._idle = jobs, SimpleQueue[ProcessPoolExecutor]()
        for _ in range(jobs):
            self._idle.put(_process())

    def run(self, module: str, argv: list[str]) -> str:
        """Waits for a process, and for the command in it. Returns what went wrong, in one line, or nothing."""
        process = self._idle.get()
        try:
            return process.submit(_run, module, argv).result()
        except BrokenProcessPool:
            process.shutdown(wait=False)
            process = _process()
            return "the process that trained it was killed; the same command goes on"
        except Exception as error:  # a fault of the code's own; runs beside it and after it are worth having
            return f"{type(error).__name__}: {' '.join(str(error).split())}"
        finally:
            self._idle.put(process)

    def close(self) -> None:
        for _ in range(self._jobs):
            self._idle.get().shutdown()


def _process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, get_context("spawn"), _be_quiet)


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


def _train_one(workers: _Workers, env_id: str, line: Line, seed: int, out: Path) -> Result:
    """Takes a finished run with these settings, goes on with an interrupted one, or trains a new one."""
    done = finished(env_id, line, seed, out)
    if done is None:
        matching = _matching(env_id, line, seed, out)
        unfinished = [run for run in matching if line.agent == "a2c" and any(run.glob("checkpoints/*.pt"))]
        if unfinished:
            argv = ["--resume", str(unfinished[-1])]
        else:
            argv = [env_id, "--seed", str(seed), "--out", str(out), *line.arguments]
        problem = workers.run(COMMANDS[line.agent], argv)
        if problem:
            raise RunFailed(problem)
        done = finished(env_id, line, seed, out)
    if done is None:
        raise RunFailed("its run directory is not where it was expected")
    return done


def finished(env_id: str, line: Line, seed: int, out: Path) -> Result | None:
    """The newest finished run of exactly these settings, if there is one."""
    runs = [run for run in _matching(env_id, line, seed, out) if (run / "summary.json").is_file()]
    return read_result(runs[-1]) if runs else None


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
