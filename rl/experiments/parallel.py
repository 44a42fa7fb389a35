"""Runs many trainings in parallel, ours and SB3's; reuses finished ones, resumes interrupted ones."""

import math
import re
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from functools import partial
from multiprocessing import active_children
from pathlib import Path
from types import FrameType
from typing import NamedTuple, NoReturn, cast, get_type_hints

from tqdm import tqdm

from agents import checkpoint
from agents.settings.files import directory_name, read_yaml
from agents.settings.recipes import recipe_file
from agents.settings.run import chosen_settings, parse_assignment, updates_per_row
from agents.settings.schema import setting_defaults, setting_types, with_defaults
from agents.settings.values import ConfigError, convert, text_of
from agents.training import Hook
from envs import Backend, Variant
from envs.build import NUM_ENVS
from rl.experiments.executors.base import Executor, Job, WorkerLost
from rl.experiments.executors.workplace import Workplace
from rl.run.results import Result, is_finished, read_result
from rl.run.signals import stop
from rl.run.terminal import RunFailed
from rl.run.training import main as train_command

BASELINE = "sb3"  # Stable-Baselines3's A2C
_OF_FILES = ("checkpoint_interval", "keep")  # settings that change no number
_PAUSE = "pause_at"  # a setting that may differ between the parts of a run
_NAME_FILES = ("warm_start", "demonstrations", "teachers")  # settings
BASELINES = {BASELINE: "a2c", "sb3-ppo": "ppo"}  # what `rl.baseline` trains → whose settings; `rl.train` trains others


class Line(NamedTuple):
    """One line of a comparison: the settings shared by all its seeds."""

    label: str
    agent: str  # a name for `rl.train --agent`, or one of BASELINES
    settings: dict[str, object]  # all but the seed, as in config.yaml
    arguments: list[str]  # of the command that trains with these settings
    defaults: dict[str, object]

    @property
    def variant(self) -> Variant:
        """The variant of the environment that the line's runs use."""
        kinds = get_type_hints(Variant)  # settings contain lists, as YAML does
        return Variant(**{name: convert(self.settings[name], kind) for name, kind in kinds.items()})  # type: ignore[arg-type]

    @property
    def backend(self) -> Backend:
        return cast(Backend, self.settings["backend"])


Task = tuple[str, Line, int]  # an environment, a line and a seed
Train = Callable[[str, Line, int, Path], "Future[Result]"]  # (environment, line, seed, parent of run directories)


def prepare(
    label: str, agent: str, env_id: str, kinds: Sequence[type], file: Path | None, assignments: Sequence[str],
    total_timesteps: str | None,
) -> Line:  # fmt: skip
    """A line with the file's settings and, on top of them, the assignments. kinds: dataclasses of the settings."""
    if any(parse_assignment(assignment)[0] == "seed" for assignment in assignments):
        raise ConfigError(f"{label}: the seeds of its runs are those of --seeds; leave seed out")
    assignments = [f"{key}={value}" for key, value in dict(map(parse_assignment, assignments)).items()]  # the last wins
    arguments = ["--config", str(file)] if file else []
    arguments += ["--total-timesteps", total_timesteps] if total_timesteps else []
    arguments += [part for assignment in assignments for part in ("--set", assignment)]
    flags = {"total_timesteps": total_timesteps}
    chosen = chosen_settings(setting_types(*kinds), env_id, agent, file, assignments, flags)
    defaults = setting_defaults(*kinds)
    settings = with_defaults(chosen, defaults)
    del settings["seed"]
    return Line(label, agent, settings, arguments, defaults)


def budget(env_id: str, kinds: Sequence[type], agent: str = "a2c") -> str:
    """The training steps of the agent's recipe for the environment, or else the default. kinds: as for `prepare`."""
    file = recipe_file(env_id, agent)
    settings = chosen_settings(setting_types(*kinds), env_id, agent, file) if file else {}
    return str((setting_defaults(*kinds) | settings)["total_timesteps"])


@contextmanager
def training(where: Workplace) -> Iterator[Train]:
    """Yields a function that reuses, resumes or starts a run in this workplace and returns a future.

    The future raises RunFailed. Ctrl-C and SIGTERM raise KeyboardInterrupt once the runs in progress have saved a
    checkpoint.
    """
    with closing(where.open()) as executor, ThreadPoolExecutor(where.jobs) as pool:
        previous = signal.signal(signal.SIGTERM, _pass_on)
        try:
            yield lambda env_id, line, seed, out: pool.submit(_train_one, executor, env_id, line, seed, out)
        except KeyboardInterrupt:
            executor.interrupt()
            pool.shutdown(cancel_futures=True)
            raise
        finally:
            signal.signal(signal.SIGTERM, previous)


def _pass_on(number: int, frame: FrameType | None) -> NoReturn:
    """Forwards SIGTERM to the workers: unlike Ctrl-C in a terminal, it reaches only this process."""
    for process in active_children():
        process.terminate()
    stop(number)


def train_all(
    env_id: str, lines: Sequence[Line], seeds: Sequence[int], out: Path, where: Workplace
) -> list[list[Result]]:
    """The results of each line for all seeds, in order. See `train_tasks`."""
    results = train_tasks([(env_id, line, seed) for seed in seeds for line in lines], out, where)
    return [results[i :: len(lines)] for i in range(len(lines))]


