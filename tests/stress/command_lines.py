"""Command lines with a mistake: each command works, or says in one line what is wrong."""

import importlib
import random
import shutil
from pathlib import Path

from tests import ROOT
from tests.stress import commands
from tests.stress.damaged_files import REFUSED, finished_run

_QUICK = ("train", "evaluate", "demos")
COMMANDS = [*_QUICK * 4, *sorted(file.stem for file in (ROOT / "rl").glob("[!_]*.py"))]
_NASTY = (
    "", " ", "-", "--", "=", "x", "γ", "\udcff", "-1", "0", "1e999", "nan", "9" * 400, "null", "[", "{a: 1}", "*a",
    "../..", "/dev/null", "/dev/null/x", "a" * 300, "no:such", "os:getcwd", "CartPole-v9", "0-", "9-0", "0-99999999999",
    "%s", "\n", "key=value", "n_steps=0", "seed=-1", "gamma=2", "net_arch=[1e15]", "backend=async",
    "env_kwargs={x: 1}", "wrappers=[a]",
)  # fmt: skip
_FLAGS = ("--nonsense", "--sed", "--set", "--seed", "--out", "--resume", "--config", "--episodes", "--total-timesteps")


def attack(number: int, room: Path) -> str:
    """Quick commands are changed anywhere and may run; long ones always get a wrong flag."""
    draw, name = random.Random(f"command {number}"), COMMANDS[number % len(COMMANDS)]
    module, folder = importlib.import_module(f"rl.{name}"), room / f"line-{number}"
    folder.mkdir()
    if name not in _QUICK:
        said = commands.run(module, _wrong(draw), folder)
        assert said.status == 2, said
    else:
        said = commands.run(module, _changed(_sound(name, room, folder), draw), folder)
    result = commands.outcome(said)
    if result == REFUSED and name != "train":
        assert not list(folder.iterdir())
    shutil.rmtree(folder)
    return result


def _sound(name: str, room: Path, folder: Path) -> list[str]:
    run, short = str(finished_run(room)), ["--set", "eval_episodes=1", "--out", str(folder / "runs")]
    return {
        "train": ["CartPole-v1", "--total-timesteps", "80", *short],
        "evaluate": [run, "--episodes", "1", "--seed", "3"],
        "demos": [run, "--episodes", "1", "--out", str(folder / "demos")],
    }[name]


def _changed(argv: list[str], draw: random.Random) -> list[str]:
    argv = list(argv)
    for _ in range(draw.choice([1, 1, 2, 3])):
        place = draw.randrange(len(argv))
        change = draw.random()
        if change < 0.4:
            argv[place] = draw.choice(_NASTY)
        elif change < 0.7:
            argv[place:place] = [draw.choice(_FLAGS), draw.choice(_NASTY)]
        elif change < 0.8:
            argv[place:place] = [argv[place]]
        elif argv[place] not in ("--total-timesteps", "--episodes"):  # without them a command takes long
            del argv[place]
    return argv


def _wrong(draw: random.Random) -> list[str]:
    """A flag, known or unknown, with a value that no flag accepts, among valid arguments."""
    wrong = [draw.choice(["--nonsense", "--sed", "--seeds", "--jobs"]), draw.choice(["x y", "-", "1e999", "0-", ""])]
    argv = [draw.choice(["CartPole-v1", *_NASTY]) for _ in range(draw.randrange(3))]
    argv[draw.randint(0, len(argv)) :] = wrong
    return argv
