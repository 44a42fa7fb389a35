"""Trains a suite over several seeds, longest runs first, and rewrites its page after every environment."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import cast

from tqdm import tqdm

from agents.evaluation import evaluate_still, evaluate_uniform
from agents.machine import machine
from agents.settings.files import directory_name
from agents.settings.schema import suggestion
from agents.settings.values import ConfigError
from envs import UnknownEnvironment
from rl.experiments.executors.workplace import Workplace
from rl.experiments.parallel import Line, finished, training
from rl.experiments.suites.candidates import Candidate, Runs
from rl.experiments.suites.figure import draw
from rl.experiments.suites.kept import CURVES, earlier_means, kept_runs, write_curves
from rl.experiments.suites.looks import LOOKS, Look, looks_at, read_looks, with_look, write_looks
from rl.experiments.suites.suite import Report, Suite, page
from rl.run.terminal import RunFailed

_BASELINE_SEEDS = 5  # Stable-Baselines3 uses only the suite's first seeds


def run(
    suite: Suite, command: str, only: Sequence[str], assignments: Sequence[str], seeds: Sequence[int], out: Path,
    results: Path, where: Workplace,
) -> None:  # fmt: skip
    """Trains the missing runs of the suite, and writes its page into a directory with the suite's name.

    command: shown on the page. only: environments to train; all if empty. assignments: settings on top of those of
    every environment. out: parent of run directories. results: parent of the page's directory. If a run fails, the
    others finish and the page is written; then RunFailed is raised.
    """
    path = results / suite.name / suite.name
    candidates, on = survey(suite, only, assignments, seeds, out, path.with_name(f"{suite.name}.json")), machine()
    looks = read_looks(path.with_name(LOOKS))
    for note in [*left_out(candidates, only), *_used_up(candidates, looks)]:
        print(f"note: {note}")

    def write() -> Report:
        entries = [candidate.entry(_pages(results, candidate.env)) for candidate in candidates]
        report = Report(command, on, seeds, entries, _looked(candidates, looks))
        _write(suite, report, path)
        return report

    try:
        train(candidates, out, where, write)
    finally:
        report = write()
    print(f"{page(suite, report)}written to {path.parent}")
    failures = [
        f"{each.env}, {runs.line.label}, seed {seed}: {text}"
        for each in candidates
        for runs in (each.ours, each.baseline)
        if runs
        for seed, text in runs.failures.items()
    ]
    if failures:
        raise RunFailed("; ".join(failures))


def _looked(candidates: Sequence[Candidate], looks: list[Look]) -> list[Look]:
    """The record of looks, with the finished runs added."""
    for each in candidates:
        if each.ours and each.ours.done:
            seen = [seed for seed in each.ours.seeds if seed in each.ours.done]
            looks = with_look(looks, Look(each.env, each.ours.recipe, seen))
    return looks


def _used_up(candidates: Sequence[Candidate], looks: Sequence[Look]) -> list[str]:
    """Environments to be trained on seeds on which another recipe was evaluated, as notes."""
    return [
        f"{each.env}: another recipe was evaluated on these seeds; a changed recipe needs new ones"
        for each in candidates
        if each.chosen and each.ours
        if any(look.recipe != each.ours.recipe for look in looks_at(looks, each.env, each.ours.seeds))
    ]


def _pages(results: Path, env_id: str) -> list[str]:
    """The environment's pages of searches and comparisons, relative to the suite's directory."""
    name = directory_name(env_id)
    return [f"../{name}/{page.name}" for page in sorted((results / name).glob("*.md"))]


def survey(
    suite: Suite, only: Sequence[str], assignments: Sequence[str], seeds: Sequence[int], out: Path, before: Path
) -> list[Candidate]:
    """Every environment of the suite, with its finished runs. only: environments to train; all if empty.

    before: the numbers of the page before, whose runs stand for those of environments that are not trained.
    Raises ConfigError if one of `only` is not in the suite, or if there is nothing to train and nothing trained.
    """
    for env_id in only:
        if env_id not in suite.envs:
            raise ConfigError(f"--only: {env_id!r} is not in the suite{suggestion(env_id, suite.envs)}")
    candidates = [_candidate(suite, env_id, assignments, seeds, out) for env_id in suite.envs]
    for candidate in tqdm(candidates, desc="random actions", unit=" environments", disable=None, leave=False):
        candidate.chosen = candidate.ours is not None and (not only or candidate.env in only)
        if candidate.ours:
            candidate.earlier = earlier_means(before, candidate.env, candidate.ours.line, candidate.ours.seeds)
        if not candidate.chosen:
            _keep(candidate, before)
        if candidate.ours and (candidate.chosen or candidate.ours.done):
            _play(suite, candidate, candidate.ours.line)
    if not any(candidate.chosen or (candidate.ours and candidate.ours.done) for candidate in candidates):
        raise ConfigError(f"nothing of the suite can be trained here: {'; '.join(left_out(candidates, only))}")
    return candidates


def _keep(candidate: Candidate, before: Path) -> None:
    """Takes the runs of the page before where run directories are missing."""
    for runs, section in ((candidate.ours, ""), (candidate.baseline, "baseline_")):
        if runs and runs.absent:
            found = kept_runs(before, candidate.env, runs.line, section)
            runs.done |= {seed: found[seed] for seed in runs.absent if seed in found}
            candidate.kept |= bool(found)


def left_out(candidates: Sequence[Candidate], only: Sequence[str]) -> list[str]:
    """The requested environments that cannot be trained, each with the reason."""
    asked = [candidate for candidate in candidates if not only or candidate.env in only]
    return [f"{candidate.env} is left out: {candidate.obstacle}" for candidate in asked if candidate.obstacle]


def _candidate(suite: Suite, env_id: str, assignments: Sequence[str], seeds: Sequence[int], out: Path) -> Candidate:
    line = suite.line(env_id, assignments)
    if line is None:
        return Candidate(env_id, None, obstacle=suite.no_line, published=suite.published.get(env_id))
    theirs = suite.baseline(env_id, assignments) if suite.baseline else None
    baseline = theirs and _runs(env_id, theirs, seeds[:_BASELINE_SEEDS], out)
    return Candidate(env_id, _runs(env_id, line, seeds, out), baseline, published=suite.published.get(env_id))


def _runs(env_id: str, line: Line, seeds: Sequence[int], out: Path) -> Runs:
    results = {seed: finished(env_id, line, seed, out) for seed in seeds}
    return Runs(line, seeds, {seed: result for seed, result in results.items() if result is not None})


def _play(suite: Suite, candidate: Candidate, line: Line) -> None:
    """Determines the scores of trivial policies, how long a run may take, and whether it can be trained here."""
    variant = suite.variant(line)
    try:
        evaluate_uniform(candidate.env, 1, variant=variant)  # warm-up: imports and compiles
        start = time.perf_counter()
        played = evaluate_uniform(candidate.env, variant=variant)
    except UnknownEnvironment as error:
        candidate.chosen, candidate.obstacle = False, str(error)
        return
    if played is not None:
        steps = cast(int, line.settings["total_timesteps"])
        candidate.random = played
        candidate.seconds = steps * (time.perf_counter() - start) / int(played.lengths.sum())
    if suite.still:
        candidate.still = evaluate_still(candidate.env, variant=variant)


def train(candidates: Sequence[Candidate], out: Path, where: Workplace, write: Callable[[], object]) -> None:
    """Trains the missing runs; calls `write` whenever an environment is complete while others are not.

    The slowest environments come first, and Stable-Baselines3, which is slower than ours, comes before ours, so that
    no process idles while another one trains a long run.
    """
    order = sorted((each for each in candidates if each.chosen), key=lambda each: each.seconds, reverse=True)
    tasks = [
        (each, runs, seed) for each in order for runs in (each.baseline, each.ours) if runs for seed in runs.absent
    ]
    waiting = Counter(each.env for each, _, _ in tasks)
    with training(where) as start, tqdm(total=len(tasks), unit=" runs", disable=None) as bar:
        futures = {start(each.env, runs.line, seed, out): (each, runs, seed) for each, runs, seed in tasks}
        for future in as_completed(futures):
            each, runs, seed = futures[future]
            try:
                runs.done[seed] = future.result()
            except RunFailed as failure:
                runs.failures[seed] = str(failure)
            bar.update()
            waiting[each.env] -= 1
            if not waiting[each.env] and waiting.total():
                write()


def _write(suite: Suite, report: Report, path: Path) -> None:
    """Writes the page, its numbers, the record of looks, and the figure if there is something to draw."""
    page(suite, report).write(path)
    write_curves(path.with_name(CURVES), {entry.env: entry.runs for entry in report.finished})
    write_looks(path.with_name(LOOKS), report.looks)
    if report.finished:
        draw(suite, report, path)
