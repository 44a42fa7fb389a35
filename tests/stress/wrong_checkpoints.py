"""A checkpoint with a valid checksum and wrong content either loads or is refused in one line."""

import random
import shutil
import warnings
from functools import cache
from pathlib import Path

from agents import checkpoint, registry
from agents.checkpoint import CheckpointError
from agents.evaluation import evaluate
from agents.settings.values import ConfigError
from envs import EnvironmentFailure, EnvironmentUsageError
from rl import train
from tests.stress import commands
from tests.stress.damaged_files import REFUSED, finished_run
from tests.stress.messages import in_one_line
from tests.stress.mutations import mutated, paths
from tests.stress.trainings import needs

MISTAKES = (CheckpointError, ConfigError, EnvironmentUsageError)
FAILED = (EnvironmentFailure, FloatingPointError)  # commands report these in one line too

_NORMALIZED = {"normalize_observations": True, "normalize_rewards": True}
CASES: dict[str, tuple[str, str, dict[str, object]]] = {  # agent, environment, settings
    **{agent: (agent, "CartPole-v1", {}) for agent in registry.NAMES},
    "fused": ("a2c", "CartPole-v1", {**_NORMALIZED, "n_steps": 4, "max_policy_shift": 0.1}),
    "sync": ("a2c", "FrozenLake-v1", {"n_steps": 2, "use_rms_prop": False, "target_entropy": 0.5, "ent_coef": 0.01}),
    "gru": ("a2c", "CartPole-v1", {"backend": "sync", "gru_size": 3, "n_steps": 4, "rms_prop_tf_like": True}),
    "sde": ("a2c", "Pendulum-v1", {**_NORMALIZED, "backend": "sync", "use_sde": True, "target_policy_shift": 0.01}),
    "stream, torch": ("stream", "Pendulum-v1", {"engine": "torch", "trace_decay": 0.5}),
    "spectral norm": ("gail", "CartPole-v1", {"batch_size": 16, "spectral_norm": True}),
    "replay": ("a2c", "LunarLander-v3", {"n_steps": 4}),
}


def build(case: str, folder: Path) -> Path:
    """The checkpoint of an agent after a little training."""
    agent, env_id, settings = CASES[case]
    small = {"net_arch": (4,)} if agent == "stream" else {"net_arch": (4,), "num_envs": 2}
    trained = registry.build(agent, env_id, {**small, **needs(agent, folder), **settings}).learn(160)
    trained.worlds.close()
    return trained.save(folder / case)


def outcome(file: Path) -> str:
    """What happens to a checkpoint: "loaded" and usable, "refused", or "failed" in use."""
    try:
        agent = registry.load(file)
    except (*MISTAKES, EnvironmentFailure) as error:
        return in_one_line(error, REFUSED)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".* goes on with engine torch: ")
            agent.learn(8 * agent.worlds.num_envs)
        agent.predict(agent.worlds.env_obs_space.sample())
        evaluate(agent, agent.env, 1)
    except FAILED as error:
        return in_one_line(error, "failed in one line")
    finally:
        agent.worlds.close()
    return "loaded and used"


def wrong_content(number: int, room: Path) -> str:
    """Changes an agent's checkpoint in one place, inside or outside its state."""
    cases = list(CASES)
    case, draw = cases[number % len(cases)], random.Random(f"checkpoint {number}")
    content = content_of(case, room)
    others, state = [], []
    for path in paths(content):
        (state if path[0] in ("state", "loop") else others).append(path)
    if not written(room / "mutant.pt", mutated(content, draw.choice(draw.choice([others, state, state])), draw)):
        return "no file can hold it"
    return outcome(room / "mutant.pt")


@cache
def content_of(case: str, room: Path) -> dict[str, object]:
    return checkpoint.load(build(case, room))


def written(file: Path, content: object) -> bool:
    """False if a checkpoint cannot contain the content."""
    try:
        checkpoint.save(file, content)  # type: ignore[arg-type]
    except CheckpointError:
        return False
    return True


def wrong_records(number: int, room: Path) -> str:
    """Changes the recorder's state in a run's checkpoint in one place: a refused resume changes no file."""
    draw, run, copy = random.Random(f"records {number}"), finished_run(room), room / f"copy-{number}"
    content = checkpoint.load(checkpoint.newest(run / "checkpoints"))
    place = draw.choice([path for path in paths(content) if path[0] == "extra"])
    shutil.copytree(run, copy)
    if not written(checkpoint.newest(copy / "checkpoints"), mutated(content, place, draw)):
        return "no file can hold it"
    said = commands.outcome(commands.run(train, ["--resume", str(copy), "--total-timesteps", "480"], room))
    for name in ("metrics.csv", "episodes.csv", "summary.json") if said == REFUSED else ():
        assert (copy / name).read_bytes() == (run / name).read_bytes()
    shutil.rmtree(copy)
    return said
