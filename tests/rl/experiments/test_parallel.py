"""Runs in parallel: how one run affects the others."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib import import_module
from pathlib import Path

import pytest

from agents import A2C
from agents.settings.files import read_yaml, write_yaml
from agents.settings.run import RunSettings, updates_per_row
from envs import Variant, make
from rl.experiments.executors import local
from rl.experiments.executors.base import Job, WorkerLost
from rl.experiments.executors.local import Local
from rl.experiments.parallel import _matching, finished, prepare
from rl.run.terminal import RunFailed
from rl.train import main as train
from tests.conftest import Start

FATAL = """
import os, signal

def main(argv):
    if argv[0] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if argv[0] == "wrong":
        raise KeyError("a fault of the code's own")
    return 0
"""


def test_a_killed_process_costs_its_own_run_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "fatal.py").write_text(FATAL)
    monkeypatch.syspath_prepend(tmp_path)  # spawned processes inherit the path
    fatal = import_module("fatal").main
    right, killed, wrong = (Job(fatal, [how], tmp_path, lambda: None) for how in ("right", "killed", "wrong"))
    with closing(Local(1)) as workers:
        workers.run(right)
        with pytest.raises(WorkerLost, match="the process that trained it was killed; the same command resumes it"):
            workers.run(killed)
        workers.run(right)
        with pytest.raises(RunFailed, match=r"KeyError: .a fault of the code's own"):
            workers.run(wrong)
        workers.run(right)


def test_processes_are_started_for_the_runs_that_there_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each takes six file descriptors, of which a shell may allow 1,024."""
    started = list[ThreadPoolExecutor]()

    def start(jobs: int) -> ThreadPoolExecutor:
        assert jobs == 1_000
        started.append(ThreadPoolExecutor(1))
        return started[-1]

    monkeypatch.setattr(local, "_process", start)
    with closing(Local(1_000)) as workers:
        for _ in range(3):
            workers.run(Job(lambda argv: 0, [], tmp_path, lambda: None))
    assert len(started) == 1


def test_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with local._process(1_000) as process:
        assert process.submit(os.getenv, "OMP_NUM_THREADS").result() == "1"
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with local._process(1_000) as process:
        assert process.submit(os.getenv, "OMP_NUM_THREADS").result() == "3"


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
    del settings["n_steps"]  # whose value was not the default
    write_yaml(file, settings)
    assert finished("envs.probes:TimeLimit-v0", line, 0, tmp_path) is None


def test_a_run_older_than_a_setting_counts_as_having_its_default(tmp_path: Path) -> None:
    kinds = (A2C, RunSettings)
    usual = prepare("recipe", "a2c", "Counter-v0", kinds, None, [], None)
    changed = prepare("recipe", "a2c", "Counter-v0", kinds, None, ["frame_stack=2"], None)
    run = tmp_path / "Counter-v0" / "a2c" / "7-20200101-000000"
    run.mkdir(parents=True)
    saved = {"env": "Counter-v0", "agent": "a2c", "seed": 7, **usual.settings}
    del saved["frame_stack"], saved["wrappers"]
    write_yaml(run / "config.yaml", saved)
    assert _matching("Counter-v0", usual, 7, tmp_path) == [run]
    assert _matching("Counter-v0", usual, 8, tmp_path) == []
    assert _matching("Counter-v0", changed, 7, tmp_path) == []


def test_an_older_run_names_the_log_interval_that_null_stands_for(tmp_path: Path) -> None:
    assert [updates_per_row(None, steps) for steps in (40, 128, 2_048, 10**6)] == [100, 78, 4, 1]
    assert updates_per_row(7, 2_048) == 7
    line = prepare("recipe", "a2c", "Counter-v0", (A2C, RunSettings), None, [], None)
    run = tmp_path / "Counter-v0" / "a2c" / "7-20200101-000000"
    run.mkdir(parents=True)
    for interval, found in ((100, [run]), (20, [])):
        write_yaml(
            run / "config.yaml",
            {"env": "Counter-v0", "agent": "a2c", "seed": 7, **line.settings} | {"log_interval": interval},
        )
        assert _matching("Counter-v0", line, 7, tmp_path) == found


def test_a_line_knows_how_its_environment_is_built() -> None:
    def variant(*assignments: str) -> Variant:
        return prepare("", "a2c", "CartPole-v1", (A2C, RunSettings), None, assignments, None).variant

    assert variant() == Variant()
    assert make("CartPole-v1", 1, variant=variant()).backend == "native"
    own = variant("wrappers=[gymnasium.wrappers:OrderEnforcing]", "env_kwargs={sutton_barto_reward: true}")
    assert own == Variant(env_kwargs={"sutton_barto_reward": True}, wrappers=("gymnasium.wrappers:OrderEnforcing",))


SITE = """import os, sys
if "--multiprocessing-fork" in sys.orig_argv or "forkserver" in " ".join(sys.orig_argv):  # not the first process
    print("importing", flush=True)
    while not os.path.exists(os.environ["INTERRUPTED"]):
        os.sched_yield()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "argv", [["rl.compare", "--seeds", "0", "--jobs", "1"], ["rl.train", "--set", "backend=async"]]
)
@pytest.mark.skipif(os.name != "posix", reason="needs process groups")
def test_ctrl_c_while_a_worker_imports(argv: list[str], start: Start, tmp_path: Path) -> None:
    """One line instead of a traceback from every process."""
    (tmp_path / "sitecustomize.py").write_text(SITE)
    mark = tmp_path / "interrupted"
    module, *flags = argv
    out = [*flags, "--out", tmp_path / "runs"]
    process = start(module, "CartPole-v1", *out, PYTHONPATH=str(tmp_path), INTERRUPTED=str(mark))
    process.wait_for("importing")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    mark.touch()
    _, err = process.communicate()
    assert (process.returncode, err) == (130, "interrupted\n")
