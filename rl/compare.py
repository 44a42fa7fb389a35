"""`python -m rl.compare ENV --seeds 0-19`: trains many seeds side by side, then writes their table and figure.

A run that is there already, finished and with the same settings, is taken as it is; one that was interrupted goes on
from its checkpoint.
"""

import json
import shlex
import subprocess
import sys
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from tqdm import tqdm

from agents import A2C
from envs import make
from rl import config
from rl.command import DONE, Parser, RunFailed, run
from rl.config import RunSettings
from rl.plot import seed_curves
from rl.record import write_json
from rl.statistics import mean_interval
from rl.typed import ConfigError, plain

_SCORES = {"Deterministic": "eval_mean", "Stochastic": "eval_stochastic_mean"}


class Result(NamedTuple):
    """One finished seed."""

    directory: Path
    summary: dict[str, float]


def _parser() -> Parser:
    parser = Parser(prog="rl.compare", description="Train many seeds of an environment, and tabulate and draw them.")
    parser.add_argument("env", metavar="ENV")
    parser.add_argument("--seeds", default="0-9", metavar="A-B", help="0-9, or 0,3,7 (default 0-9)")
    parser.add_argument(
        "--name", default="a2c", help="of the files written: NAME.md, NAME.json, NAME.png (default a2c)"
    )
    parser.add_argument("--jobs", default="2", metavar="J", help="runs side by side, one thread each (default 2)")
    parser.add_argument("--total-timesteps", metavar="N")
    parser.add_argument("--config", type=Path, metavar="FILE")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument(
        "--out", type=Path, default=Path("results/runs"), metavar="DIR", help="parent of run directories"
    )
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="parent of ENV's results")
    return parser


def main(argv: list[str]) -> int:
    args = _parser().parse_args(argv)
    if "/" in args.name:
        raise ConfigError(f"--name is the name of files, not a path, got {args.name!r}")
    settings, seeds = _settings(args), _seeds(args.seeds)
    threshold = _threshold(args.env, settings)
    jobs = int(str(config.merge({"--jobs": int}, [("command line", {"--jobs": args.jobs})])["--jobs"]))
    results = _run_all(args, settings, seeds, max(jobs, 1))
    directory = args.results / config.directory_name(args.env)
    directory.mkdir(parents=True, exist_ok=True)
    command = shlex.join(["python", "-m", "rl.compare", *argv])
    title = f"{args.env}: {args.name}, {len(seeds)} seeds"
    seed_curves([result.directory for result in results], directory / f"{args.name}.png", title, threshold)
    table = _table(title, settings, results, threshold, command)
    (directory / f"{args.name}.md").write_text(table, encoding="utf-8")
    content = {"command": command, "settings": settings, "runs": [result.summary for result in results]}
    write_json(directory / f"{args.name}.json", content)
    print(table)
    print(f"written to {directory}")
    return DONE


def _settings(args: Namespace) -> dict[str, object]:
    """The complete settings of every run but its seed, as config.yaml holds them."""
    file = args.config or config.recipe(args.env)
    known = config.schema(A2C, RunSettings)
    chosen = config.gather(known, args.env, "a2c", file, args.set, {"total_timesteps": args.total_timesteps})
    return {key: plain(value) for key, value in (config.defaults(A2C, RunSettings) | chosen).items()}


def _seeds(text: str) -> list[int]:
    """ "0-3,7" → [0, 1, 2, 3, 7]."""
    try:
        parts = [part.split("-") for part in text.split(",")]
        seeds = [seed for first, *last in parts for seed in range(int(first), int(last[0] if last else first) + 1)]
    except ValueError:
        seeds = []
    if not seeds:
        raise ConfigError(f"--seeds takes a range such as 0-9 or a list such as 0,3,7, got {text!r}")
    return list(dict.fromkeys(seeds))


def _threshold(env_id: str, settings: dict[str, object]) -> float | None:
    """Of the environment, which is built once here so that a mistake ends the command before any run starts."""
    limit = cast("int | None", settings["max_episode_steps"])
    worlds = make(
        env_id, 1, max_episode_steps=limit, env_kwargs=cast("dict[str, object] | None", settings["env_kwargs"])
    )
    worlds.close()
    return worlds.reward_threshold


def _run_all(args: Namespace, settings: dict[str, object], seeds: list[int], jobs: int) -> list[Result]:
    """Every seed's result, in order. Raises RunFailed after the others have ended if any seed failed."""
    results: dict[int, Result] = {}
    failures: list[str] = []
    with ThreadPoolExecutor(jobs) as pool, tqdm(total=len(seeds), unit=" runs", disable=None) as bar:
        futures = {pool.submit(_run_one, args, {**settings, "seed": seed}, seed): seed for seed in seeds}
        try:
            for future in as_completed(futures):
                try:
                    results[futures[future]] = future.result()
                except RunFailed as failure:
                    failures.append(f"seed {futures[future]}: {failure}")
                bar.update()
        except KeyboardInterrupt:  # the runs under way have had it too, and save themselves
            pool.shutdown(cancel_futures=True)
            raise
    if failures:
        raise RunFailed("; ".join(failures))
    return [results[seed] for seed in seeds]


