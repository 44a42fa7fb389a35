"""`python -m rl.gan`: trains one-dimensional GANs whose optima are known, and shows what can go wrong.

Writes results/gan/: gan.md and gan.json, gan.png and questions.png, both as PDF too. Takes about two minutes.
"""

from tqdm import tqdm

from agents.machine import machine, torch_threads
from agents.maths import gan
from agents.maths.gan import *  # noqa: F403
from rl.experiments.gan.experiments import explore
from rl.experiments.gan.figure import draw_balanced, draw_questions
from rl.experiments.gan.page import page
from rl.run.terminal import DONE, Parser, at_least, run

__all__ = ["main"]
__all__ += gan.__all__


def main(argv: list[str]) -> int:
    parser = Parser(prog="rl.gan", description="Generative adversarial nets in one dimension: tables and figures.")
    parser.add_seeds("0-9", "0-9, or 0,3,7 (default 0-9)")
    parser.add_argument(
        "--iterations",
        type=at_least(1),
        metavar="N",
        help="at most N of each training, for a quick look (default: all)",
    )
    parser.add_results("gan/")
    args = parser.parse_args(argv)
    with torch_threads(1), tqdm(disable=None, bar_format="{desc}") as bar:
        findings = explore(args.seeds, args.iterations, bar.set_description_str)
    content, directory = page(findings, parser.command(argv), machine()), args.results / "gan"
    content.write(directory / "gan")
    draw_balanced(findings, directory / "gan")
    draw_questions(findings, directory / "questions")
    print(content)
    print(f"written to {directory}")
    return DONE


if __name__ == "__main__":
    run(main)
