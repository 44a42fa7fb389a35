"""`python -m rl.compare ENV --seeds 0-19`: trains many seeds side by side, then writes their table and figure.

With `--line LABEL KEY=VALUE …`, several times, each line trains every seed with settings of its own, and table and
figure compare the lines. A run that is there already, finished and with the same settings, is taken as it is; one that
was interrupted goes on from its checkpoint.
"""

import shlex
from argparse import Namespace
from pathlib import Path
from typing import cast

from agents import A2C
from envs import make
from rl import config
from rl.command import DONE, Parser, run
from rl.config import RunSettings
from rl.launch import Line, train_all
from rl.plot import line_curves, seed_curves
from rl.record import write_json
from rl.report import Comparison, line_table, seed_table
from rl.typed import ConfigError, plain


def _parser() -> Parser:
    parser = Parser(prog="rl.compare", description="Train many seeds of an environment, and tabulate and draw them.")
    parser.add_argument("env", metavar="ENV")
    parser.add_argument("--seeds", default="0-9", metavar="A-B", help="0-9, or 0,3,7 (default 0-9)")
    parser.add_argument(
        "--line", action="append", default=[], nargs="+", metavar=("LABEL", "KEY=VALUE"),
        help="a line of the comparison: its label, and settings or a YAML file of its own; may be repeated",
    )  # fmt: skip
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
    lines = [_line(args, *line) for line in args.line or [[args.name]]]
    for what, values in (("a label", [line.label for line in lines]), ("settings", [line.settings for line in lines])):
        if any(value in values[:i] for i, value in enumerate(values)):
            raise ConfigError(f"every --line needs {what} of its own")
    seeds, thresholds = _seeds(args.seeds), [_threshold(args.env, line.settings) for line in lines]
    jobs = int(str(config.merge({"--jobs": int}, [("command line", {"--jobs": args.jobs})])["--jobs"]))
    results = train_all(args.env, lines, seeds, args.out, max(jobs, 1))
    directory = args.results / config.directory_name(args.env)
    directory.mkdir(parents=True, exist_ok=True)
    title, made = f"{args.env}: {args.name}, {len(seeds)} seeds", shlex.join(["python", "-m", "rl.compare", *argv])
    comparison = Comparison(title, made, lines, results, _usual(), thresholds[0])
    table = (_write_seeds if len(lines) == 1 else _write_lines)(comparison, directory / args.name)
    print(table)
    print(f"written to {directory}")
    return DONE


def _write_seeds(comparison: Comparison, path: Path) -> str:
    """Table, numbers and figure of a single line: every seed is shown. Returns the table."""
    title, made, (line,), (runs,), _, threshold = comparison
    content = {"command": made, "settings": line.settings, "runs": [run.summary for run in runs]}
    write_json(path.with_suffix(".json"), content)
    seed_curves([run.directory for run in runs], path.with_suffix(".png"), title, threshold)
    return _write_table(seed_table(comparison), path)


def _write_lines(comparison: Comparison, path: Path) -> str:
    """Table, numbers and figure of several lines, means over seeds. Returns the table."""
    title, made, lines, results, _, threshold = comparison
    pairs = list(zip(lines, results, strict=True))
    content = [
        {"label": line.label, "settings": line.settings, "runs": [run.summary for run in runs]} for line, runs in pairs
    ]
    write_json(path.with_suffix(".json"), {"command": made, "lines": content})
    directories = {line.label: [run.directory for run in runs] for line, runs in pairs}
    line_curves(directories, path.with_suffix(".png"), title, threshold)
    return _write_table(line_table(comparison), path)


def _write_table(table: str, path: Path) -> str:
    config.write_text(path.with_suffix(".md"), table)
    return table


def _line(args: Namespace, label: str, *own: str) -> Line:
    """The command's settings, and over them those of the line; a YAML file stands in place of the command's."""
    files = [item for item in own if item.endswith((".yaml", ".yml"))]
    if len(files) > 1:
        raise ConfigError(f"--line {label}: one YAML file at most, got {', '.join(files)}")
    file = Path(files[0]) if files else args.config
    assignments = [*args.set, *(item for item in own if item not in files)]
    arguments = ["--config", str(file)] if file else []
    arguments += ["--total-timesteps", args.total_timesteps] if args.total_timesteps else []
    arguments += [part for assignment in assignments for part in ("--set", assignment)]
    flags = {"total_timesteps": args.total_timesteps}
    known = config.schema(A2C, RunSettings)
    chosen = config.gather(known, args.env, "a2c", file or config.recipe(args.env), assignments, flags)
    settings = {key: plain(value) for key, value in (_usual() | chosen).items() if key != "seed"}
    return Line(label, settings, arguments)


def _usual() -> dict[str, object]:
    """The default of every setting but the seed, as config.yaml holds it."""
    return {key: plain(value) for key, value in config.defaults(A2C, RunSettings).items() if key != "seed"}


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


if __name__ == "__main__":
    run(main)
