"""Files with damaged bytes: each command works, or refuses in one line and changes nothing."""

import random
import shutil
from functools import cache
from pathlib import Path

import rl.evaluate
import rl.plot
import rl.train
from agents import checkpoint, demonstrations, registry
from agents.a2c import A2C
from agents.checkpoint import CheckpointError
from agents.imitation.clone import Clone
from agents.settings.run import RunSettings, chosen_settings
from agents.settings.schema import setting_types
from agents.settings.values import ConfigError
from rl.run.results import is_finished
from tests import ROOT
from tests.runs import run_of
from tests.stress import commands
from tests.stress.damage import damaged
from tests.stress.messages import in_one_line
from tests.stress.trainings import TRAININGS, recorded

REFUSED = "refused in one line"
_RUN_FILES = ("config.yaml", "metrics.csv", "episodes.csv", "summary.json", "versions.json")
_RECIPES = sorted((ROOT / "configs").rglob("*.yaml"))


@cache
def finished_run(room: Path) -> Path:
    """A finished A2C run."""
    assert commands.run(rl.train, [*TRAININGS[0].argv(room), "--out", str(room / "finished")], room).status == 0
    return run_of(room / "finished")


def checkpoint_bytes(number: int, room: Path) -> str:
    """A checkpoint's checksum detects every change."""
    file = room / "damaged.pt"
    file.write_bytes(damaged(_checkpoint(room).read_bytes(), random.Random(f"checkpoint {number}")))
    try:
        registry.load(file)
    except CheckpointError as error:
        return in_one_line(error, REFUSED)
    raise AssertionError("a damaged checkpoint was loaded")


def _checkpoint(room: Path) -> Path:
    return checkpoint.newest(finished_run(room) / "checkpoints")


def demonstration_bytes(number: int, room: Path) -> str:
    """The checksum of demonstrations detects every change; a file without one, from another tool, is validated."""
    file = room / "damaged.npz"
    content = Path(recorded(room)["demonstrations"]).read_bytes()
    file.write_bytes(damaged(content, random.Random(f"demonstrations {number}")))
    agent = A2C("CartPole-v1", num_envs=2, net_arch=(4,), engine="torch")
    try:
        demonstrations.load(file)
        Clone(agent, demonstrations=str(file), batch_size=2).learn(20)
    except ConfigError as error:
        return in_one_line(error, REFUSED)
    finally:
        agent.worlds.close()
    return "loaded and learned from"


def run_files(number: int, room: Path) -> str:
    """Damages a file of a finished run, then resumes, evaluates or draws the run."""
    draw, copy = random.Random(f"run {number}"), room / f"copy-{number}"
    shutil.copytree(finished_run(room), copy)
    file = copy / draw.choice(_RUN_FILES)
    file.write_bytes(damaged(file.read_bytes(), draw))
    if draw.random() < 0.3:
        (copy / "summary.json").unlink()
    held = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file() and path.name != ".lock"}
    uses = (
        (rl.train, ["--resume", str(copy), "--total-timesteps", "480"]),
        (rl.evaluate, [str(copy), "--episodes", "1"]),
        (rl.plot, [str(copy), "--out", str(copy / "figure")]),
    )
    command, argv = draw.choices(uses, [4, 4, 1])[0]  # drawing is slow
    said = commands.outcome(commands.run(command, argv, room))
    if said == REFUSED:
        assert all(path.read_bytes() == content for path, content in held.items())
    if said == "done" and command is rl.train:
        assert is_finished(copy)
    shutil.rmtree(copy)
    return said


def settings_files(number: int, room: Path) -> str:
    """Damages a recipe: its settings are read, or it is refused."""
    draw, file = random.Random(f"settings {number}"), room / "damaged.yaml"
    recipe = draw.choice(_RECIPES)
    file.write_bytes(damaged(recipe.read_bytes(), draw))
    agent = draw.choice(registry.NAMES)
    try:
        chosen_settings(setting_types(*registry.kinds(agent), RunSettings), "CartPole-v1", agent, file)
    except ConfigError as error:
        return in_one_line(error, REFUSED)
    return "read"
