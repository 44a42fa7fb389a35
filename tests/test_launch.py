"""Many runs side by side: what one of them does to the others."""

from contextlib import closing
from pathlib import Path

import pytest

from rl.command import RunFailed
from rl.launch import WorkerLost, _Workers

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
    with closing(_Workers(1)) as workers:
        workers.run("fatal", [])
        with pytest.raises(WorkerLost, match="the process that trained it was killed; the same command goes on"):
            workers.run("fatal", ["killed"])
        workers.run("fatal", [])
        with pytest.raises(RunFailed, match=r"KeyError: .a fault of the code's own"):
            workers.run("fatal", ["wrong"])
        workers.run("fatal", [])
