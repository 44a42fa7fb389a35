"""Environments in separate processes: their rows equal those of environments stepped in turn."""

import gc
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from functools import partial

import numpy as np
import pytest
import torch

from agents import A2C
from envs import EnvironmentFailure, EnvironmentUsageError, make
from tests import ROOT, toys

ENVS = 3


def idle(worlds):
    return np.zeros(worlds.num_envs, np.int64)


def assert_same(rows, others):
    """All arrays of two step results are bitwise equal."""
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
    with pytest.raises(EnvironmentFailure, match=r"environment 0 \(Counter\) returned an observation of shape \(2,\)"):
        worlds.reset()
    worlds.close()


def test_a_process_that_is_killed_is_named_and_the_others_end(alive):
    worlds = make(toys.Counter, ENVS, backend="async")
    worlds.reset()
    worlds.env.processes[1].kill()
    with pytest.raises(EnvironmentFailure, match=r"environment 1 \(Counter\): its process was killed by SIGKILL"):
        worlds.step(idle(worlds))
    with pytest.raises(EnvironmentFailure, match="reset before the next step"):
        worlds.step(idle(worlds))
    with pytest.raises(EnvironmentFailure, match="killed by SIGKILL"):
        worlds.reset()
    worlds.close()
    assert not alive()


def in_turn(folder, *builds):
    """A function whose k-th call, counted over all processes, calls the k-th of these."""

    def build():
        for k, each in enumerate(builds):
            with suppress(FileExistsError):
                (folder / str(k)).touch(exist_ok=False)
                return each()
        raise AssertionError

    return build


def hang():
    threading.Event().wait()


def die():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("builds", "message"),
    [
        ([toys.AtHome], r"the function cannot build an environment: OSError: no display here$"),
        (
            [toys.Counter, toys.AtHome],
            r"environment 0 \(Counter\) cannot be built in its process: .* OSError: no display",
        ),
        ([toys.Counter, toys.Wanderer], "its spaces differ from those of environment 0"),
        ([die], "the environment: its process was killed by SIGKILL when it was built"),
    ],
)
def test_what_cannot_be_built_in_processes_is_refused_in_one_line(builds, message, tmp_path, alive):
    with pytest.raises(EnvironmentUsageError, match=message) as refused:
        make(in_turn(tmp_path, *builds), 1, backend="async")
    assert "\n" not in str(refused.value)
    assert not alive()


def test_an_environment_that_was_built_elsewhere_is_refused():
    with pytest.raises(EnvironmentUsageError, match="pass an id or a function, not an object"):
        make(toys.Counter(), 1, backend="async")


def test_no_environment_is_built_in_this_process(tmp_path):
    here = os.getpid()

    def build():
        assert os.getpid() != here
        return toys.Counter()

    worlds = make(build, 2, backend="async", step_timeout=300)
    assert (worlds.env_id, worlds.reset()[0].tolist()) == ("Counter", [[0.0], [0.0]])
    worlds.close()
    worlds = make("FrozenLake-v1", 1, backend="async")
    assert (worlds.env_id, worlds.reward_threshold, worlds.has_time_limit) == ("FrozenLake-v1", 0.7, True)
    worlds.close()


def test_a_function_that_cannot_be_sent_is_refused_in_one_line(alive):
    lock = threading.Lock()
    with pytest.raises(
        EnvironmentUsageError, match=r"cannot send the environment to other processes: .*lock.*backend=sync"
    ):
        make(lambda: (lock, toys.Counter())[1], 2, backend="async")
    assert not alive()


def test_processes_end_with_their_worlds(alive):
    worlds = make(toys.Counter, 2, backend="async")
    pids = [process.pid for process in worlds.env.processes]
    assert len(pids) == len(alive()) == 2
    del worlds
    gc.collect()
    assert not alive()


@pytest.mark.skipif(os.name != "posix", reason="needs SIGINT")
def test_a_step_that_was_cut_off_leaves_nothing_behind(tmp_path):
    worlds = make(partial(toys.Interrupting, os.getpid(), tmp_path / "mark", 5), 2, backend="async")
    worlds.reset()
    worlds.step(idle(worlds))
    with pytest.raises(KeyboardInterrupt):
        worlds.step(idle(worlds))
    assert worlds.reset()[0].tolist() == [[100.0], [100.0]]
    assert worlds.step(idle(worlds))[0].tolist() == [[101.0], [101.0]]
    worlds.close()


def test_a_script_without_a_guard_is_told(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("from envs import make\nmake('CartPole-v1', 2, backend='async')\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 1
    assert "a script must do its work under if __name__ == '__main__'" in done.stderr.splitlines()[-1]
    assert done.stderr.count("before it began") == 1  # the processes print nothing themselves


def test_auto_takes_neither_processes_nor_envpool():
    assert {make(env, 1).backend for env in ("CartPole-v1", "FrozenLake-v1", toys.Counter)} == {"native", "sync"}
