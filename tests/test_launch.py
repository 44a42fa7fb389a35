"""Many runs side by side: what one of them does to the others."""

from contextlib import closing
from pathlib import Path

import pytest

from agents import A2C
from rl.command import RunFailed
from rl.config import RunSettings, read_yaml, write_yaml
from rl.launch import WorkerLost, _Workers, finished, prepare
from rl.train import main as train

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
        with pytest.raises(RunFailed, match="a fault of the code's own"):
            workers.run("fatal", ["wrong"])
        workers.run("fatal", [])


def test_a_run_older_than_a_setting_was_trained_with_its_default(tmp_path: Path) -> None:
    own = ["eval_episodes=1", "n_steps=5"]
    arguments = [part for text in own for part in ("--set", text)]
    train(["envs.probes:TimeLimit-v0", "--total-timesteps", "400", "--out", str(tmp_path), *arguments])
    (file,) = tmp_path.glob("*/a2c/*/config.yaml")
    settings = read_yaml(file)
    del settings["vf_coef"]
    write_yaml(file, settings)
    line = prepare("line", "a2c", "envs.probes:TimeLimit-v0", (A2C, RunSettings), None, own, "400")
    assert finished("envs.probes:TimeLimit-v0", line, 0, tmp_path) is not None
    assert train(["--resume", str(file.parent), "--total-timesteps", "800"]) == 0
    del settings["n_steps"]  # which was not the default
    write_yaml(file, settings)
    assert finished("envs.probes:TimeLimit-v0", line, 0, tmp_path) is None
