"""`python -m rl.watch RUN`: shows episodes of a trained agent in a window, or writes a film of them."""

from argparse import ArgumentTypeError
from contextlib import closing
from pathlib import Path

from agents import checkpoint
from agents.settings.values import ConfigError
from rl.run.film import check_film, write_film
from rl.run.overlay import Overlay, Plain
from rl.run.playing import acting
from rl.run.rendering import Draw, Played, Showing, frames, frames_per_second, has_display, rendered, show
from rl.run.terminal import DONE, Parser, at_least, number, parse_seed, run


def main(argv: list[str]) -> int:
    args = _parser().parse_args(argv)
    if args.out is None:
        if args.overlay or args.height or args.fps:
            raise ConfigError("--overlay, --height and --fps are of films: name one, such as --out film.mp4")
        if not has_display():
            raise ConfigError("there is no display to open a window on; write a film instead: --out film.mp4")
    else:
        check_film(args.out)
    read = checkpoint.read(args.run, args.best)
    agent = acting(read, "watched")
    showing = Showing(
        agent.seed if args.seed is None else args.seed, args.episodes, not args.stochastic, args.max_steps
    )  # fmt: skip
    print(f"{agent.env}, {read.path}, step {agent.loop.step:,}, seed {showing.seed}")
    draw: Draw = Overlay(agent, args.height) if args.overlay else Plain(args.height)
    with closing(rendered(agent, "human" if args.out is None else "rgb_array")) as env:
        if args.out is None:
            show(agent, env, showing, _say)
            return DONE
        fps = args.fps or frames_per_second(env)
        count = write_film(args.out, frames(agent, env, showing, draw, _say), fps)
    size = args.out.stat().st_size
    print(f"written to {args.out}: {count:,} frames, {count / fps:.1f} s, {size:,} bytes")
    return DONE


def _say(played: Played) -> None:
    print(f"episode: {played}", flush=True)


def _rate(text: str) -> float:
    """An argument type: what ffmpeg, which is told two decimals, takes."""
    rate = number(text)
    if not 0.01 <= rate <= 1_000:
        raise ArgumentTypeError(f"must be between 0.01 and 1,000, got {text}")
    return rate


def _parser() -> Parser:
    parser = Parser(prog="rl.watch", description="Watch a trained agent: in a window, or as a film with --out.")
    parser.add_argument("run", type=Path, metavar="RUN", help="a run directory, or a checkpoint file")
    parser.add_argument("--best", action="store_true", help="watch best.pt, the best checkpoint during training")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write a film: FILE.mp4 or FILE.gif (extra video)")
    parser.add_argument("--overlay", action="store_true", help="draw π, V and δ beside the frames of the film")
    parser.add_argument("--episodes", type=at_least(1), default=1, metavar="N", help="complete episodes (default 1)")
    parser.add_argument("--max-steps", type=at_least(1), metavar="N", help="truncate each episode after N steps")
    parser.add_argument(
        "--seed", type=parse_seed, metavar="S", help="seed of environments and actions (default: the run's)"
    )
    parser.add_argument("--stochastic", action="store_true", help="sample actions (default: take the most probable)")
    parser.add_argument("--height", type=at_least(16, 4096), metavar="PX", help="pixels (default: as rendered)")
    parser.add_argument("--fps", type=_rate, metavar="X", help="frames per second (default: as the environment says)")
    return parser


if __name__ == "__main__":
    run(main)