def _run_one(args: Namespace, settings: dict[str, object], seed: int) -> Result:
    """Takes a finished run with these settings, goes on with an interrupted one, or trains a new one."""
    matching = _matching(args, settings, seed)
    unfinished = [run for run in matching if not (run / "summary.json").is_file() and any(run.glob("checkpoints/*.pt"))]
    if all(not (run / "summary.json").is_file() for run in matching):
        command = [sys.executable, "-m", "rl.train"]
        if unfinished:
            command += ["--resume", str(unfinished[-1])]
        else:
            command += [args.env, "--seed", str(seed), "--out", str(args.out)]
            command += ["--config", str(args.config)] if args.config else []
            command += ["--total-timesteps", args.total_timesteps] if args.total_timesteps else []
            command += [part for assignment in args.set for part in ("--set", assignment)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RunFailed(
                done.stderr.strip().splitlines()[-1].removeprefix("error: ") if done.stderr else "no message"
            )
        matching = _matching(args, settings, seed)
    directory = next((run for run in reversed(matching) if (run / "summary.json").is_file()), None)
    if directory is None:
        raise RunFailed("its run directory is not where it was expected")
    return Result(directory, json.loads((directory / "summary.json").read_text(encoding="utf-8")))


def _matching(args: Namespace, settings: dict[str, object], seed: int) -> list[Path]:
    """Run directories of exactly these settings, oldest first."""
    expected = {"env": args.env, "agent": "a2c", **settings}
    runs = sorted((args.out / config.directory_name(args.env) / "a2c").glob(f"{seed}-*/config.yaml"))
    return [file.parent for file in runs if _read(file) == expected]


def _read(file: Path) -> dict[str, object]:
    try:
        return config.read_yaml(file)
    except ConfigError:  # a damaged run is none of these
        return {}


def _table(title: str, settings: dict[str, object], results: list[Result], threshold: float | None, made: str) -> str:
    """Markdown: the settings that differ from the defaults, a row a seed, and the summary over seeds."""
    usual = config.defaults(A2C, RunSettings)
    changed = [f"`{key}: {value}`" for key, value in settings.items() if value != plain(usual[key])]
    lines = [
        f"# {title}",
        "",
        f"Made by `{made}`. Settings that differ from the defaults: {', '.join(changed) or 'none'}.",
        "Returns are mean ± standard deviation over the episodes of the final evaluation; intervals are 95 % bootstrap",
        "intervals of the mean over seeds; seconds are those of training, one thread, other runs beside it.",
        "",
        "| seed | deterministic | stochastic | solved at step | steps | seconds |",
        "|---:|---:|---:|---:|---:|---:|",
        *(_row(result.summary) for result in results),
        "",
        *(_score(name, [result.summary[key] for result in results], threshold) for name, key in _SCORES.items()),
    ]
    seconds = np.median([result.summary["train_seconds"] for result in results])
    lines.append(f"- Training: {results[0].summary['total_timesteps']:,} steps in {seconds:.0f} seconds (median).")
    if threshold is not None:
        solved = [step for result in results if (step := result.summary["solved_at"])]
        when = f", at step {np.median(solved):,.0f} (median)" if solved else ""
        lines.append(f"- Training return, last 100 episodes: {threshold:g} in {len(solved)} of {len(results)}{when}.")
    return "\n".join(lines) + "\n"


def _row(summary: dict[str, float]) -> str:
    solved = f"{summary['solved_at']:,}" if summary["solved_at"] else "–"
    return (
        f"| {summary['seed']} | {summary['eval_mean']:.1f} ± {summary['eval_std']:.1f} "
        f"| {summary['eval_stochastic_mean']:.1f} ± {summary['eval_stochastic_std']:.1f} "
        f"| {solved} | {summary['total_timesteps']:,} | {summary['train_seconds']:.0f} |"
    )


def _score(name: str, scores: list[float], threshold: float | None) -> str:
    mean, low, high = mean_interval(scores)
    line = f"- {name}: mean {mean:.1f} [{low:.1f}, {high:.1f}], worst seed {min(scores):.1f}"
    if threshold is not None:
        line += f", at least {threshold:g} in {sum(score >= threshold for score in scores)} of {len(scores)}"
    return line + "."


if __name__ == "__main__":
    run(main)
