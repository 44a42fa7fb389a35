"""The examples in docstrings give the results that they show."""

import doctest
from importlib import import_module

import pytest

from tests import ROOT

FILES = (
    file.relative_to(ROOT) for package in ("envs", "agents", "rl") for file in sorted((ROOT / package).rglob("*.py"))
)
MODULES = [".".join(file.with_suffix("").parts) for file in FILES if "\n    >>> " in (ROOT / file).read_text("utf-8")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str) -> None:
    failed, tried = doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS)
    assert failed == 0
    assert tried > 0


def test_the_public_functions_have_examples() -> None:
    assert {"agents.a2c", "agents.evaluation", "agents.registry", "envs.make"} <= set(MODULES)
