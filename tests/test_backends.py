"""Environments in processes of their own: the rows are those of environments stepped in turn."""

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from agents import A2C
from envs import EnvironmentFailure, EnvironmentUsageError, make
from tests import toys

ROOT = Path(__file__).parents[1]
ENVS = 3


def idle(worlds):
    return np.zeros(worlds.num_envs, np.int64)


def assert_same(rows, others):
    """Every array of two answers to a step, bit for bit."""
    for row, other in zip(rows[:4], others[:4], strict=True):
        np.testing.assert_array_equal(row, other)
        assert row.dtype == other.dtype
    infos, expected = rows[4], others[4]
    np.testing.assert_array_equal(infos["next_obs"], expected["next_obs"])
    assert infos.keys() == expected.keys()
    if "episode" in expected:
        np.testing.assert_array_equal(infos["_episode"], expected["_episode"])
        for name in ("r", "l"):
            np.testing.assert_array_equal(infos["episode"][name], expected["episode"][name])


@pytest.mark.parametrize(
    ("env", "steps"),
    [("CartPole-v1", 3000), (toys.Wanderer, 3000), (toys.ReusedBuffer, 50), ("FrozenLake-v1", 300)],
)
def test_processes_give_the_same_rows(env, steps):
    ours, theirs = (make(env, ENVS, 5, backend=backend) for backend in ("async", "sync"))
    assert (ours.backend, ours.env_id, ours.reward_threshold) == ("async", theirs.env_id, theirs.reward_threshold)
    assert ours.has_time_limit == theirs.has_time_limit
    np.testing.assert_array_equal(ours.reset()[0], theirs.reset()[0])
    ends = np.zeros(2, int)
    for _ in range(steps):
        action = theirs.action_space.sample()
        rows = ours.step(action)
        assert_same(rows, theirs.step(action))
        ends += [rows[2].sum(), (rows[3]).sum()]
    mask = np.arange(ENVS) == 1
    resets = (worlds.reset(options={"reset_mask": mask})[0] for worlds in (ours, theirs))
    np.testing.assert_array_equal(*resets)
    assert ends[0] > 0
    assert env is not toys.Wanderer or ends[1] > 0
    ours.close()


def test_processes_go_on_from_a_saved_state_as_environments_in_turn_do():
    ours, theirs, others = (make("Acrobot-v1", 2, 3, backend=backend) for backend in ("async", "sync", "async"))
    ours.reset()
    for _ in range(20):
        ours.step(idle(ours))
    state = ours.state_dict()
    assert theirs.load_state_dict(state)
    assert others.load_state_dict(theirs.state_dict())
    for _ in range(600):
        action = theirs.action_space.sample()
        rows = theirs.step(action)
        assert_same(ours.step(action), rows)
        assert_same(others.step(action), rows)
    assert not others.load_state_dict(make("Acrobot-v1", 3, backend="sync").state_dict())
    assert not others.load_state_dict(make("Acrobot-v1", 2, backend="native").state_dict())
    ours.close(), others.close()


@pytest.mark.parametrize("engine", ["torch", "fused"])
def test_an_agent_learns_the_same_from_processes(engine):
    ours, theirs = (
        A2C("CartPole-v1", engine=engine, backend=backend, num_envs=2, n_steps=3) for backend in ("async", "sync")
    )
    assert ours.learn(900).engine_in_use == engine
    theirs.learn(900)
    for parameter, other in zip(ours.policy.parameters(), theirs.policy.parameters(), strict=True):
        assert torch.equal(parameter, other)
    ours.worlds.close()


@pytest.mark.parametrize(
    ("failing", "message"),
    [
        (
            {"where": "step", "at": 1, "raises": True},
            r"environment 0 \(Failing\) raised RuntimeError in step: out of t",
        ),
        ({"where": "reset", "at": 0, "raises": True}, r"environment 0 \(Failing\) raised RuntimeError in reset"),
        ({"where": "reset", "at": 1, "raises": True}, r"environment 0 \(Failing\) raised RuntimeError in reset"),
        ({"where": "step", "at": 0, "obs": np.nan}, r"environment 0 \(Failing\) returned a non-finite observation"),
    ],
)
def test_what_an_environment_raises_in_its_process_is_named_and_the_process_lives_on(failing, message, capfd):
    worlds = make(partial(toys.Failing, **failing), 2, backend="async")
    with pytest.raises(EnvironmentFailure, match=message) as failure:
        worlds.reset(), [worlds.step(idle(worlds)) for _ in range(4)]
    assert "\n" not in str(failure.value)
    worlds.reset()
    assert worlds.step(idle(worlds))[1].tolist() == [1.0, 1.0]
    worlds.close()
    assert capfd.readouterr() == ("", "")


