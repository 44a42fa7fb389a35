"""`python -m rl.compare ENV --seeds 0-9`: ours beside Stable-Baselines3, many seeds, a table and a figure.

The lines: single-step and five-step updates at Stable-Baselines3's hyper-parameters, by either side, and our recipe for
the environment. `--agents` chooses among them; `--line LABEL KEY=VALUE …` adds lines with settings of their own, or
makes a sweep if it stands alone. `--suite zoo` trains every recipe, in the environments of rl-baselines3-zoo, to hold
the scores to those published there; `--suite unseen` trains environments that no recipe is made for, at the defaults,
to hold the scores to those of random actions. A run that is there already, finished and with the same settings, is
taken as it is; one of ours that was interrupted goes on from its checkpoint.
"""

from argparse import Namespace

from agents import A2C
from agents.episodes import evaluation_backend
from agents.evaluation import evaluate_uniform
from agents.machine import machine
from agents.settings.files import directory_name
from agents.settings.run import RunSettings
from agents.settings.values import ConfigError
from rl.experiments.comparison import PRESETS, _check, _lines, _presets, _write
from rl.experiments.parallel import budget, train_all
from rl.experiments.suites import training as suites
from rl.experiments.suites.unseen import UNSEEN
from rl.experiments.suites.zoo import ZOO
from rl.experiments.tables import Comparison
from rl.run.terminal import DONE, Parser, file_name, number, parse_seeds, run

SUITES = {suite.name: suite for suite in (ZOO, UNSEEN)}


def _parser() -> Parser:
    parser = Parser(prog="rl.compare", description="Train many seeds, ours beside Stable-Baselines3's; tabulate, draw.")
    parser.add_argument("env", nargs="?", metavar="ENV")
    about = "; ".join(f"{suite.name}, {suite.about}" for suite in SUITES.values())
    parser.add_argument("--suite", choices=SUITES, help=f"many environments in place of ENV: {about}")
    parser.add_argument("--only", nargs="+", default=[], metavar="ENV", help="which of it to train (default all)")
    parser.add_seeds(None, "0-9, or 0,3,7 (default 0-9, or the suite's own)")
    parser.add_argument(
        "--agents", nargs="+", choices=PRESETS, metavar="AGENT",
        help=f"which of {', '.join(PRESETS)} (default all, or none beside --line)",
    )  # fmt: skip
    parser.add_argument(
        "--line", action="append", default=[], nargs="+", metavar=("LABEL", "KEY=VALUE"),
        help="a further line: its label, settings over the recipe, a YAML file in its place, agent=sb3; repeatable",
    )  # fmt: skip
    parser.add_argument("--name", type=file_name, help="of the files written (default comparison)")
    parser.add_jobs()
    parser.add_argument("--total-timesteps", metavar="N", help="of every line (default: the recipe's)")
    parser.add_set("a setting of every line")
    parser.add_argument(
        "--threshold", type=number, metavar="R", help="a training return to reach (default: the environment's own)"
    )
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
    """Many environments, each with the suite's own settings."""
    suite = SUITES[args.suite]
    for name in ("agents", "line", "name", "total_timesteps", "threshold"):
        if getattr(args, name) not in (None, []):
            flag = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{flag} does not go with --suite, which has its own lines; --set goes over all of them")
    seeds = args.seeds or parse_seeds(suite.seeds)
    suites.run(suite, command, args.only, args.set, seeds, args.out, args.results, args.jobs)
    return DONE


def _compare(args: Namespace, command: str) -> int:
    """The lines beside each other, in one environment."""
    if args.only:
        raise ConfigError("--only chooses environments of a suite; give it beside --suite")
    name, presets = args.name or "comparison", _presets(args)
    if presets and args.total_timesteps is None:  # one budget for all lines
        args.total_timesteps = budget(args.env, (A2C, RunSettings))
    lines, seeds = _lines(args, presets), args.seeds or list(range(10))
    own = [_check(args.env, line) for line in lines]
    threshold = own[0] if args.threshold is None else args.threshold
    random = evaluate_uniform(args.env, variant=lines[0].variant, backend=evaluation_backend(lines[0].backend))
    results = train_all(args.env, lines, seeds, args.out, args.jobs)
    directory = args.results / directory_name(args.env)
    directory.mkdir(parents=True, exist_ok=True)
    title = f"{args.env}: {name}, {len(seeds)} seed{'s' if len(seeds) > 1 else ''}"
    comparison = Comparison(title, command, machine(), lines, results, threshold, random and random.mean)
    print(_write(comparison, directory / name, sweep=not presets))
    print(f"written to {directory}")
    return DONE


if __name__ == "__main__":
    run(main)
