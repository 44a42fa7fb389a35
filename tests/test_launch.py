"""Many runs side by side: what one of them does to the others."""

from contextlib import closing
from pathlib import Path

import pytest

from agents.settings import A2CSettings
from envs import Variant, make
from rl.command import RunFailed
from rl.config import RunSettings
from rl.launch import WorkerLost, _Workers, prepare

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


def test_a_line_knows_how_its_environment_is_built() -> None:
    def variant(*assignments: str) -> Variant:
        return prepare("", "a2c", "CartPole-v1", (A2CSettings, RunSettings), None, assignments, None).variant

    assert variant() == Variant()
    assert make("CartPole-v1", 1, variant=variant()).backend == "native"
    own = variant("wrappers=[gymnasium.wrappers:OrderEnforcing]", "env_kwargs={sutton_barto_reward: true}")
    assert own == Variant(env_kwargs={"sutton_barto_reward": True}, wrappers=("gymnasium.wrappers:OrderEnforcing",))
