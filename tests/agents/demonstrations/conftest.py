"""A file of demonstrations."""

from pathlib import Path

import pytest

from agents.demonstrations import save
from tests.agents.demonstrations.examples import demonstrations


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return save(tmp_path / "expert", demonstrations())
