"""Environments in separate processes, and envpool's: their rows equal those of environments stepped in turn."""

import gc
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents import A2C, episodes
from agents.evaluation import evaluate
from envs import EnvironmentFailure, EnvironmentUsageError, UnknownEnvironment, UnsupportedSpace, Variant, make
from envs.extras import install_command
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


def test_a_script_without_a_guard_is_told(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("from envs import make\nmake('CartPole-v1', 2, backend='async')\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 1
    assert "a script must do its work under if __name__ == '__main__'" in done.stderr.splitlines()[-1]
    assert done.stderr.count("before it began") == 1  # the processes print nothing themselves


# --- envpool ---


def successor(env, obs, action):
    """Next observation, reward and termination by Gymnasium's equations."""
    x = obs.astype(np.float64)
    if env.spec.id == "CartPole-v1":
        env.unwrapped.state, env.unwrapped.steps_beyond_terminated = x, None
    else:
        env.unwrapped.state = np.array([np.arctan2(x[1], x[0]), x[2]])
    return env.unwrapped.step(action)[:3]


def is_comparable(env_id, next_obs):
    """Excludes borderline terminations, and Pendulum's top speed, where envpool uses the speed before clipping."""
    if env_id == "Pendulum-v1":
        return abs(next_obs[2]) < 8
    return abs(abs(next_obs[0]) - 2.4) > 1e-5 and abs(abs(next_obs[2]) - np.pi / 15) > 1e-5


@pytest.mark.parametrize(
    ("env_id", "limit", "steps"), [("CartPole-v1", 500, 1600), ("CartPole-v1", 20, 1000), ("Pendulum-v1", 200, 1000)]
)
def test_every_row_of_envpool_is_a_transition(env_id, limit, steps):
    worlds = make(env_id, 4, 1, backend="envpool", variant=Variant(max_episode_steps=limit))
    theirs = gym.make(env_id, disable_env_checker=True)
    theirs.reset()
    assert (worlds.backend, worlds.has_time_limit) == ("envpool", True)
    assert (worlds.obs_space, worlds.env_action_space) == (theirs.observation_space, theirs.action_space)
    assert worlds.reward_threshold == theirs.spec.reward_threshold
    obs, _ = worlds.reset()
    returns, lengths, cut, both, compared = np.zeros(4), np.zeros(4, int), 0, 0, 0
    for t in range(steps):
        upright = (obs[:, 2:].sum(1) > 0).astype(int)  # balances the pole
        action = upright if limit == 500 and t > 300 else worlds.action_space.sample()
        after, reward, terminated, truncated, infos = worlds.step(action)
        lengths, returns = lengths + 1, returns + reward
        np.testing.assert_array_equal(truncated, lengths >= limit)
        for i, next_obs in enumerate(infos["next_obs"]):
            expected, r, over = successor(theirs, obs[i], action[i])
            if is_comparable(env_id, next_obs):
                compared += 1
                np.testing.assert_allclose(next_obs, expected, atol=2e-5)
                assert reward[i] == pytest.approx(r, abs=1e-4)
                assert terminated[i] == over
        ended = terminated | truncated
        cut, both = cut + truncated.sum(), both + (terminated & truncated).sum()
        np.testing.assert_array_equal(after[~ended], infos["next_obs"][~ended])
        if ended.any():
            assert (after[ended] != infos["next_obs"][ended]).any(1).all()
            np.testing.assert_allclose(infos["episode"]["r"][ended], returns[ended])
            np.testing.assert_array_equal(infos["episode"]["l"][ended], lengths[ended])
            np.testing.assert_array_equal(infos["_episode"], ended)
        lengths[ended], returns[ended] = 0, 0.0
        obs = after
    assert compared > 3 * steps
    assert cut > 3
    assert (both > 0) == (limit == 20)  # a termination in the last allowed step stays a termination


def test_the_outputs_of_envpool_outlive_the_next():
    worlds = make("CartPole-v1", 3, backend="envpool")
    worlds.reset()
    kept = []
    for _ in range(100):
        obs, *_, infos = worlds.step(worlds.action_space.sample())
        kept += [(array, array.copy()) for array in (obs, infos["next_obs"])]
    assert all((array == copy).all() for array, copy in kept)


def test_seeds_of_envpool():
    first, again, other = (make("CartPole-v1", 8, seed, backend="envpool") for seed in (0, 0, 1))
    a, b, c = (worlds.reset()[0] for worlds in (first, again, other))
    np.testing.assert_array_equal(a, b)
    assert len(np.unique(np.concatenate([a, c, first.reset()[0], other.reset()[0]]), axis=0)) == 32
    np.testing.assert_array_equal(first.reset(seed=3)[0], again.reset(seed=3)[0])
    np.testing.assert_array_equal(first.reset(seed=3)[0][1:], again.reset(seed=4)[0][:-1])


def test_some_environments_of_envpool_are_reset():
    worlds = make("CartPole-v1", 4, backend="envpool")
    with pytest.raises(EnvironmentFailure, match="call reset before the first step"):
        worlds.step(np.zeros(4, np.int64))
    worlds.reset()
    before = worlds.step(np.ones(4, np.int64))[0].copy()
    mask = np.array([True, False, False, True])
    after = worlds.reset(options={"reset_mask": mask})[0]
    np.testing.assert_array_equal(after[~mask], before[~mask])
    assert (after[mask] != before[mask]).any(1).all()
    with pytest.raises(EnvironmentFailure, match="takes no reset options"):
        worlds.reset(options={"low": 0})


@pytest.mark.parametrize(
    ("env", "variant", "kind", "words"),
    [
        ("CartPol-v1", Variant(), UnknownEnvironment, "did you mean 'CartPole-v1'.*backend=sync"),
        (lambda: toys.Counter(), Variant(), EnvironmentUsageError, "backend=envpool takes an id"),
        ("CartPole-v1", Variant(frame_stack=2), EnvironmentUsageError, "frame_stack is not for backend=envpool"),
        ("CartPole-v1", Variant(max_episode_steps=0), EnvironmentUsageError, "must be positive, got 0"),
        ("CartPole-v1", Variant(env_kwargs={"seed": 1}), EnvironmentUsageError, "seed cannot be in env_kwargs"),
        ("CartPole-v1", Variant(env_kwargs={"sed": 1}), EnvironmentUsageError, "unexpected keyword argument 'sed'"),
        ("GardnerChess-v1", Variant(), EnvironmentUsageError, "is for 2 players"),
        ("FrankaKitchen-v1", Variant(), UnsupportedSpace, "has Dict observations.*backend=sync"),
    ],
)
def test_what_envpool_cannot_do_is_refused_in_one_line(env, variant, kind, words):
    with pytest.raises(kind, match=words) as refused:
        make(env, 2, backend="envpool", variant=variant)
    assert "\n" not in str(refused.value)


def test_envpool_that_is_not_installed_is_named_by_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "envpool", None)
    with pytest.raises(EnvironmentUsageError, match=f"needs envpool: {re.escape(install_command('envpool'))}"):
        make("CartPole-v1", backend="envpool")


def test_envpool_that_cannot_be_imported_is_not_called_missing(monkeypatch, tmp_path):
    (tmp_path / "envpool.py").write_text("import a_module_that_is_not_there")
    monkeypatch.delitem(sys.modules, "envpool", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(
        EnvironmentUsageError, match="cannot be imported: ModuleNotFoundError: No module named 'a_module"
    ):
        make("CartPole-v1", backend="envpool")


@pytest.mark.parametrize("engine", ["torch", "fused"])
def test_an_agent_of_envpool_is_evaluated_there_and_goes_on_with_fresh_episodes(engine, tmp_path):
    settings = {"engine": engine, "backend": "envpool", "num_envs": 4, "max_episode_steps": 30}
    agent, same = (A2C("CartPole-v1", **settings).learn(800) for _ in range(2))
    for parameter, other in zip(agent.policy.parameters(), same.policy.parameters(), strict=True):
        assert torch.equal(parameter, other)
    result = evaluate(agent, "CartPole-v1", 20)
    assert result.lengths.max() <= 30
    np.testing.assert_array_equal(result.returns, evaluate(agent, "CartPole-v1", 20).returns)
    elsewhere = evaluate(agent, "CartPole-v1", 20, variant=agent.variant, backend="native")
    assert (elsewhere.returns != result.returns).any()
    loaded = A2C.load(agent.save(tmp_path / "agent"))
    assert (loaded.worlds.backend, loaded.loop.exact, loaded.loop.step) == ("envpool", False, 800)
    loaded.learn(80)
    sync = make("CartPole-v1", 4, backend="sync")
    sync.reset()
    assert not loaded.worlds.load_state_dict(sync.state_dict())


def test_auto_takes_neither_processes_nor_envpool():
    assert {make(env, 1).backend for env in ("CartPole-v1", "FrozenLake-v1", toys.Counter)} == {"native", "sync"}
