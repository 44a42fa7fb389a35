"""`python -m rl.compare ENV`: our agents beside Stable-Baselines3's over many seeds, as a table and a figure.

By default, the lines are single-step and five-step updates with Stable-Baselines3's hyper-parameters, in both
implementations, and our recipe for the environment. `--agents` chooses among them; `--line LABEL KEY=VALUE …` adds a
line with its own settings; lines without presets make a sweep. `--suite zoo` trains every recipe and compares the
scores with those of SB3's A2C with the settings of rl-baselines3-zoo, published there or trained here; `--suite
unseen` trains environments that have no recipe with the default settings and compares the scores with those of
random actions. Finished runs with the same settings are reused; our interrupted runs resume from their checkpoints.
"""

from argparse import Namespace

from agents.evaluation import evaluate_uniform
from agents.machine import machine
from agents.settings.files import directory_name
from agents.settings.values import ConfigError
from envs import evaluation_backend
from envs.names import full_id
from rl.experiments import plots
from rl.experiments.comparison import PRESETS, check_line, chosen_lines, chosen_presets
from rl.experiments.comparison_page import Comparison, comparison_page, sweep_page
from rl.experiments.executors.workplace import add_workplace, workplace
from rl.experiments.pages import check_name, counted
from rl.experiments.parallel import train_all
from rl.experiments.suites import training as suites
from rl.experiments.suites.unseen import UNSEEN
from rl.experiments.suites.zoo import ZOO, zoo
from rl.run.files import check_folder
from rl.run.terminal import DONE, Parser, file_name, number, parse_seeds, run

SUITES = {suite.name: suite for suite in (ZOO, UNSEEN)}


def _parser() -> Parser:
    parser = Parser(prog="rl.compare", description="Train many seeds, ours beside Stable-Baselines3's; tabulate, draw.")
    parser.add_argument("env", nargs="?", type=full_id, metavar="ENV")
    about = "; ".join(f"{suite.name}, {suite.about}" for suite in SUITES.values())
    parser.add_argument("--suite", choices=SUITES, help=f"many environments instead of ENV: {about}")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="ENV", help="environments of the suite to train (default all)"
    )
    parser.add_argument("--agent", metavar="A", help="agent that the suite zoo trains (default a2c)")
    parser.add_seeds(None, "0-9, or 0,3,7 (default 0-19, or the suite's own)")
    parser.add_argument(
        "--agents", nargs="+", choices=PRESETS, metavar="AGENT",
        help=f"which of {', '.join(PRESETS)} (default all, or none beside --line)",
    )  # fmt: skip
    parser.add_argument(
        "--line", action="append", default=[], nargs="+", metavar=("LABEL", "KEY=VALUE"),
        help="a line: its label, settings over the recipe, a YAML file instead of it, agent=sb3; repeatable",
    )  # fmt: skip
    parser.add_argument("--name", type=file_name, help="name of the files written (default comparison)")
    add_workplace(parser)
    parser.add_argument("--total-timesteps", metavar="N", help="for every line but the recipe (default: the recipe's)")
    parser.add_set("a setting of every line")
    parser.add_argument(
        "--threshold", type=number, metavar="R", help="training return to reach (default: the environment's threshold)"
    )
    parser.add_argument(
        "--timed", action="store_true",
        help="also draw the curves against seconds, on logarithmic axes; train with --jobs 1 on a quiet machine",
    )  # fmt: skip
    parser.add_out()
    parser.add_results("ENV's results")
    return parser


def main(argv: list[str]) -> int:
    parser = _parser()
    args, command = parser.parse_args(argv), parser.command(argv)
    if (args.env is None) == (args.suite is None):
        raise ConfigError(
            f"name an environment, such as CartPole-v1, or --suite {' or '.join(SUITES)}: one of them, not both"
        )
    return _compare(args, command) if args.suite is None else _suite(args, command)


def _suite(args: Namespace, command: str) -> int:
    """Compares many environments, each with the suite's settings."""
    suite = SUITES[args.suite]
    if args.agent and args.suite != ZOO.name:
        raise ConfigError(f"--agent chooses the agent of --suite {ZOO.name}; {args.suite} trains a2c")
    if args.agent not in (None, "a2c"):
        suite = zoo(args.agent)
    for name in ("agents", "line", "name", "total_timesteps", "threshold", "timed"):
        if getattr(args, name) is not False and getattr(args, name) not in (None, []):
            flag = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{flag} does not go with --suite, which has its own lines; --set changes all of them")
    seeds = args.seeds or parse_seeds(suite.seeds)
    suites.run(suite, command, args.only, args.set, seeds, args.out, args.results, workplace(args))
    return DONE


def _compare(args: Namespace, command: str) -> int:
    """Compares several lines in one environment."""
    if args.only:
        raise ConfigError("--only chooses environments of a suite; give it with --suite")
    if args.agent:
        raise ConfigError("--agent chooses the agent of --suite zoo; here, give --line LABEL agent=NAME")
    name, seeds = args.name or "comparison", args.seeds or list(range(20))
    path = args.results / directory_name(args.env) / name
    check_name(path, "rl.compare")
    check_folder(args.out)
    presets = chosen_presets(args)
    lines = chosen_lines(args, presets)
    thresholds = [check_line(args.env, line) for line in lines]
    threshold = thresholds[0] if args.threshold is None else args.threshold
    played = evaluate_uniform(args.env, variant=lines[0].variant, backend=evaluation_backend(lines[0].backend))
    random = None if played is None else played.mean
    results = train_all(args.env, lines, seeds, args.out, workplace(args))
    title = f"{args.env}: {name}, {counted(len(seeds), 'seed')}"
    comparison = Comparison(title, name, command, machine(), lines, results, threshold, random, args.timed)
    page = comparison_page(comparison) if presets else sweep_page(comparison)
    page.write(path)
    runs = dict(zip([line.label for line in lines], results, strict=True))
    references = {"uniformly random actions": random if presets else None, "threshold": threshold}
    known = {label: score for label, score in references.items() if score is not None}
    plots.comparison(runs, path, title, known, args.timed)
    print(page)
    print(f"written to {path.parent}")
    return DONE


if __name__ == "__main__":
    run(main)
