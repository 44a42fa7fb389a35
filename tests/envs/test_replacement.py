"""Processes that die or hang in a step are replaced: which transitions are kept, what is counted, when it fails."""

import multiprocessing
import os
import signal
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces

from agents import A2C
from agents.rollout import collect
from envs import EnvironmentFailure, EnvironmentReplaced, EnvironmentUsageError, EnvironmentWarning, make
from tests.toys import Counter, Picture

KILLED = r"environment 1 \(.*\): its process was killed by SIGKILL; it was replaced, its episode discarded"


def die(env):
    os.kill(os.getpid(), signal.SIGKILL)


def hang(env):
    threading.Event().wait()


class Fatal(Counter):
    """Environment 1 kills its process once, in the step with reward 3, and records this in `mark`. Returns its seed."""

    def __init__(self, mark, fail=die, length=8, times=1):
        super().__init__(length)
        self.mark, self.fail, self.times = str(mark), fail, times

    def reset(self, *, seed=None, options=None):
        self.first = multiprocessing.current_process().name.endswith("-0")
        return super().reset(seed=seed)

    def step(self, action):
        obs, reward, terminated, truncated, info = super().step(action)
        for k in range(self.times if reward == 3 and not self.first else 0):
            if not Path(self.mark, str(k)).exists():
                Path(self.mark, str(k)).touch()
                self.fail(self)
        return obs, reward, terminated, truncated, info


def zeros(worlds):
    return np.zeros(worlds.num_envs, np.int64)


@pytest.mark.parametrize(
    ("fail", "timeout", "words"),
    [(die, None, KILLED), (hang, 3, r"environment 1 \(.*\): its process hangs; it was replaced")],
)
def test_the_others_go_on_and_the_new_one_begins_an_episode(fail, timeout, words, tmp_path, alive):
    build = partial(Fatal, tmp_path, fail)
    worlds = make(build, 2, backend="async", on_crash="restart", step_timeout=timeout)
    worlds.reset()
    for _ in range(2):
        worlds.step(zeros(worlds))
    with pytest.warns(EnvironmentWarning, match=words), pytest.raises(EnvironmentReplaced) as lost:
        worlds.step(zeros(worlds))
    assert lost.value.obs.tolist() == [[3.0], [0.0]]
    assert lost.value.replaced.tolist() == [False, True]
    assert worlds.replaced == 1
    assert [part.tolist() for part in worlds.running] == [[6.0, 0.0], [3, 0]]
    obs, reward, *_ = worlds.step(zeros(worlds))
    assert (obs.tolist(), reward.tolist()) == ([[4.0], [1.0]], [4.0, 1.0])
    ends = []
    for _ in range(7):
        infos = worlds.step(zeros(worlds))[4]
        if "episode" in infos:
            ends.append((infos["_episode"].tolist(), infos["episode"]["r"][infos["_episode"]].tolist()))
    assert ends == [([True, False], [36.0]), ([False, True], [36.0])]
    assert worlds.state_dict()["snapshots"] is not None
    assert worlds.reset()[0].tolist() == [[200.0], [200.0]]
    worlds.close()
    assert not alive()


class FatalPicture(Picture):
    def __init__(self, mark, shape=(3, 4, 5)):
        super().__init__(shape)
        self.mark = mark

    def step(self, action):
        if action and not self.mark.exists():
            self.mark.touch()
            die(self)
        return super().step(action)


def test_observations_of_a_new_process_reach_this_one(tmp_path):
    worlds = make(partial(FatalPicture, tmp_path / "mark"), 2, backend="async", on_crash="restart")
    worlds.reset()
    with pytest.warns(EnvironmentWarning, match=KILLED), pytest.raises(EnvironmentReplaced) as lost:
        worlds.step(np.array([0, 1]))
    assert [int(row.max()) for row in lost.value.obs] == [1, 7]
    assert [int(row.min()) for row in worlds.step(zeros(worlds))[0]] == [2, 1]
    worlds.close()


class Random(Fatal):
    """Observations are drawn from its random stream."""

    def show(self):
        return self.np_random.normal(size=1).astype(np.float32)


