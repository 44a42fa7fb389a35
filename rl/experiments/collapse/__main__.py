"""`python -m rl.experiments.collapse`: why single-step TD fails at Stable-Baselines3's settings on CartPole-v1.

Trains every condition on 50 seeds and writes results/collapse/. Finished runs are reused. The docstring of
`rl.experiments.collapse` is what was fixed before the runs.
"""

from agents.machine import machine
from rl.experiments.collapse.conditions import factorial, healthy, interventions
from rl.experiments.collapse.figure import draw
from rl.experiments.collapse.page import page
from rl.experiments.collapse.training import train_all
from rl.run.terminal import DONE, Parser, run


def main(argv: list[str]) -> int:
    parser = Parser(prog="rl.experiments.collapse", description="Why single-step TD fails on CartPole-v1.")
    parser.add_seeds("10100-10149", "0-9, or 0,3,7 (default 10100-10149)")
    parser.add_jobs()
    parser.add_out("the file of finished runs")
    parser.add_results("collapse/")
    args = parser.parse_args(argv)
    changed, recipes, mixes = interventions(), healthy(), factorial()
    conditions = [*changed, *recipes, *(mix.condition for mix in mixes)]
    conditions.sort(key=lambda each: each.scaled != "both")  # slow ones last
    runs = train_all(conditions, args.seeds, args.out / "collapse.jsonl", args.jobs)
    content = page(changed, recipes, mixes, runs, parser.command(argv), machine())
    path = args.results / "collapse" / "collapse"
    content.write(path)
    draw(changed, runs, path)
    print(content)
    print(f"written to {path.parent}")
    return DONE


if __name__ == "__main__":
    run(main)
