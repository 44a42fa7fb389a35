"""A file of demonstrations with a right checksum and wrong content either loads, and is learned from, or is refused."""

import io
import json
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from agents import archive, demonstrations
from agents.a2c import A2C
from agents.imitation.clone import Clone
from agents.imitation.gail import GAIL
from agents.settings.values import ConfigError
from tests.stress.messages import in_one_line
from tests.stress.mutations import mutated, paths

ENVS = {"CartPole-v1": 2, "Pendulum-v1": 2, "FrozenLake-v1": 2}


def content_of(file: Path) -> dict[str, object]:
    with np.load(file) as arrays:
        content: dict[str, object] = {name: arrays[name] for name in arrays.files}
    return content | {"metadata": json.loads(str(content["metadata"]))}


def seal(file: Path, content: object) -> bool:
    """Writes content with a right checksum; False if NumPy cannot hold it."""
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
        return in_one_line(error, "refused")
    except FloatingPointError as error:  # observations of 1e30
        return in_one_line(error, "failed")
    finally:
        agent.worlds.close()
    return "loaded"


@pytest.mark.slow
@pytest.mark.parametrize("env_id", ENVS)
def test_wrong_content_is_refused_or_harmless(env_id: str, tmp_path: Path, long: bool) -> None:
    actor = A2C(env_id, num_envs=2, net_arch=(4,), engine="torch")
    file = demonstrations.save(tmp_path / "recorded", demonstrations.record(actor, env_id, ENVS[env_id]))
    content = content_of(file)
    places = list(paths(content))
    draw, outcomes = random.Random(f"demonstrations of {env_id}"), Counter[str]()
    for _ in range(700 if long else 60):
        if seal(file, mutated(content, draw.choice(places), draw)):
            outcomes[outcome(file, env_id)] += 1
    assert outcomes["refused"] > outcomes["failed"]
    assert outcomes["loaded"] > 0