def test_a_new_environment_draws_from_a_stream_of_its_own(tmp_path):
    shown = []
    for name in "ab":
        (tmp_path / name).mkdir()
        worlds = make(partial(Random, tmp_path / name), 2, 5, backend="async", on_crash="restart")
        first = worlds.reset()[0]
        worlds.step(zeros(worlds)), worlds.step(zeros(worlds))
        with pytest.warns(EnvironmentWarning, match=KILLED), pytest.raises(EnvironmentReplaced) as lost:
            worlds.step(zeros(worlds))
        shown.append([first.tolist(), lost.value.obs.tolist()])
        worlds.close()
    assert shown[0] == shown[1]
    assert len({tuple(row) for obs in shown[0] for row in obs}) == 4


@pytest.mark.parametrize("engine", ["torch", "fused"])
def test_an_agent_learns_from_whole_rollouts_only(engine, tmp_path):
    agent = A2C(
        partial(Fatal, tmp_path), num_envs=2, n_steps=2, engine=engine, backend="async", on_crash="restart",
        normalize_rewards=True,
    )  # fmt: skip
    episodes, steps = [], []

    def watch(status):
        episodes.extend(status.episodes)
        steps.append(status.step)

    with pytest.warns(EnvironmentWarning, match=KILLED):
        agent.learn(40, [watch])
    assert (agent.loop.step, steps[-1], agent.worlds.replaced) == (40, 40, 1)
    assert {episode.length for episode in episodes} == {8}
    assert {episode.ret for episode in episodes} == {36.0}
    saved = agent.save(tmp_path / "agent")
    agent.worlds.close()
    again = A2C.load(saved, partial(Fatal, tmp_path))
    assert again.worlds.replaced == 1
    again.worlds.close()


def test_a_recurrent_agent_begins_every_episode_anew(tmp_path):
    agent = A2C(
        partial(Fatal, tmp_path), num_envs=2, n_steps=2, gru_size=4, backend="async", on_crash="restart"
    )  # fmt: skip
    agent.learn(4)
    with pytest.warns(EnvironmentWarning, match=KILLED):
        agent.learn(4)
    assert agent.worlds.running[1].tolist() == [2, 2]
    agent.worlds.close()


def test_without_restart_a_death_is_a_failure(tmp_path):
    worlds = make(partial(Fatal, tmp_path), 2, backend="async")
    obs, _ = worlds.reset()
    agent = A2C(Counter, num_envs=2, engine="torch")
    with pytest.raises(EnvironmentFailure, match=r"environment 1 .*was killed by SIGKILL \(step 3 of its episode"):
        collect(worlds, agent, obs, 5, 0)
    worlds.close()


def test_training_ends_if_processes_die_without_end(tmp_path):
    agent = A2C(
        partial(Fatal, tmp_path, times=10**6), num_envs=2, n_steps=4, engine="torch", backend="async",
        on_crash="restart",
    )  # fmt: skip
    words = r"the processes of 1 environments were replaced 11 times without an update between them"
    with pytest.warns(EnvironmentWarning, match=KILLED), pytest.raises(EnvironmentFailure, match=words):
        agent.learn(400)
    agent.worlds.close()


class FatalTwice(Counter):
    """Cannot be built again after it has killed its process."""

    def __init__(self, mark):
        super().__init__()
        self.mark = mark
        if mark.exists():
            raise OSError("no display")

    def step(self, action):
        self.mark.touch()
        die(self)


def test_a_process_that_cannot_be_replaced_is_a_failure(tmp_path, alive):
    worlds = make(partial(FatalTwice, tmp_path / "mark"), 1, backend="async", on_crash="restart")
    worlds.reset()
    words = r"environment 0 .* SIGKILL and could not be replaced: .*OSError: no display \(step 1 of its episode"
    with pytest.raises(EnvironmentFailure, match=words):
        worlds.step(zeros(worlds))
    worlds.close()
    assert not alive()


def test_on_crash_is_for_processes_only():
    with pytest.raises(EnvironmentUsageError, match="on_crash=restart needs backend=async, got backend=auto"):
        A2C("CartPole-v1", on_crash="restart")
    assert isinstance(make("CartPole-v1", 1, on_crash="fail").env_action_space, spaces.Discrete)
