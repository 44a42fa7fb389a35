"""`python -m rl.bench`: times everything, in a quarter of an hour on a quiet machine; `--warm` only compiles.

Writes results/bench/: bench.json, bench.md, bench.png and bench.pdf. `--agent ppo` or `stream` and `--of cores`,
`devices` or `watching` write their own pages instead.
"""

import os
import tempfile
from argparse import Namespace
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NoReturn

import gymnasium as gym
import torch
from tqdm import tqdm

from agents import A2C
from agents.devices import described
from agents.machine import machine, torch_threads
from envs.backends.native import WORLDS
from rl.experiments.bench import cores, devices, page, ppo, streaming, systems, timing, watching
from rl.experiments.bench.systems import Shape
from rl.experiments.bench.timing import Rates, Whole
from rl.experiments.pages import Page
from rl.run.terminal import DONE, Parser, at_least, number, run

SHAPES = (Shape(1, 1), Shape(8, 1), Shape(8, 5), Shape(64, 5))
PYTHON_ENVIRONMENTS = ("CartPole-v1", "LunarLander-v3", "HalfCheetah-v5")
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def main(argv: list[str]) -> int:
    parser = Parser(prog="rl.bench", description="Time training beside Stable-Baselines3, Gymnasium and the processor.")
    parser.add_argument("--warm", action="store_true", help="only compile the kernels, for later runs")
    parser.add_argument(
        "--agent", choices=("a2c", "ppo", "stream"), default="a2c", help="a2c: bench/bench.md; or ppo.md, streaming.md"
    )
    parser.add_argument(
        "--of", choices=("cores", "devices", "watching"), help="another page: bench/cores.md, devices.md, watching.md"
    )
    parser.add_argument("--repeats", type=at_least(1), default=7, metavar="N", help="interleaved repeats (7)")
    parser.add_argument("--seconds", type=number, metavar="S", help="approximate time per repeat (0.7)")
    parser.add_argument("--jax", metavar="PYTHON", help="an interpreter that has rejax and gymnax<1")
    parser.add_results("bench/")
    args = parser.parse_args(argv)
    _check(parser, args)
    if args.warm:
        _warm()
        return DONE
    os.environ |= dict.fromkeys(_ONE_THREAD, "1")  # for the processes started below
    args.seconds = 0.7 if args.seconds is None else args.seconds
    if args.of or args.agent != "a2c":
        name, measured = _OTHERS[args.of or args.agent]
        written = measured(args, parser.command(argv))
        written.write(args.results / "bench" / name)
        print(written)
        return DONE
    with torch_threads(1), tqdm(disable=None, bar_format="{desc}") as bar:
        content = _measure(args.repeats, args.seconds, args.jax, bar)
    written, path = page.page(content, parser.command(argv), machine()), args.results / "bench" / "bench"
    written.write(path)
    page.draw(content, path)
    print(written)
    print(f"written to {path.parent}")
    return DONE


def _check(parser: Parser, args: Namespace) -> None:
    """Refuses flags that do not go together."""
    if args.warm and (args.of or args.agent != "a2c" or args.jax):
        parser.error("--warm only compiles: leave --agent, --of and --jax out")
    if args.of and args.agent != "a2c":
        parser.error("--of is another page than --agent's: leave one of them out")
    if args.jax and (args.of or args.agent != "a2c"):
        parser.error(f"--jax is for the page of a2c: leave it out beside {'--of' if args.of else '--agent'}")
    if args.seconds is not None and args.of == "watching":
        parser.error("--of watching times whole runs: leave --seconds out")


def _ppo(args: Namespace, command: str) -> Page:
    with torch_threads(1):
        rates = ppo.measure(filter(_installed, ppo.ENVIRONMENTS), args.repeats, args.seconds)
    return ppo.page(rates, args.repeats, command, machine())


def _streaming(args: Namespace, command: str) -> Page:
    with torch_threads(1):
        rates = streaming.measure(filter(_installed, streaming.ENVIRONMENTS), args.repeats, args.seconds)
    timing.from_the_shell(streaming.COMMAND)
    return streaming.page(rates, timing.from_the_shell(streaming.COMMAND), args.repeats, command, machine())


