"""`python -m rl.plot RUN…`: draws runs of one environment, finished or not, ours and Stable-Baselines3's.

Runs that differ only in the seed form one line, with its mean and interval. Of runs with the same seed and settings,
the newest finished one counts. Importing this module leaves `rl.plot(RUN, …)` callable; it returns the figure.
"""

from pathlib import Path

from rl.experiments.lines import figure_of, lines_of, plot
from rl.experiments.pages import counted
from rl.run.figure import save
from rl.run.functions import keep_callable
from rl.run.terminal import DONE, Parser, file_path, run

keep_callable(__name__, plot)


def main(argv: list[str]) -> int:
    parser = Parser(prog="rl.plot", description="Draw learning curves and final scores of run directories.")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run directory, or a folder of them")
    parser.add_argument("--out", type=file_path, default=Path("runs"), metavar="NAME", help="NAME.png, NAME.pdf (runs)")
    args = parser.parse_args(argv)
    found = lines_of(args.runs)
    path = args.out.with_suffix("") if args.out.suffix in (".png", ".pdf") else args.out
    with figure_of(found.env_id, found.lines) as figure:
        path.parent.mkdir(parents=True, exist_ok=True)
        save(figure, path)
    for label, results in found.lines.items():
        print(f"{label}: {counted(len(results), 'run')}")
    if found.note:
        print(found.note)
    print(f"written to {path}.png and {path}.pdf")
    return DONE


if __name__ == "__main__":
    run(main)
