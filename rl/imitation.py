"""`python -m rl.imitation`: cloning, GAIL, distillation and mutual learning over seeds; tables and figures.

Trains the experts, records what they do, trains every line, and writes results/imitation/. A run that is there already,
finished and with the same settings, is taken as it is; one that was interrupted goes on from its checkpoint.
"""

from pathlib import Path

from agents.machine import machine
from agents.settings.files import write_text
from rl.experiments.imitation import figure, peers, report
from rl.experiments.imitation.experiments import EXPERIMENTS
from rl.experiments.imitation.outcomes import Report
from rl.experiments.imitation.training import train_experts, train_lines
from rl.run.results import write_json
from rl.run.terminal import DONE, Parser, run


def main(argv: list[str]) -> int:
    parser = _parser()
    args = parser.parse_args(argv)
    chosen = [experiment for name, experiment in EXPERIMENTS.items() if name in args.only]
    envs = list(dict.fromkeys(env_id for experiment in chosen if experiment.judged for env_id in experiment.envs))
    experts = train_experts(envs, args.set, args.out, args.jobs)
    directory = args.results / "imitation"
    directory.mkdir(parents=True, exist_ok=True)
    for experiment in chosen:
        cases = train_lines(experiment, experts if experiment.judged else {}, args.set, args.seeds, args.out, args.jobs)
        _write(Report(experiment, parser.command(argv), machine(), args.seeds, cases), directory / experiment.name)
    print(f"written to {directory}")
    return DONE


def _parser() -> Parser:
    parser = Parser(prog="rl.imitation", description="Imitation and distillation over seeds, held to experts.")
    parser.add_argument(
        "--only", nargs="+", choices=EXPERIMENTS, default=list(EXPERIMENTS), metavar="NAME",
        help=f"which of {', '.join(EXPERIMENTS)} (default all)",
    )  # fmt: skip
    parser.add_seeds("0-9", "of the lines: 0-9, or 0,3,7 (default 0-9)")
    parser.add_jobs()
    parser.add_set("a setting of every run")
    parser.add_out()
    parser.add_results("imitation/")
    return parser


def _write(of: Report, path: Path) -> None:
    """Numbers, figure and page."""
    pages = report if of.experiment.judged else peers
    write_json(path.with_suffix(".json"), pages.as_json(of))
    figure.draw(of, path)
    text = pages.page(of)
    write_text(path.with_suffix(".md"), text)
    print(text)


if __name__ == "__main__":
    run(main)
