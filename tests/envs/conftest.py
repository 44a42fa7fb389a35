"""Fixtures for tests of environments."""

from collections.abc import Callable
from multiprocessing import active_children
from multiprocessing.process import BaseProcess

import pytest


@pytest.fixture
def alive() -> Callable[[], set[BaseProcess]]:
    """Returns the processes that this test has started and that still run; earlier tests may have left others."""
    before = set(active_children())
    return lambda: set(active_children()) - before
