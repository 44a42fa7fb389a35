"""`python -m rl.imitation`: cloning, GAIL, distillation and mutual learning over seeds; tables and figures.

Trains the experts, records their demonstrations, trains every line, and writes results/imitation/. Finished runs with
the same settings are reused; interrupted ones resume from their checkpoints.
"""

from agents.machine import machine
from agents.settings.values import ConfigError
from rl.experiments.executors.workplace import add_workplace, workplace
from rl.experiments.imitation.experiments import EPISODES_SEED, EXPERIMENTS, EXPERT_SEED
from rl.experiments.imitation.figure import draw
from rl.experiments.imitation.outcomes import Report
from rl.experiments.imitation.page import page
from rl.experiments.imitation.training import train_experts, train_lines
from rl.run.terminal import DONE, Parser, run


def main(argv: list[str]) -> int:
    parser = _parser()
    args = parser.parse_args(argv)
    chosen = [experiment for name, experiment in EXPERIMENTS.items() if name in args.only]
    envs = list(dict.fromkeys(env_id for experiment in chosen if experiment.judged for env_id in experiment.envs))
    taken = [seed for seed in (EXPERT_SEED, EPISODES_SEED) if envs and seed in args.seeds]
    if taken:
        raise ConfigError(f"--seeds: {taken[0]} is a seed of the experts, which no line may share: leave it out")
    where = workplace(args)
    experts = train_experts(envs, args.set, args.out, where)
    directory = args.results / "imitation"
    for experiment in chosen:
        outcomes = train_lines(experiment, experts if experiment.judged else {}, args.set, args.seeds, args.out, where)
        report = Report(experiment, parser.command(argv), machine(), args.seeds, outcomes)
        page(report).write(directory / experiment.name)
        draw(report, directory / experiment.name)
        print(page(report))
    print(f"written to {directory}")
    return DONE


def _parser() -> Parser:
    parser = Parser(prog="rl.imitation", description="Imitation and distillation over seeds, held to experts.")
    parser.add_argument(
        "--only", nargs="+", choices=EXPERIMENTS, default=list(EXPERIMENTS), metavar="NAME",
        help=f"which of {', '.join(EXPERIMENTS)} (default all)",
    )  # fmt: skip
    parser.add_seeds("0-9", "of the lines: 0-9, or 0,3,7 (default 0-9)")
    add_workplace(parser)
    parser.add_set("a setting of every run")
    parser.add_out()
    parser.add_results("imitation/")
    return parser


if __name__ == "__main__":
    run(main)
