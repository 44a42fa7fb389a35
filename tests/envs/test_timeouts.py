"""Environments in processes that hang are named once their time is up, in training and in evaluation."""

import os
import signal

import numpy as np
import pytest

from agents import A2C, episodes
from agents.evaluation import evaluate
from envs import EnvironmentFailure, EnvironmentUsageError, make
from tests import toys
from tests.envs.test_processes import hang, in_turn


@pytest.mark.parametrize("env_id", ["tests.broken:HangInInit-v0", "tests.broken:HangInReset-v0"])
def test_an_environment_that_hangs_before_the_first_step_is_named_once_its_time_is_up(env_id, alive):
    with pytest.raises(
        EnvironmentFailure, match=rf"{env_id} has not been built and reset within 0.5 s \(step_timeout\)"
    ):
        make(env_id, 2, backend="async", step_timeout=0.5)
    assert not alive()


def test_a_copy_that_hangs_when_it_is_built_is_named_once_its_time_is_up(tmp_path, alive):
    """The first environment is fine. The time counts from when all processes have started."""
    build = in_turn(tmp_path, toys.Counter, toys.Counter, hang)
    with pytest.raises(
        EnvironmentFailure, match=r"environment \d \(Counter\) has not answered for 3 s \(step_timeout\)"
    ):
        make(build, 2, backend="async", step_timeout=3)
    assert not alive()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGALRM and process groups")
def test_ctrl_c_while_a_process_hangs(start, tmp_path):
    argv = ["tests.broken:Hang-v0", "--num-envs", 2, "--set", "backend=async", "--engine", "torch"]
    process = start("rl.train", *argv, "--out", tmp_path)
    header = process.wait_for("hanging")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, err = process.communicate()  # when it and its children, which share the pipes, have ended
    assert (process.returncode, err) == (130, "")
    assert "2 in parallel (async)" in header
    assert "interrupted at step" in out


def test_an_environment_that_hangs_is_named_once_its_time_is_up(monkeypatch, alive):
    worlds = make("tests.broken:Hang-v0", 2, backend="async", step_timeout=300)
    worlds.reset()
    for _ in range(50):
        worlds.step(np.zeros(2, np.int64))
    monkeypatch.setattr(worlds.env, "_timeout", 0.5)  # a busy machine may have needed longer before
    with pytest.raises(EnvironmentFailure, match=r"environment 0 \(.*Hang-v0\) has not answered for 0.5 s"):
        worlds.step(np.zeros(2, np.int64))
    with pytest.raises(EnvironmentFailure, match="not answered"):  # nor to a reset
        worlds.reset()
    worlds.close()
    assert not alive()


def test_step_timeout_is_for_processes_only():
    with pytest.raises(EnvironmentUsageError, match="step_timeout=2 needs backend=async, got backend=auto"):
        make("CartPole-v1", 2, step_timeout=2)
    for seconds in (2.2e6, 0.0, -1.0, np.inf, np.nan):
        with pytest.raises(EnvironmentUsageError, match="step_timeout must be positive and at most 1,000,000 seconds"):
            make("CartPole-v1", 2, backend="async", step_timeout=seconds)


@pytest.mark.parametrize("env_id", ["Hang", "Dies"])
def test_evaluation_is_guarded_as_training_is(env_id, monkeypatch, alive):
    """Also in separate processes: a crash there is named, and does not end the evaluating process."""
    monkeypatch.setattr(episodes, "_MAX_ENVS", 2)
    agent = A2C(f"tests.broken:{env_id}-v0", num_envs=1, backend="async", engine="torch", step_timeout=3)
    agent.learn(20)
    words = "has not answered for 3 s" if env_id == "Hang" else "its process was killed by SIGKILL"
    with pytest.raises(EnvironmentFailure, match=rf"environment \d \(tests.broken:{env_id}-v0\).* {words}.*seed \d+"):
        evaluate(agent, agent.env, 14)
    agent.worlds.close()
    assert not alive()
