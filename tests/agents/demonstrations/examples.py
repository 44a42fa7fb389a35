"""Demonstrations for tests, and their arrays as another tool would write them."""

import json
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces

from agents.demonstrations import DemonstrationError, Demonstrations, load
from agents.demonstrations.checks import NAMES

Arrays = dict[str, np.ndarray]
LINE = spaces.Box(-np.inf, np.inf, (3,), np.float32)


def demonstrations(lengths: tuple[int, ...] = (2, 3), **fields: object) -> Demonstrations:
    """Discrete actions with 4 choices; episodes alternate between termination and truncation."""
    m = sum(lengths)
    last = np.isin(np.arange(m), np.cumsum(lengths) - 1)
    even = np.repeat(np.arange(len(lengths)) % 2 == 0, lengths)
    rng = np.random.default_rng(0)
    d = Demonstrations(
        "CartPole-v1", rng.normal(size=(m, 3)).astype(np.float32), np.arange(m) % 4, np.ones(m, np.float32),
        rng.normal(size=(m, 3)).astype(np.float32), last & even, last & ~even, np.roll(last, 1),
        metadata={"choices": [4], "actor": "γ", "variant": {"frame_stack": 2}},
    )  # fmt: skip
    return d._replace(**fields)


def arrays_of(d: Demonstrations, **metadata: object) -> Arrays:
    """The arrays as another tool would write them."""
    text = json.dumps({"format": 1, "env_id": d.env_id, "choices": [4], **metadata})
    named = {name: getattr(d, field) for field, name in NAMES.items()}
    return {"metadata": np.array(text)} | {name: array for name, array in named.items() if array is not None}


def refused(path: Path | str, **asked: object) -> str:
    with pytest.raises(DemonstrationError) as raised:
        load(path, **asked)  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith(f"{path}: ")
    return str(raised.value)
