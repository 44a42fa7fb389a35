"""`python -m rl.demos RUN --episodes N`: records demonstrations of a trained agent."""

from pathlib import Path

import numpy as np

from agents import checkpoint
from agents.demonstrations import Demonstrations, record, save, target
from agents.evaluation import Evaluation
from agents.settings.values import ConfigError
from rl.run.playing import acting
from rl.run.terminal import DONE, Parser, at_least, number, parse_seed, run


def main(argv: list[str]) -> int:
    args = _parser().parse_args(argv)
    file = checkpoint.locate(args.run)
    agent = acting(checkpoint.read(file), "recorded here; in Python, agents.demonstrations.record takes any")
    seed = agent.seed if args.seed is None else args.seed
    out = target(args.out or (args.run if args.run.is_dir() else file.parent) / "demonstrations.npz")
    print(f"{agent.env}, {file}, step {agent.loop.step:,}, seed {seed}")
    played = record(agent, agent.env, args.episodes, seed, deterministic=not args.stochastic)
    kept = _with_return(played, args.min_return)
    origin = {"run": str(args.run), "checkpoint": file.name, "step": agent.loop.step}
    path = save(out, kept._replace(metadata={**kept.metadata, **origin}))
    print(_summary(kept))
    print(f"{kept.transitions:,} transitions, {path}, {path.stat().st_size:,} bytes")
    return DONE


def _parser() -> Parser:
    parser = Parser(prog="rl.demos", description="Record demonstrations of a trained agent.")
    parser.add_argument("run", type=Path, metavar="RUN", help="a run directory, or a checkpoint file")
    parser.add_argument("--episodes", type=at_least(1), required=True, metavar="N", help="complete episodes to play")
    parser.add_argument(
        "--seed", type=parse_seed, metavar="S", help="seed of environments and actions (default: the run's)"
    )
    parser.add_argument("--stochastic", action="store_true", help="sample actions (default: take the most probable)")
    parser.add_argument("--min-return", type=number, metavar="R", help="keep only episodes with at least this return")
    parser.add_argument("--out", type=Path, metavar="FILE", help="(default: demonstrations.npz in RUN)")
    return parser


def _with_return(played: Demonstrations, least: float | None) -> Demonstrations:
    """The episodes with at least this return. Raises ConfigError if there are none."""
    if least is None:
        return played
    returns = played.returns
    good = np.flatnonzero(returns >= least).tolist()
    if not good:
        raise ConfigError(f"--min-return {least:g}: the best of {len(returns)} episodes returned {returns.max():g}")
    print(f"{len(good)} of {len(returns)} episodes returned at least {least:g}")
    kept = played.select(good)
    return kept._replace(metadata={**kept.metadata, "min_return": least, "played": len(returns)})


def _summary(kept: Demonstrations) -> Evaluation:
    bounds = np.array(kept.episodes)
    lengths, whole = bounds[:, 1] - bounds[:, 0], kept.terminated[bounds[:, 1] - 1]
    cut = (lengths == kept.metadata["cut_off_after"]) & ~whole
    return Evaluation(kept.returns, lengths, bool(kept.metadata["deterministic"]), int(cut.sum()))


if __name__ == "__main__":
    run(main)
