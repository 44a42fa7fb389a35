"""`python -m rl.information`: accuracy against 50 digits, torch and SciPy, and speed against torch, as two tables.

Writes results/information/accuracy.md and speed.md. Times are medians of interleaved repeats on one thread; run it on
a quiet machine.
"""

from agents.maths.information import (
    bernoulli_entropy,
    bernoulli_entropy_from_logits,
    bernoulli_kl_from_logits,
    cross_entropy,
    cross_entropy_from_logits,
    cross_entropy_loss,
    entropy,
    entropy_from_logits,
    gaussian_entropy,
    gaussian_kl,
    gaussian_log_prob,
    generalized_js_from_logits,
    js,
    js_from_logits,
    kl,
    kl_from_logits,
    kl_k1,
    kl_k2,
    kl_k3,
    log_sigmoid,
    log_softmax,
    log_tanh_slope,
    mutual_information,
    nll_loss,
    product_entropy_from_logits,
    product_js_from_logits,
    product_kl_from_logits,
    self_information,
    softmax,
    tanh_gaussian_entropy,
)
from agents.settings.files import write_text
from rl.experiments.information.tables import accuracy_table, speed_table
from rl.run.terminal import DONE, Parser, run

__all__ = [
    "bernoulli_entropy", "bernoulli_entropy_from_logits", "bernoulli_kl_from_logits", "cross_entropy",
    "cross_entropy_from_logits", "cross_entropy_loss", "entropy", "entropy_from_logits", "gaussian_entropy",
    "gaussian_kl", "gaussian_log_prob", "generalized_js_from_logits", "js", "js_from_logits", "kl",
    "kl_from_logits", "kl_k1", "kl_k2", "kl_k3", "log_sigmoid", "log_softmax", "log_tanh_slope", "main",
    "mutual_information", "nll_loss", "product_entropy_from_logits", "product_js_from_logits",
    "product_kl_from_logits", "self_information", "softmax", "tanh_gaussian_entropy",
]  # fmt: skip


def main(argv: list[str]) -> int:
    parser = Parser(prog="rl.information", description="Accuracy and speed of rl.information, as two tables.")
    parser.add_results("information/")
    directory = parser.parse_args(argv).results / "information"
    directory.mkdir(parents=True, exist_ok=True)
    for name, table in (("accuracy.md", accuracy_table()), ("speed.md", speed_table())):
        print(table)
        write_text(directory / name, table)
    print(f"written to {directory}")
    return DONE


if __name__ == "__main__":
    run(main)
