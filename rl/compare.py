"""`python -m rl.compare ENV --seeds 0-9`: ours beside Stable-Baselines3, many seeds, a table and a figure.

The lines: single-step and five-step updates at Stable-Baselines3's hyper-parameters, by either side, and our recipe for
the environment. `--agents` chooses among them; `--line LABEL KEY=VALUE …` adds lines with settings of their own, or
makes a sweep if it stands alone. `--suite zoo` trains every recipe, in the environments of rl-baselines3-zoo, to hold
the scores to those published there; `--suite unseen` trains environments that no recipe is made for, at the defaults,
to hold the scores to those of random actions. A run that is there already, finished and with the same settings, is
taken as it is; one of ours that was interrupted goes on from its checkpoint.
"""

import shlex
from argparse import Namespace
from pathlib import Path
from typing import NamedTuple, cast

from agents import A2C, registry
from agents.settings import A2CSettings
from envs import make
from rl import config, figures
from rl.command import DONE, Parser, run
from rl.config import RunSettings
from rl.evaluation import evaluate_uniform
from rl.launch import BASELINE, Line, budget, parse_seeds, prepare, train_all
from rl.play import evaluation_backend
from rl.record import machine, write_json
from rl.report import Comparison, as_plain, comparison_table, line_statistics, sweep_table
from rl.runs import build
from rl.suites import training as suites
from rl.typed import ConfigError
from rl.unseen.suite import UNSEEN
from rl.zoo.suite import ZOO


class Preset(NamedTuple):
    """A line that needs no settings to be named."""

    label: str
    agent: str
    n_steps: int | None  # at the defaults, which are SB3's; None takes the environment's recipe


PRESETS = {
    "ours-1": Preset("ours, 1 step", "a2c", 1),
    "sb3-1": Preset("SB3, 1 step", "sb3", 1),
    "ours-5": Preset("ours, 5 steps", "a2c", 5),
    "sb3-5": Preset("SB3, 5 steps", "sb3", 5),
    "recipe": Preset("ours, recipe", "a2c", None),
}

SUITES = {suite.name: suite for suite in (ZOO, UNSEEN)}


def _parser() -> Parser:
    parser = Parser(prog="rl.compare", description="Train many seeds, ours beside Stable-Baselines3's; tabulate, draw.")
    parser.add_argument("env", nargs="?", metavar="ENV")
    about = "; ".join(f"{suite.name}, {suite.about}" for suite in SUITES.values())
    parser.add_argument("--suite", choices=SUITES, help=f"many environments in place of ENV: {about}")
    parser.add_argument("--only", nargs="+", default=[], metavar="ENV", help="which of it to train (default all)")
    parser.add_argument("--seeds", metavar="A-B", help="0-9, or 0,3,7 (default 0-9, or the suite's own)")
    parser.add_argument(
        "--agents", nargs="+", choices=PRESETS, metavar="AGENT",
        help=f"which of {', '.join(PRESETS)} (default all, or none beside --line)",
    )  # fmt: skip
    parser.add_argument(
        "--line", action="append", default=[], nargs="+", metavar=("LABEL", "KEY=VALUE"),
        help="a further line: its label, settings over the recipe, a YAML file in its place, agent=sb3; repeatable",
    )  # fmt: skip
    parser.add_argument("--name", help="of the files written (default comparison)")
    parser.add_argument("--jobs", default="2", metavar="J", help="runs side by side, one thread each (default 2)")
    parser.add_argument("--total-timesteps", metavar="N", help="of every line (default: the recipe's)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of every line")
    parser.add_argument("--threshold", metavar="R", help="a training return to reach (default: the environment's own)")
    parser.add_argument(
        "--out", type=Path, default=Path("results/runs"), metavar="DIR", help="parent of run directories"
    )
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="parent of ENV's results")
    return parser


def main(argv: list[str]) -> int:
    args = _parser().parse_args(argv)
    if (args.env is None) == (args.suite is None):
        raise ConfigError(
            f"name an environment, such as CartPole-v1, or --suite {' or '.join(SUITES)}: one of them, not both"
        )
    return _compare(args, argv) if args.suite is None else _suite(args, argv)


def _suite(args: Namespace, argv: list[str]) -> int:
    """Many environments, each with the suite's own settings."""
    suite = SUITES[args.suite]
    for name in ("agents", "line", "name", "total_timesteps", "threshold"):
        if getattr(args, name) not in (None, []):
            flag = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{flag} does not go with --suite, which has its own lines; --set goes over all of them")
    seeds = parse_seeds(suite.seeds if args.seeds is None else args.seeds)
    suites.run(suite, _made(argv), args.only, args.set, seeds, args.out, args.results, _jobs(args))
    return DONE


def _compare(args: Namespace, argv: list[str]) -> int:
    """The lines side by side, in one environment."""
    if args.only:
        raise ConfigError("--only chooses environments of a suite; give it beside --suite")
    name = "comparison" if args.name is None else args.name
    if "/" in name:
        raise ConfigError(f"--name is the name of files, not a path, got {name!r}")
    given = config.merge({"--threshold": float}, [("command line", _given(args, "threshold"))])
    jobs, presets = _jobs(args), _presets(args)
    if presets and args.total_timesteps is None:  # one budget for all lines
        args.total_timesteps = budget(args.env, (A2C, RunSettings))
    lines, seeds = _lines(args, presets), parse_seeds("0-9" if args.seeds is None else args.seeds)
    own = [_check(args.env, line) for line in lines]
    threshold = cast("float | None", given.get("--threshold", own[0]))
    random = evaluate_uniform(args.env, variant=lines[0].variant, backend=evaluation_backend(lines[0].backend))
    results = train_all(args.env, lines, seeds, args.out, jobs)
    directory = args.results / config.directory_name(args.env)
    directory.mkdir(parents=True, exist_ok=True)
    title = f"{args.env}: {name}, {len(seeds)} seed{'s' if len(seeds) > 1 else ''}"
    comparison = Comparison(title, _made(argv), machine(), lines, results, threshold, random and random.mean)
    print(_write(comparison, directory / name, sweep=not presets))
    print(f"written to {directory}")
    return DONE