def test_an_environment_that_shows_another_shape_is_named():
    def build():
        env = toys.Counter()
        env.show = lambda: np.zeros(2, np.float32)
        return env

    worlds = make(build, 2, backend="async")
    with pytest.raises(EnvironmentFailure, match=r"environment 0 \(Counter\) returned an .* shape \(2,\), not \(1,\)"):
        worlds.reset()
    worlds.close()


def test_a_process_that_is_killed_is_named_and_the_others_end():
    worlds = make(toys.Counter, ENVS, backend="async")
    worlds.reset()
    worlds.env.processes[1].kill()
    with pytest.raises(EnvironmentFailure, match=r"environment 1 \(Counter\): its process was killed by SIGKILL"):
        worlds.step(idle(worlds))
    with pytest.raises(EnvironmentFailure, match="reset it before the next step"):
        worlds.step(idle(worlds))
    with pytest.raises(EnvironmentFailure, match="killed by SIGKILL"):
        worlds.reset()
    worlds.close()
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("env", "message"),
    [
        (toys.AtHome, r"environment 0 \(AtHome\) cannot be built in its process: OSError: no display here"),
        (toys.Counter(), "pass an id or a function, not an object"),
        (lambda: toys.Wanderer() if multiprocessing.parent_process() else toys.Counter(), "not those of the first"),
    ],
)
def test_what_cannot_be_built_in_processes_is_refused_in_one_line(env, message):
    with pytest.raises(EnvironmentUsageError, match=message) as refused:
        make(env, 2, backend="async")
    assert "\n" not in str(refused.value)
    assert not multiprocessing.active_children()


def test_a_function_that_cannot_be_sent_is_refused_in_one_line():
    lock = threading.Lock()
    with pytest.raises(EnvironmentUsageError, match=r"cannot send Counter to other processes: .*lock.*backend=sync"):
        make(lambda: (lock, toys.Counter())[1], 2, backend="async")
    assert not multiprocessing.active_children()


def test_processes_end_with_their_worlds():
    worlds = make(toys.Counter, 2, backend="async")
    pids = [process.pid for process in worlds.env.processes]
    assert len(pids) == len(multiprocessing.active_children()) == 2
    del worlds
    gc.collect()
    assert not multiprocessing.active_children()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs SIGALRM")
def test_a_step_that_was_cut_off_leaves_nothing_behind(monkeypatch):
    worlds = make(partial(toys.Sluggish, 5), 2, backend="async")
    worlds.reset()
    worlds.step(idle(worlds))
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    with pytest.raises(KeyboardInterrupt):
        worlds.step(idle(worlds))
    signal.signal(signal.SIGALRM, previous)
    assert worlds.reset()[0].tolist() == [[100.0], [100.0]]
    assert worlds.step(idle(worlds))[0].tolist() == [[101.0], [101.0]]
    worlds.close()


def ends_within(process: subprocess.Popen[str], seconds: float) -> tuple[str, str]:
    """Its output, once it and all its children, which hold the same pipes, have ended."""
    return process.communicate(timeout=seconds)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGALRM and process groups")
def test_ctrl_c_while_a_process_hangs(tmp_path):
    argv = ["tests.broken:Hang-v0", "--num-envs", "2", "--set", "backend=async", "--engine", "torch"]
    process = subprocess.Popen(
        [sys.executable, "-m", "rl.train", *argv, "--out", str(tmp_path)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("*/*/*/checkpoints/*.pt")) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(3)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, err = ends_within(process, 60)
    assert (process.returncode, err) == (130, "")
    assert "2 side by side (async)" in out
    assert "interrupted at step" in out


def test_a_script_without_a_guard_is_told(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("from envs import make\nmake('CartPole-v1', 2, backend='async')\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 1
    assert "a script must do its work under if __name__ == '__main__'" in done.stderr.splitlines()[-1]
    assert done.stderr.count("before it began") == 1  # the processes themselves are silent


def test_auto_takes_no_processes():
    assert {make(env, 1).backend for env in ("CartPole-v1", "FrozenLake-v1", toys.Counter)} == {"native", "sync"}
