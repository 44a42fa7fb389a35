"""A file of demonstrations with a valid checksum and wrong content is either loaded and learned from, or refused."""

import io
import json
import random
from functools import cache
from pathlib import Path

import numpy as np

from agents import archive, demonstrations
from agents.a2c import A2C
from agents.imitation.clone import Clone
from agents.imitation.gail import GAIL
from agents.settings.values import ConfigError
from tests.stress.messages import in_one_line
from tests.stress.mutations import mutated, paths

ENVS = ("CartPole-v1", "Pendulum-v1", "FrozenLake-v1")


def content_of(file: Path) -> dict[str, object]:
    with np.load(file) as arrays:
        content: dict[str, object] = {name: arrays[name] for name in arrays.files}
    return content | {"metadata": json.loads(str(content["metadata"]))}


def seal(file: Path, content: object) -> bool:
    """Writes content with a valid checksum; False if NumPy cannot store it."""
    if not isinstance(content, dict):
        return False
    arrays = {str(name): value for name, value in content.items() if name != "metadata"}
    buffer = io.BytesIO()
    try:
        if "metadata" in content:
            arrays["metadata"] = np.array(json.dumps(content["metadata"], default=str))
        np.savez_compressed(buffer, **{name: np.asarray(value) for name, value in arrays.items()})
    except (TypeError, ValueError, RuntimeError):
        return False
    archive.write(file, buffer.getvalue())
    return True


def outcome(file: Path, env_id: str) -> str:
    agent = A2C(env_id, num_envs=2, net_arch=(4,), engine="torch")
    try:
        demonstrations.load(file)
        Clone(agent, demonstrations=str(file), batch_size=2).learn(40)
        GAIL(agent, demonstrations=str(file), batch_size=8).learn(40)
    except ConfigError as error:
        return in_one_line(error, "refused in one line")
    except FloatingPointError as error:  # such as observations of 1e30
        return in_one_line(error, "failed in one line")
    finally:
        agent.worlds.close()
    return "loaded and learned from"


def wrong_content(number: int, room: Path) -> str:
    """Changes a recording in one place, then learns from it by cloning and GAIL."""
    env_id, draw = ENVS[number % len(ENVS)], random.Random(f"demonstrations {number}")
    content = recording(env_id, room)
    if not seal(room / "mutant.npz", mutated(content, draw.choice(list(paths(content))), draw)):
        return "no file can hold it"
    return outcome(room / "mutant.npz", env_id)


@cache
def recording(env_id: str, room: Path) -> dict[str, object]:
    actor = A2C(env_id, num_envs=2, net_arch=(4,), engine="torch")
    return content_of(demonstrations.save(room / "recording", demonstrations.record(actor, env_id, 2)))
