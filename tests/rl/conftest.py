"""`python -m rl.train` as a function; its runs go to a temporary directory."""

from pathlib import Path

import pytest

import rl.evaluate
import rl.train
from tests.conftest import Command


@pytest.fixture
def train(command: Command, tmp_path: Path) -> Command:
    out = ["--out", str(tmp_path)]
    return lambda *argv: command(rl.train, *argv, *([] if {"--out", "--resume"} & {*argv} else out))
