"""`python -m rl.coverage`: how often the 95 % intervals of the pages contain the truth, beside other intervals.

Writes results/statistics/coverage.md and coverage.json.
"""

from agents.machine import machine
from rl.experiments.coverage import coverage_page
from rl.run.terminal import DONE, Parser, at_least, run


def main(argv: list[str]) -> int:
    parser = Parser(prog="rl.coverage", description="How often the 95 % intervals of the pages contain the truth.")
    parser.add_argument("--samples", type=at_least(1), default=2_000, metavar="N", help="simulated samples (2000)")
    parser.add_results("statistics/")
    args = parser.parse_args(argv)
    page = coverage_page(parser.command(argv), machine(), args.samples)
    page.write(args.results / "statistics" / "coverage")
    print(page)
    return DONE


if __name__ == "__main__":
    run(main)
