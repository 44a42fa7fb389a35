"""A checkpoint with a right checksum and wrong content either loads or is refused in one line."""

import random
import shutil
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from agents import checkpoint, demonstrations, registry
from agents.a2c import A2C
from agents.checkpoint import CheckpointError
from agents.evaluation import evaluate
from agents.settings.values import ConfigError
from envs import EnvironmentFailure, EnvironmentUsageError
from rl import train
from tests.conftest import Command
from tests.runs import run_of
from tests.stress.messages import in_one_line
from tests.stress.mutations import mutated, paths

REFUSED = (CheckpointError, ConfigError, EnvironmentUsageError)
FAILED = (EnvironmentFailure, FloatingPointError)  # commands say them in one line, too

_SMALL = {"num_envs": 2, "net_arch": (4,)}
_NORMALIZED = {"normalize_observations": True, "normalize_rewards": True}
CASES: dict[str, tuple[str, str, dict[str, object]]] = {  # agent, environment, settings
    "fused": ("a2c", "CartPole-v1", {**_NORMALIZED, "n_steps": 4, "max_policy_shift": 0.1}),
    "sync": ("a2c", "FrozenLake-v1", {"n_steps": 2, "use_rms_prop": False, "target_entropy": 0.5, "ent_coef": 0.01}),
    "gru": ("a2c", "CartPole-v1", {"backend": "sync", "gru_size": 3, "n_steps": 4, "rms_prop_tf_like": True}),
    "sde": ("a2c", "Pendulum-v1", {**_NORMALIZED, "backend": "sync", "use_sde": True, "target_policy_shift": 0.01}),
    "stream": ("stream", "Acrobot-v1", {"num_envs": 1}),
    "stream, torch": ("stream", "Pendulum-v1", {"num_envs": 1, "engine": "torch", "trace_decay": 0.5}),
    "clone": ("clone", "CartPole-v1", {"batch_size": 8, "demonstrations": "RECORDED"}),
    "distill": ("distill", "CartPole-v1", {"demonstrations": "RECORDED", "batch_size": 8, "teachers": "TEACHER"}),
    "gail": ("gail", "CartPole-v1", {"demonstrations": "RECORDED", "batch_size": 16, "spectral_norm": True}),
    "replay": ("a2c", "LunarLander-v3", {"n_steps": 4}),
    "mutual": ("mutual", "CartPole-v1", {"peers": 2}),
}


@cache
def recorded(folder: Path) -> dict[str, str]:
    """A recording and the agent that made it."""
    actor = A2C("CartPole-v1", num_envs=2, net_arch=(4,)).learn(200)
    file = demonstrations.save(folder / "recorded", demonstrations.record(actor, "CartPole-v1", 5))
    return {"RECORDED": str(file), "TEACHER": str(actor.save(folder / "teacher"))}


def build(case: str, folder: Path) -> Path:
    """The checkpoint of an agent that has learned a little."""
    agent, env_id, settings = CASES[case]
    names = recorded(folder)
    chosen = {key: names.get(x, x) if isinstance(x, str) else x for key, x in {**_SMALL, **settings}.items()}
    if "teachers" in chosen:
        chosen["teachers"] = (chosen["teachers"],)
    trained = registry.build(agent, env_id, chosen).learn(160)
    trained.worlds.close()
    return trained.save(folder / case)


def outcome(file: Path) -> str:
    """What becomes of a checkpoint: "loaded" and used for everything, "refused", or "failed" when it was used."""
    try:
        agent = registry.load(file)
    except (*REFUSED, EnvironmentFailure) as error:
        return in_one_line(error, "refused")
    try:
        agent.learn(8 * agent.worlds.num_envs)
        agent.predict(agent.worlds.env_obs_space.sample())
        evaluate(agent, agent.env, 1)
    except FAILED as error:
        return in_one_line(error, "failed")
    finally:
        agent.worlds.close()
    return "loaded"


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_wrong_content_is_refused_or_harmless(case: str, tmp_path: Path, long: bool) -> None:
    content = checkpoint.load(build(case, tmp_path))
    others = [path for path in paths(content) if path[0] not in ("state", "loop", "extra")]
    state = [path for path in paths(content) if path[0] in ("state", "loop")]
    draw, outcomes = random.Random(f"checkpoints of {case}"), Counter[str]()
    for _ in range(500 if long else 40):
        place = draw.choice(draw.choice([others, state, state]))
        if written(tmp_path / "mutant.pt", mutated(content, place, draw)):
            outcomes[outcome(tmp_path / "mutant.pt")] += 1
    assert outcomes["refused"] > outcomes["failed"]
    assert outcomes["loaded"] > 0


def written(file: Path, content: object) -> bool:
    """False if no checkpoint can hold the content."""
    try:
        checkpoint.save(file, content)  # type: ignore[arg-type]
    except CheckpointError:
        return False
    return True


@pytest.mark.slow
def test_a_resumed_command_says_one_line_and_keeps_the_files(command: Command, tmp_path: Path, long: bool) -> None:
    argv = ("CartPole-v1", "--total-timesteps", 800, "--set", "eval_episodes=1", "--set", "log_interval=7")
    assert command(train, *argv, "--out", tmp_path / "runs")[0] == 0
    run = run_of(tmp_path / "runs")
    content = checkpoint.load(checkpoint.newest(run / "checkpoints"))
    places = [path for path in paths(content) if path[0] == "extra"]
    draw, statuses = random.Random("checkpoints of a run"), Counter[int]()
    for number in range(300 if long else 30):
        copy = tmp_path / str(number)
        shutil.copytree(run, copy)
        if not written(checkpoint.newest(copy / "checkpoints"), mutated(content, draw.choice(places), draw)):
            continue
        status, _, err = command(train, "--resume", copy, "--total-timesteps", 880)
        assert err.count("\n") == (status > 0)
        statuses[status] += 1
        for name in ("metrics.csv", "episodes.csv", "summary.json") if status == 2 else ():
            assert (copy / name).read_bytes() == (run / name).read_bytes()
    assert statuses.keys() == {0, 2}
