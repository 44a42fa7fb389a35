"""A few attacks of every kind; `make stress` makes many more."""

import sys
from pathlib import Path

import pytest

from agents import registry
from tests.stress import attacks, hostile, soak
from tests.stress.__main__ import page
from tests.stress.attacks import Outcome
from tests.stress.kinds import KINDS
from tests.stress.trainings import TRAININGS
from tests.stress.worker import BROKEN


@pytest.mark.slow
@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if not kind.forks])
@pytest.mark.filterwarnings("ignore:resource_tracker")
def test_no_promise_is_broken(kind: str, tmp_path: Path) -> None:
    for number in KINDS[kind].short:
        assert KINDS[kind].attack(number, tmp_path) != "", number


@pytest.mark.slow
@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.forks])
def test_nothing_is_lost(kind: str) -> None:
    outcomes = list(attacks.made(kind, KINDS[kind].short))
    assert [outcome.number for outcome in outcomes] == list(KINDS[kind].short)
    assert [outcome.report for outcome in outcomes if outcome.broken] == []


@pytest.mark.parametrize("number", range(len(soak.ENGINES)))
def test_soak(number: int, tmp_path: Path) -> None:
    assert soak.attack(number, tmp_path, 3_000) == f"flat, {soak.ENGINES[number]}"


def test_every_registered_agent_takes_part() -> None:
    assert {training.agent for training in TRAININGS} == set(registry.NAMES)
    assert len(hostile.CASES) >= 100


def test_a_process_that_dies_breaks_a_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "false")
    outcomes = list(attacks.made("kills", [4, 7]))
    assert [(outcome.number, outcome.broken) for outcome in outcomes] == [(4, True), (7, True)]
    assert outcomes[0].report == "the process ended, or was ended, with status 1"


def test_the_page_counts() -> None:
    found = {name: {n: Outcome(n, "done", "") for n in range(kind.long)} for name, kind in KINDS.items()}
    found["settings"][3] = Outcome(3, BROKEN, "Traceback")
    written = page(found, "python -m tests.stress", "0123abcd")
    assert "| settings | done 99,900 | 100,000 | 1 |" in str(written)
    assert "| kills | done 240 | 240 | 0 |" in str(written)
    assert written.numbers["soak"] == {"attacks": 20_000_000, BROKEN: 0}


def test_the_long_form_is_long() -> None:
    """The minimum numbers required."""
    least = {"kills": 200, "settings": 100_000, "command lines": 300, "soak": 2 * 10**7}
    least |= {name: 2_000 for name in KINDS if name.startswith(("damaged", "wrong"))}
    assert {name: kind for name, kind in least.items() if KINDS[name].long * KINDS[name].each < kind} == {}
    assert KINDS["hostile environments"].long >= 100 * len(hostile.WAYS)