def _cores(args: Namespace, command: str) -> Page:
    cases, widths = cores.measure(args.repeats, args.seconds)
    return cores.page(cases, widths, cores.messages(50), args.repeats, command, machine())


def _devices(args: Namespace, command: str) -> Page:
    gpu = f", and {described(torch.device('cuda', 0))}" if torch.cuda.is_available() else ""
    measured = devices.measure(args.repeats, args.seconds)
    return devices.page(*measured, args.repeats, command, machine() + gpu)


def _watching(args: Namespace, command: str) -> Page:
    with torch_threads(1):
        return watching.page(watching.measure(args.repeats), command, machine())


_OTHERS = {
    "ppo": ("ppo", _ppo), "stream": ("streaming", _streaming), "cores": ("cores", _cores),
    "devices": ("devices", _devices), "watching": ("watching", _watching),
}  # fmt: skip


def _warm() -> None:
    """Compiles the kernels for discrete and continuous actions, for native and for Python environments."""
    for env_id in (WORLDS[0], WORLDS[-1]):
        for backend in ("native", "sync"):
            agent = A2C(env_id, engine="fused", backend=backend)
            agent.compile(lambda: print("compiling", flush=True))
            agent.learn(agent.worlds.num_envs)
    print("the kernels are on disk")


def _measure(repeats: int, seconds: float, jax: str | None, bar: "tqdm[NoReturn]") -> dict[str, object]:
    shapes, python = dict[str, object](), dict[str, object]()
    for shape in SHAPES:
        bar.set_description_str(f"{shape}")
        shapes[str(shape)] = _plain(timing.interleaved(_systems(shape), shape.rows, repeats, seconds))
    for env_id in filter(_installed, PYTHON_ENVIRONMENTS):
        for shape in SHAPES[1:3]:
            bar.set_description_str(f"{env_id}, {shape}")
            rates = timing.python_environments(shape, env_id, repeats, seconds)
            python[f"{env_id}, {shape}"] = _plain(rates)
    rejax = timing.rival(jax, min(repeats, 3)) if jax else {}
    seeds = timing.sixteen_seeds(min(repeats, 3), bar.set_description_str)
    return {
        "shapes": shapes,
        "python": python,
        "seeds": _plain(seeds),
        "rejax": _plain(rejax),
        "shell": [whole._asdict() for whole in _from_the_shell(bar)],
        "repeats": repeats,
    }


def _systems(shape: Shape) -> dict[str, systems.Build]:
    return {
        page.SB3: partial(systems.stable_baselines, shape),
        page.TORCH: partial(systems.ours, "torch", shape),
        page.FUSED: partial(systems.ours, "fused", shape),
        page.GYMNASIUM: partial(systems.gymnasium, shape),
        page.NATIVE: partial(systems.native, shape),
        page.LIMIT: partial(systems.products, shape),
    }


def _from_the_shell(bar: "tqdm[NoReturn]") -> list[Whole]:
    """Wall time of our recipe with cold and with warm kernels, and of SB3 with its defaults, from the command line."""
    ours = ["rl.train", "CartPole-v1"]
    with tempfile.TemporaryDirectory() as empty:
        bar.set_description_str("from the shell, cold")
        cold = timing.from_the_shell(ours, Path(empty))
    timing.from_the_shell(ours)
    bar.set_description_str("from the shell, warm")
    warm = sorted((timing.from_the_shell(ours) for _ in range(3)), key=lambda whole: whole.seconds)[1]
    bar.set_description_str("from the shell, Stable-Baselines3")
    theirs = timing.from_the_shell(["rl.baseline", "CartPole-v1", "--total-timesteps", "500000", "--set", "n_steps=5"])
    return [cold, warm, theirs]


def _installed(env_id: str) -> bool:
    try:
        gym.make(env_id).close()
    except gym.error.DependencyNotInstalled:
        return False
    return True


def _plain(rates: Mapping[str, Rates]) -> dict[str, object]:
    return {name: {"median": rate.median, "each": rate.each} for name, rate in rates.items()}


if __name__ == "__main__":
    run(main)
