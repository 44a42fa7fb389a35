"""`python -m rl.lockstep`: a thousand updates of ours beside Stable-Baselines3's, in many combinations of settings.

Writes results/lockstep.md. Of the product of all settings that are compared, it takes rows in which every three values
that can stand together do so somewhere; `--all` takes the whole product.
"""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tqdm import tqdm

from agents.settings.files import write_text
from rl.experiments.lockstep.page import (
    EVERY,
    LIMIT,
    STABLE,
    USUAL,
    Task,
    _chaos,
    _measure,
    _page,
    covering,
    in_double,
    in_single,
    nudged,
)
from rl.run.terminal import DONE, FAILED, Parser, at_least, run


def main(argv: list[str]) -> int:
    parser = Parser(prog="rl.lockstep", description="Repeat Stable-Baselines3's updates with ours, and compare.")
    parser.add_argument("--all", action="store_true", help="every combination, not only rows that cover every three")
    parser.add_argument("--updates", type=at_least(1), default=1000, metavar="N", help="in a row (default 1000)")
    parser.add_jobs("rows")
    parser.add_results("lockstep.md")
    args = parser.parse_args(argv)
    updates = args.updates
    rows, few = EVERY if args.all else covering(3), covering(2)
    tasks: list[Task] = [(measure, row, STABLE, updates) for row in rows for measure in (in_single, in_double)]
    tasks += [(measure, row, USUAL, updates) for row in few for measure in (in_single, in_double, nudged)]
    with ProcessPoolExecutor(args.jobs, get_context("spawn")) as pool:
        found = list(tqdm(pool.map(_measure, tasks), total=len(tasks), unit=" rows", disable=None))
    stable, usual = found[: 2 * len(rows)], found[2 * len(rows) :]
    single, double = stable[::2], stable[1::2]
    table = _page(parser.command(argv), updates, dict(zip(rows, zip(single, double, strict=True), strict=True)))
    table += _chaos(dict(zip(few, zip(usual[::3], usual[1::3], usual[2::3], strict=True), strict=True)))
    args.results.mkdir(parents=True, exist_ok=True)
    write_text(args.results / "lockstep.md", table)
    print(table)
    return DONE if all(a.parameters <= LIMIT >= max(b) for a, b in zip(single, double, strict=True)) else FAILED


if __name__ == "__main__":
    run(main)
