"""`python -m rl.information`: accuracy against 50 digits, torch and SciPy, and speed against torch, as two tables.

Writes results/information/accuracy.md and speed.md. Times are medians of interleaved repeats on one thread; run it on
a quiet machine. The functions of `agents.maths.information` can be imported from here too.
"""

from agents.machine import machine
from agents.maths import information
from agents.maths.information import *  # noqa: F403
from rl.experiments.information.pages import accuracy_page, speed_page
from rl.run.terminal import DONE, Parser, run

__all__ = ["main"]
__all__ += information.__all__


def main(argv: list[str]) -> int:
    parser = Parser(prog="rl.information", description="Accuracy and speed of rl.information, as two tables.")
    parser.add_results("information/")
    directory, command = parser.parse_args(argv).results / "information", parser.command(argv)
    for name, page in (("accuracy", accuracy_page(command, machine())), ("speed", speed_page(command, machine()))):
        print(page)
        page.write(directory / name)
    print(f"written to {directory}")
    return DONE


if __name__ == "__main__":
    run(main)
