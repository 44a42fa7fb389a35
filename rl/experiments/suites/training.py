"""Trains a suite from several seeds, the longest runs first, and rewrites its page after every environment."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from tqdm import tqdm

from agents.evaluation import Evaluation, evaluate_uniform
from agents.machine import machine
from agents.settings.files import directory_name
from agents.settings.schema import suggestion
from agents.settings.values import ConfigError
from envs import UnknownEnvironment, Variant
from rl.experiments.parallel import Line, finished, training
from rl.experiments.suites.figure import draw
from rl.experiments.suites.suite import Entry, Report, Suite, page
from rl.run.results import Result
from rl.run.terminal import RunFailed


@dataclass
class Candidate:
    """An environment of the suite: its settings, and its runs so far."""

    env: str
    line: Line | None
    runs: dict[int, Result]  # by seed, those that are finished
    chosen: bool = False  # whether this command trains it
    obstacle: str = ""  # why it cannot be trained here
    random: Evaluation | None = None  # of uniformly random actions
    seconds: float = 0.0  # estimate for stepping the environment in one run
    failures: dict[int, str] = field(default_factory=dict)  # by seed

    def entry(self, seeds: Sequence[int]) -> Entry:
        """As the page shows it."""
        absent = [seed for seed in seeds if seed not in self.runs]
        idle = [str(seed) for seed in absent if seed not in self.failures]
        missing = [f"seed {seed} failed: {text}" for seed, text in self.failures.items()]
        missing += [f"seed{'s' if len(idle) > 1 else ''} {', '.join(idle)} not finished"] if idle and self.line else []
        missing += [self.obstacle] if absent and self.obstacle else []
        runs = [self.runs[seed] for seed in seeds if seed in self.runs]
        return Entry(self.env, self.line and self.line.settings, runs, self.random, "; ".join(missing))


def run(
    suite: Suite, command: str, only: Sequence[str], assignments: Sequence[str], seeds: Sequence[int], out: Path,
    results: Path, jobs: int,
) -> None:  # fmt: skip
    """Trains the missing runs of the suite, and writes its page into a directory of its name.

    command: for the page. only: environments to train; all of the suite if it is empty. assignments: settings over
    those of every environment. out: parent of run directories. results: parent of the directory.
    Raises RunFailed if a run failed, after the others ended and the page was written.
    """
    candidates, on = survey(suite, only, assignments, seeds, out), machine()
    path = results / suite.name / suite.name
    for note in left_out(candidates, only):
        print(f"note: {note}")

    def report() -> Report:
        entries = [candidate.entry(seeds)._replace(pages=_pages(results, candidate.env)) for candidate in candidates]
        return Report(command, on, seeds, entries)

    try:
        train(candidates, seeds, out, jobs, lambda: _write(suite, report(), path))
    finally:
        _write(suite, report(), path)
    print(f"{page(suite, report())}written to {path.parent}")
    failures = [f"{each.env}, seed {seed}: {text}" for each in candidates for seed, text in each.failures.items()]
    if failures:
        raise RunFailed("; ".join(failures))


def _pages(results: Path, env_id: str) -> list[str]:
    """Searches and comparisons of an environment, from a directory beside its own."""
    name = directory_name(env_id)
    return [f"../{name}/{page.name}" for page in sorted((results / name).glob("*.md"))]


def survey(
    suite: Suite, only: Sequence[str], assignments: Sequence[str], seeds: Sequence[int], out: Path
) -> list[Candidate]:
    """Every environment of the suite, with its finished runs. only: which to train; all if it is empty.

    Raises ConfigError if one of `only` is not in the suite, or if there is nothing to train and nothing trained.
    """
    for env_id in only:
        if env_id not in suite.envs:
            raise ConfigError(f"--only: {env_id!r} is not in the suite{suggestion(env_id, suite.envs)}")
    candidates = [_candidate(suite, env_id, assignments, seeds, out) for env_id in suite.envs]
    for candidate in tqdm(candidates, desc="random actions", unit=" environments", disable=None, leave=False):
        candidate.chosen = candidate.line is not None and (not only or candidate.env in only)
        if candidate.line and (candidate.chosen or candidate.runs):
            _play_randomly(candidate, candidate.line, suite.variant(candidate.line))
    if not any(candidate.chosen or candidate.runs for candidate in candidates):
        raise ConfigError(f"nothing of the suite can be trained here: {'; '.join(left_out(candidates, only))}")
    return candidates


def left_out(candidates: Sequence[Candidate], only: Sequence[str]) -> list[str]:
    """The environments that were asked for and cannot be trained, each with the reason."""
    asked = [candidate for candidate in candidates if not only or candidate.env in only]
    return [f"{candidate.env} is left out: {candidate.obstacle}" for candidate in asked if candidate.obstacle]


def _candidate(suite: Suite, env_id: str, assignments: Sequence[str], seeds: Sequence[int], out: Path) -> Candidate:
    line = suite.line(env_id, assignments)
    if line is None:
        return Candidate(env_id, None, {}, obstacle=suite.no_line)
    results = {seed: finished(env_id, line, seed, out) for seed in seeds}
    return Candidate(env_id, line, {seed: result for seed, result in results.items() if result is not None})


def _play_randomly(candidate: Candidate, line: Line, variant: Variant) -> None:
    """Fills in what random actions score, how long a run may take, and why it cannot be trained here."""
    try:
        evaluate_uniform(candidate.env, 1, variant=variant)  # imports and compiles
        start = time.perf_counter()
        played = evaluate_uniform(candidate.env, variant=variant)
    except UnknownEnvironment as error:
        candidate.chosen, candidate.obstacle = False, str(error)
        return
    if played is not None:
        steps = cast(int, line.settings["total_timesteps"])
        candidate.random = played
        candidate.seconds = steps * (time.perf_counter() - start) / int(played.lengths.sum())


def train(
    candidates: Sequence[Candidate], seeds: Sequence[int], out: Path, jobs: int, write: Callable[[], None]
) -> None:
    """Trains the missing runs, and calls `write` whenever an environment is complete while others are not.

    The slowest environments come first, so that no process idles while another still trains a long run.
    """
    order = sorted((each for each in candidates if each.chosen), key=lambda each: each.seconds, reverse=True)
    tasks = [(each, cast(Line, each.line), seed) for each in order for seed in seeds if seed not in each.runs]
    waiting = Counter(each.env for each, _, _ in tasks)
    with training(jobs) as start, tqdm(total=len(tasks), unit=" runs", disable=None) as bar:
        futures = {start(each.env, line, seed, out): (each, seed) for each, line, seed in tasks}
        for future in as_completed(futures):
            each, seed = futures[future]
            try:
                each.runs[seed] = future.result()
            except RunFailed as failure:
                each.failures[seed] = str(failure)
            bar.update()
            waiting[each.env] -= 1
            if not waiting[each.env] and waiting.total():
                write()


def _write(suite: Suite, report: Report, path: Path) -> None:
    """The page, its numbers, and the figure once there is something to draw."""
    page(suite, report).write(path)
    if report.finished:
        draw(suite, report, path)
