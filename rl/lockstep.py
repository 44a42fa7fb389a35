"""`python -m rl.lockstep`: compares updates, collection, initialization, sampling, evaluation with Stable-Baselines3.

Writes results/lockstep.md. Each case runs a thousand updates in a row. Its combinations of settings contain every
triple of values of three different settings at least once; `--all` runs every combination.
"""

from tqdm import tqdm

from agents.machine import machine
from rl.experiments.executors.pool import processes
from rl.experiments.lockstep import components
from rl.experiments.lockstep.combinations import (
    ALL,
    DEFAULT,
    LIMIT,
    STABLE,
    Task,
    covering,
    in_double,
    in_single,
    measure,
    nudged,
)
from rl.experiments.lockstep.page import page
from rl.run.terminal import DONE, FAILED, Parser, at_least, run


def main(argv: list[str]) -> int:
    parser = Parser(prog="rl.lockstep", description="Repeat what Stable-Baselines3 does with ours, and compare.")
    parser.add_argument(
        "--all", action="store_true", help="every combination, not only those that cover every triple of values"
    )
    parser.add_argument("--updates", type=at_least(1), default=1000, metavar="N", help="updates each (default 1000)")
    parser.add_jobs("rows")
    parser.add_results("lockstep.md")
    args = parser.parse_args(argv)
    rows, few = ALL if args.all else covering(3), covering(2)
    tasks: list[Task] = [(how, row, STABLE, args.updates) for row in rows for how in (in_single, in_double)]
    tasks += [(how, row, DEFAULT, args.updates) for row in few for how in (in_single, in_double, nudged)]
    with processes(args.jobs) as pool:
        found = list(tqdm(pool.map(measure, tasks), total=len(tasks), unit=" rows", disable=None))
        found_components = components.measure(pool)
    stable, default = found[: 2 * len(rows)], found[2 * len(rows) :]
    single, double = stable[::2], stable[1::2]
    written = page(
        parser.command(argv), machine(), args.updates,
        dict(zip(rows, zip(single, double, strict=True), strict=True)),
        dict(zip(few, zip(default[::3], default[1::3], default[2::3], strict=True), strict=True)),
        found_components,
    )  # fmt: skip
    written.write(args.results / "lockstep")
    print(written)
    updates_agree = all(a.parameters <= LIMIT >= max(b) for a, b in zip(single, double, strict=True))
    return DONE if updates_agree and found_components.agree() else FAILED


if __name__ == "__main__":
    run(main)
