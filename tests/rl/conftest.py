"""`python -m rl.train` and `python -m rl.sweep` as functions; their files go to a temporary directory."""

from pathlib import Path

import pytest

import rl.evaluate
import rl.sweep
import rl.train
from tests.conftest import Command

SPACE = "gamma: uniform(0.9, 1)\ntarget_policy_shift: one_of(null, 1e-3)\nmax_policy_shift: one_of(null, 1e-3)\n"


@pytest.fixture
def train(command: Command, tmp_path: Path) -> Command:
    out = ["--out", str(tmp_path)]
    return lambda *argv: command(rl.train, *argv, *([] if {"--out", "--resume"} & {*argv} else out))


@pytest.fixture
def sweep(command: Command, tmp_path: Path) -> Command:
    space = tmp_path / "space.yaml"
    space.write_text(SPACE)
    where = ["--out", str(tmp_path / "runs"), "--results", str(tmp_path / "results")]
    return lambda *argv: command(
        rl.sweep, "CartPole-v1", *argv, *where, *([] if "--space" in argv else ["--space", space])
    )
