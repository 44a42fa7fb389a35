"""`python -m rl.evaluate RUN`: repeats a run's final evaluation from its newest checkpoint.

Importing this module leaves `rl.evaluate(agent, env, …)` callable.
"""

from pathlib import Path

from agents import checkpoint
from agents.evaluation import evaluate, evaluate_both
from agents.settings.files import read_yaml
from agents.settings.run import RunSettings
from agents.settings.schema import merge_layers, setting_types
from rl.run.functions import keep_callable
from rl.run.playing import acting
from rl.run.terminal import DONE, Parser, at_least, evaluation_bar, parse_seed, run

keep_callable(__name__, evaluate)


def main(argv: list[str]) -> int:
    parser = Parser(prog="rl.evaluate", description="Evaluate the newest checkpoint of a run directory, or the best.")
    parser.add_argument("run", type=Path, metavar="RUN", help="a run directory, or a checkpoint file")
    parser.add_argument(
        "--episodes", type=at_least(1), metavar="N", help="episodes of each evaluation (default: as the run did)"
    )
    parser.add_argument("--seed", type=parse_seed, metavar="S", help="seed of the evaluation (default: the run's)")
    parser.add_argument("--best", action="store_true", help="evaluate best.pt, the best checkpoint during training")
    args = parser.parse_args(argv)
    settings = RunSettings()
    if args.run.is_dir():
        saved = read_yaml(args.run / "config.yaml")
        layer: dict[str, object] = {key: saved[key] for key in ("eval_episodes", "eval_max_steps") if key in saved}
        chosen = merge_layers(setting_types(RunSettings), [(str(args.run / "config.yaml"), layer)])
        settings = RunSettings(**chosen)  # type: ignore[arg-type]
    file = checkpoint.locate(args.run, args.best)
    agent = acting(checkpoint.read(file), "evaluated here; in Python, rl.evaluate takes any")
    seed = agent.seed if args.seed is None else args.seed
    print(f"{agent.env}, {file}, step {agent.loop.step:,}, seed {seed}")
    episodes = args.episodes or settings.eval_episodes
    with evaluation_bar(2 * episodes) as watch:
        evaluations = evaluate_both(agent, episodes, seed, settings.eval_max_steps, watch)
    print(*evaluations, sep="\n")
    return DONE


if __name__ == "__main__":
    run(main)
