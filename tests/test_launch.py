"""Many runs side by side: what one of them does to the others."""

from pathlib import Path

import pytest

from rl.launch import _Workers

FATAL = """
import os, signal

def main(argv):
    if argv == ["killed"]:
        os.kill(os.getpid(), signal.SIGKILL)
    if argv == ["wrong"]:
        raise KeyError("a fault of the code's own")
    return 0
"""


def test_a_killed_process_costs_its_own_run_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "fatal.py").write_text(FATAL)
    monkeypatch.syspath_prepend(tmp_path)  # which spawned processes inherit
    workers = _Workers(1)
    problems = [workers.run("fatal", argv) for argv in ([], ["killed"], [], ["wrong"], [])]
    workers.close()
    assert problems[::2] == ["", "", ""]
    assert problems[1] == "the process that trained it was killed; the same command goes on"
    assert problems[3] == 'KeyError: "a fault of the code\'s own"'