def _write(of: Comparison, path: Path, sweep: bool) -> str:
    """Table, numbers and figure. Returns the table."""
    runs = {line.label: list(results) for line, results in zip(of.lines, of.results, strict=True)}
    content = [
        {
            "label": line.label,
            "agent": line.agent,
            "settings": line.settings,
            "statistics": as_plain(line_statistics(runs[line.label], of.threshold)),
            "runs": [run.summary for run in runs[line.label]],
        }
        for line in of.lines
    ]
    about = {"command": of.made, "machine": of.machine, "threshold": of.threshold, "random": of.random}
    write_json(path.with_suffix(".json"), about | {"lines": content})
    if sweep:
        figures.sweep(runs, path.with_suffix(".png"), of.title, of.threshold)
    else:
        references = {"uniformly random actions": of.random, "threshold": of.threshold}
        known = {name: score for name, score in references.items() if score is not None}
        figures.comparison(runs, path, of.title, known)
    table = sweep_table(of) if sweep else comparison_table(of)
    config.write_text(path.with_suffix(".md"), table)
    return table


def _presets(args: Namespace) -> list[str]:
    """The presets asked for; by default all that there are for this environment."""
    if args.agents is not None or args.line:
        return list(dict.fromkeys(args.agents or []))
    if config.recipe(args.env):
        return list(PRESETS)
    print(f"note: no recipe ships for {args.env}; the line {PRESETS['recipe'].label!r} is left out")
    return [name for name in PRESETS if name != "recipe"]


def _lines(args: Namespace, presets: list[str]) -> list[Line]:
    lines = [_preset(args, name) for name in presets] + [_line(args, *line) for line in args.line]
    values: tuple[tuple[str, list[object]], ...] = (
        ("a label", [line.label for line in lines]),
        ("settings", [(line.agent, line.settings) for line in lines]),
    )
    for what, each in values:
        if any(value in each[:i] for i, value in enumerate(each)):
            raise ConfigError(f"every line needs {what} of its own")
    return lines


def _preset(args: Namespace, name: str) -> Line:
    preset, own = PRESETS[name], config.recipe(args.env)
    if preset.n_steps is None and own is None:
        raise ConfigError(f"no recipe ships for {args.env!r}: leave {name!r} out of --agents")
    if preset.n_steps is None:
        return _build(args, preset.label, preset.agent, own, [])
    return _build(args, preset.label, preset.agent, config.recipe("sb3-defaults"), [f"n_steps={preset.n_steps}"])


def _line(args: Namespace, label: str, *own: str) -> Line:
    """A YAML file stands in place of the recipe."""
    files = [item for item in own if item.endswith((".yaml", ".yml"))]
    if len(files) > 1:
        raise ConfigError(f"--line {label}: one YAML file at most, got {', '.join(files)}")
    assignments = [item for item in own if item not in files]
    agents = [item.removeprefix("agent=") for item in assignments if item.startswith("agent=")] or ["a2c"]
    if agents[-1] not in (known := (*registry.NAMES, BASELINE)):
        raise ConfigError(f"--line {label}: agent is one of {', '.join(known)}, got {agents[-1]!r}")
    file = Path(files[0]) if files else config.recipe(args.env, "a2c" if agents[-1] == BASELINE else agents[-1])
    return _build(args, label, agents[-1], file, [item for item in assignments if not item.startswith("agent=")])


def _build(args: Namespace, label: str, agent: str, file: Path | None, own: list[str]) -> Line:
    """The file's settings, over them the line's own, and over them those of the command."""
    kinds = (A2C,) if agent == BASELINE else registry.kinds(agent)
    return prepare(label, agent, args.env, (*kinds, RunSettings), file, [*args.set, *own], args.total_timesteps)


def _made(argv: list[str]) -> str:
    return shlex.join(["python", "-m", "rl.compare", *argv])


def _jobs(args: Namespace) -> int:
    return max(cast(int, config.merge({"--jobs": int}, [("command line", _given(args, "jobs"))])["--jobs"]), 1)


def _given(args: Namespace, *names: str) -> dict[str, object]:
    return {f"--{name}": getattr(args, name) for name in names if getattr(args, name) is not None}


def _check(env_id: str, line: Line) -> float | None:
    """Builds the agent and the environment once, and checks what SB3 cannot do, so that a mistake ends the command
    before any run starts. Returns the environment's reward threshold."""
    if line.agent == BASELINE:
        from agents.sb3 import check_settings  # two seconds

        known = config.schema(A2CSettings).keys() - {"seed"}  # which a line does not have
        check_settings(A2CSettings(env_id, **{key: line.settings[key] for key in known}))  # type: ignore[arg-type]
    else:
        try:
            agent, _ = build(line.agent, env_id, line.settings)
        except ConfigError as error:
            raise ConfigError(f"{line.label}: {error}") from None
        agent.worlds.close()
    worlds = make(env_id, 1, variant=line.variant, backend=evaluation_backend(line.backend))
    worlds.close()
    return worlds.reward_threshold


if __name__ == "__main__":
    run(main)
