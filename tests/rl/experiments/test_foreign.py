"""The table of other packages' environments: what counts as trained, refused or failed, and what beats chance."""

import json
import os
from pathlib import Path

import pytest

import rl.foreign
from rl.experiments.foreign import training
from rl.experiments.foreign.environments import FOREIGN, Foreign
from rl.experiments.foreign.page import difference, foreign_page, read_rows
from rl.experiments.foreign.training import EPISODES, Row, Score
from tests.conftest import Command

BETTER = Row("a", "1.0", "a:A-v0", ("gru_size=8",), "trained", "", Score(3.0, 1.0), Score(1.0, 2.0), 7.4)
EQUAL = BETTER._replace(env="a:B-v0", stochastic=Score(1.1, 1.0))
WORSE = BETTER._replace(env="a:C-v0", stochastic=Score(-2.0, 1.0))
UNBOUNDED = BETTER._replace(env="a:D-v0", random=None)
REFUSED = Row("b", "2.0", "b:A-v0", (), "refused", "b:A-v0 has Dict|Tuple actions")


def test_the_difference_has_welchs_interval() -> None:
    gap = difference(BETTER)
    error = 5**0.5 / 19**0.5  # √(σ₁² + σ₂²) / √(n − 1), n = 20
    assert EPISODES == 20
    assert gap == pytest.approx((2.0, 2.0 - 1.96 * error, 2.0 + 1.96 * error))
    assert difference(UNBOUNDED) is None


def test_the_page_counts_outcomes_and_comes_back_from_its_numbers(tmp_path: Path) -> None:
    rows = {row.env: row for row in (REFUSED, BETTER, EQUAL, WORSE, UNBOUNDED)}
    page = foreign_page("python -m rl.foreign", "a machine", rows)
    page.write(tmp_path / "foreign")
    text = str(page)
    assert "5 environments of 2 packages: 4 trained, 1 refused." in " ".join(text.split())
    assert "in 3: the trained policy scores higher in 1 and lower in 1; in 1 the interval contains 0." in " ".join(
        text.split()
    )
    assert "| a 1.0 | a:A-v0 | `gru_size=8` | trained | 3 | 1 | **2 [0.995, 3.01]** | 7 |" in text
    assert "| a 1.0 | a:D-v0 | `gru_size=8` | trained | 3 |  | unknown | 7 |" in text
    assert "| b:A-v0 | refused | `b:A-v0 has Dict\\|Tuple actions` |" in text
    assert {
        env: row._replace(settings=tuple(row.settings)) for env, row in read_rows(tmp_path / "foreign").items()
    } == rows


@pytest.mark.parametrize(
    ("status", "errors", "outcome"),
    [
        (0, "warning: something\n", ("trained", "")),
        (2, "warning: x\nerror: no such space\n", ("refused", "no such space")),
        (1, "error: environment 0 raised\n", ("failed", "environment 0 raised")),
        (1, "error: it <E object at 0x7f> (kept; traceback in /a/b.txt)\n", ("failed", "it <E> (kept)")),
        (1, "Traceback (most recent call last):\n  File\nKeyError: 'x'\n", ("traceback", "KeyError: 'x'")),
        (-11, "", ("traceback", "ended with status -11")),
        (None, "", ("no answer", "after 600 s")),
    ],
)
def test_outcomes(status: int | None, errors: str, outcome: tuple[str, str]) -> None:
    assert training.outcome_of(status, errors) == outcome


def test_what_a_command_left_running_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "leaves.py").write_text(
        "import os, subprocess, sys\n"
        "held = os.open(sys.argv[1], os.O_WRONLY)\n"
        "child = [sys.executable, '-c', 'import signal; signal.pause()']\n"
        "subprocess.Popen(child, pass_fds=[held])\n"
        "sys.exit('error: gone')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    os.mkfifo(tmp_path / "held")
    with open(os.open(tmp_path / "held", os.O_RDONLY | os.O_NONBLOCK), "rb") as held:
        assert training._run(["leaves", str(tmp_path / "held")]) == (1, "error: gone\n")
        os.set_blocking(held.fileno(), True)
        assert held.read() == b""  # when the last process that has it open ends


@pytest.mark.slow
def test_the_command(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = Foreign("gymnasium", "envs.probes:ActionReward-v0", ("engine=torch",))
    refused = Foreign("torch", "tests.broken:TextSpace-v0")
    absent = Foreign("nosuchpackage", "nosuchpackage:A-v0")
    monkeypatch.setattr("rl.foreign.FOREIGN", (probe, refused, absent))
    argv = ["--out", tmp_path / "runs", "--results", tmp_path]
    assert command(rl.foreign, *argv)[0] == 0
    numbers = json.loads((tmp_path / "foreign" / "foreign.json").read_text())["environments"]
    assert [(row["env"], row["outcome"]) for row in numbers] == [(probe.env, "trained"), (refused.env, "refused")]
    assert numbers[0]["random"]["mean"] < 0.6
    assert "Text observations" in numbers[1]["message"]
    assert list((tmp_path / "runs").iterdir()) == []
    status, _, err = command(rl.foreign, *argv, "--only", "gymnasiun")
    assert (status, "did you mean 'gymnasium'?" in err) == (2, True)


def test_every_environment_is_named_once_with_its_module() -> None:
    names = [each.env for each in FOREIGN]
    assert len(set(names)) == len(names) >= 40
    assert all(":" in name for name in names)
