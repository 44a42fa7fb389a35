"""`python -m rl.gan`: trains in one dimension, where everything is known, and answers what may go wrong.

Writes results/gan/: gan.md and gan.json, gan.png and questions.png, both as PDF too. Takes about two minutes.
"""

from tqdm import tqdm

from agents.machine import machine, torch_threads
from agents.maths.gan import (
    LOG_4,
    Form,
    Step,
    discriminator_loss,
    expected_value,
    generator_loss,
    jsd_estimate,
    optimal_logit,
    optimal_value,
    optimal_value_from_logits,
    train,
    value,
)
from agents.settings.files import write_text
from rl.experiments.gan import figure, report
from rl.experiments.gan.experiments import explore
from rl.run.results import write_json
from rl.run.terminal import DONE, Parser, at_least, run

__all__ = [
    "LOG_4", "Form", "Step", "discriminator_loss", "expected_value", "generator_loss", "jsd_estimate", "main",
    "optimal_logit", "optimal_value", "optimal_value_from_logits", "train", "value",
]  # fmt: skip


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
    content = report.Report(findings, parser.command(argv), machine())
    directory = args.results / "gan"
    directory.mkdir(parents=True, exist_ok=True)
    write_json(directory / "gan.json", report.as_json(content))
    table = report.table(content)
    write_text(directory / "gan.md", table)
    figure.balanced(findings, directory / "gan")
    figure.questions(findings, directory / "questions")
    print(table)
    print(f"written to {directory}")
    return DONE


if __name__ == "__main__":
    run(main)