def train_tasks(tasks: Sequence[Task], out: Path, where: Workplace) -> list[Result]:
    """The result of every task, in order. If a run fails, the others finish first, then RunFailed is raised."""
    results: dict[int, Result] = {}
    failures: list[str] = []
    with training(where) as train, tqdm(total=len(tasks), unit=" runs", disable=None) as bar:
        futures = {train(*task, out): i for i, task in enumerate(tasks)}
        for future in as_completed(futures):
            i = futures[future]
            try:
                results[i] = future.result()
            except RunFailed as failure:
                env_id, line, seed = tasks[i]
                failures.append(f"{env_id}, {line.label}, seed {seed}: {failure}")
            bar.update()
    if failures:
        raise RunFailed("; ".join(failures))
    return [results[i] for i in range(len(tasks))]


def _train_baseline(argv: list[str], hooks: Sequence[Hook] = ()) -> int:
    """hooks: ignored, since Stable-Baselines3 writes no checkpoints to resume from."""
    from rl.experiments.baseline import main  # importing Stable-Baselines3 takes two seconds

    return main(argv)


def _train_one(executor: Executor, env_id: str, line: Line, seed: int, out: Path) -> Result:
    """Reuses a finished run with these settings, resumes an interrupted one, or trains a new one.

    If the worker is lost, the run resumes from its newest checkpoint in another worker, if the executor has one.
    """
    argv = [env_id, "--seed", str(seed), *line.arguments, "--agent", BASELINES.get(line.agent, line.agent)]
    command = _train_baseline if line.agent in BASELINES else train_command
    changes = ["--pause-at", text_of(line.settings[_PAUSE])]
    job = Job(command, argv, out, partial(_unfinished, env_id, line, seed, out), _files(env_id, line), changes)
    done, newest, attempts = finished(env_id, line, seed, out), None, 0
    while done is None:
        before, run = newest, job.unfinished()
        newest = run and checkpoint.newest(run / "checkpoints")
        attempts = attempts + 1 if newest == before else 1
        try:
            executor.run(job)
        except WorkerLost:
            if attempts >= executor.attempts:
                raise
            continue
        done = finished(env_id, line, seed, out)
        if done is None:
            raise RunFailed("its run directory is not where it was expected")
    return done


def _files(env_id: str, line: Line) -> list[str]:
    """Files and run directories named by a run's command and settings."""
    values = [line.settings.get(name) for name in _NAME_FILES]
    named = [str(part) for value in values if value for part in (value if isinstance(value, list) else [value])]
    texts = [env_id, line.agent, *map(str, line.settings.values())]
    code = [file for text in texts for file in re.findall(r"[^\s'\[,]+\.py(?=:)", text)]  # file.py:Class
    return [*(line.arguments[1:2] if line.arguments[:1] == ["--config"] else []), *named, *code]


def _unfinished(env_id: str, line: Line, seed: int, out: Path) -> Path | None:
    """The newest resumable run with exactly these settings, if any; it may have been paused earlier."""
    if line.agent in BASELINES:
        return None
    runs = [run for run in _matching(env_id, line, seed, out, _PAUSE) if any(run.glob("checkpoints/*.pt"))]
    runs = [run for run in runs if _pause(_read(run / "config.yaml")) <= _pause(line.settings)]
    return runs[-1] if runs else None


def _pause(settings: Mapping[str, object]) -> float:
    """In environment steps."""
    pause = settings.get(_PAUSE)
    return pause if isinstance(pause, int) else math.inf


def finished(env_id: str, line: Line, seed: int, out: Path) -> Result | None:
    """The newest finished run with exactly these settings, if any."""
    runs = [run for run in _matching(env_id, line, seed, out) if is_finished(run)]
    return read_result(runs[-1]) if runs else None


def _matching(env_id: str, line: Line, seed: int, out: Path, but: str = "") -> list[Path]:
    """Run directories of exactly these settings, but for one, oldest first; a setting newer than a run counts as its
    default."""
    expected = resolved({"env": env_id, "agent": line.agent, **line.settings, "seed": seed}, but)
    runs = sorted((out / directory_name(env_id) / directory_name(line.agent)).glob(f"{seed}-*/config.yaml"))
    return [file.parent for file in runs if resolved(with_defaults(_read(file), line.defaults), but) == expected]


def resolved(settings: Mapping[str, object], but: str = "") -> dict[str, object]:
    """What decides a run's numbers: with the log_interval that null stands for, which older runs name."""
    settings = {key: value for key, value in settings.items() if key != but and key not in _OF_FILES}
    n_steps, num_envs, interval = (settings.get(name) for name in ("n_steps", "num_envs", "log_interval"))
    if interval is not None or not isinstance(n_steps, int):
        return settings
    steps = n_steps * (num_envs if isinstance(num_envs, int) else NUM_ENVS)
    return {**settings, "log_interval": updates_per_row(None, steps)}


def _read(file: Path) -> dict[str, object]:
    try:
        return read_yaml(file)
    except ConfigError:  # a damaged run matches nothing
        return {}
