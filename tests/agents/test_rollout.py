"""Rows of a rollout are complete transitions."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents import A2C
from agents.rollout import Choice, Episode, Rollout, collect
from agents.settings.values import ConfigError
from agents.streaming import StreamAC
from envs import EnvironmentFailure, make
from tests.toys import Counter, Failing, Idle, ReusedBuffer, Shaped, Tenth, numbered


def started(env, n):
    worlds = make(env, n)
    return worlds, worlds.reset()[0]


def test_shapes_and_dtypes():
    worlds, obs = started("CartPole-v1", 3)
    rollout, after, _ = collect(worlds, Idle(), obs, 5, 0)
    assert (rollout.recurrent_states, rollout.measure) == (None, True)
    shapes = {name: (tuple(x.shape), x.dtype) for name, x in zip(rollout._fields, rollout[:7], strict=False)}
    assert shapes == {
        "obs": ((5, 3, 4), torch.float32),
        "action": ((5, 3), torch.int64),
        "reward": ((5, 3), torch.float32),
        "next_obs": ((5, 3, 4), torch.float32),
        "terminated": ((5, 3), torch.bool),
        "truncated": ((5, 3), torch.bool),
        "behavior": ((5, 3, 2), torch.float32),
    }
    assert after.shape == (3, 4)


@pytest.mark.parametrize("env", [Counter, ReusedBuffer])
def test_rows_hold_the_true_successor(env):
    worlds, obs = started(numbered(lambda i: env(2 + i)), 2)
    actor = Idle()
    rollout, after, _ = collect(worlds, actor, obs, 5, 0)
    assert rollout.obs[..., 0].T.tolist() == [[0, 1, 100, 101, 200], [0, 1, 2, 100, 101]]
    assert rollout.next_obs[..., 0].T.tolist() == [[1, 2, 101, 102, 201], [1, 2, 3, 101, 102]]
    assert rollout.reward.T.tolist() == [[1, 2, 1, 2, 1], [1, 2, 3, 1, 2]]
    assert rollout.ended.T.tolist() == [[False, True, False, True, False], [False, False, True, False, False]]
    assert after[:, 0].tolist() == [201, 102]
    np.testing.assert_array_equal(np.stack(actor.seen), rollout.obs.numpy())


def test_successors_are_the_next_rows_observations_where_no_episode_ended():
    worlds, obs = started("CartPole-v1", 2)
    rollout, after, _ = collect(worlds, Idle(), obs, 40, 0)
    following = torch.cat([rollout.obs[1:], torch.as_tensor(after)[None]])
    same = (rollout.next_obs == following).all(-1)
    assert rollout.ended.any()
    assert torch.equal(same, ~rollout.ended)


@pytest.mark.parametrize(("truncates", "other"), [(False, "truncated"), (True, "terminated")])
def test_terminated_and_truncated_are_kept_apart(truncates, other):
    worlds, obs = started(lambda: Counter(2, truncates), 1)
    rollout, *_ = collect(worlds, Idle(), obs, 4, 0)
    assert not getattr(rollout, other).any()
    assert rollout.ended[:, 0].tolist() == [False, True, False, True]


def test_episodes_are_dated_by_environment_steps():
    worlds, obs = started(numbered(lambda i: Counter(2 + i)), 2)
    _, after, first = collect(worlds, Idle(), obs, 3, 100)
    _, _, second = collect(worlds, Idle(), after, 3, 106)
    assert first == [Episode(3.0, 2, 104), Episode(6.0, 3, 106)]
    assert second == [Episode(3.0, 2, 108), Episode(3.0, 2, 112), Episode(6.0, 3, 112)]


def test_an_episode_that_spans_rollouts_counts_whole():
    worlds, obs = started(lambda: Tenth(10), 1)
    found = []
    for t in range(10):
        _, obs, episodes = collect(worlds, Idle(), obs, 1, t)
        found += episodes
    assert found == [Episode(pytest.approx(1.0, abs=1e-12), 10, 10)]


def test_discrete_observations_stay_integers():
    worlds, obs = started("FrozenLake-v1", 2)
    rollout, *_ = collect(worlds, Idle(), obs, 3, 0)
    assert (tuple(rollout.obs.shape), rollout.obs.dtype, rollout.next_obs.dtype) == ((3, 2), torch.int64, torch.int64)


class Pusher:
    """Always requests actions out of bounds."""

    def act(self, obs, deterministic=False, generator=None, context=None):
        return Choice(torch.full((len(obs), 1), 9.0), torch.zeros(len(obs), 2))


def test_the_rollout_keeps_the_action_that_was_sampled():
    worlds, obs = started(lambda: Shaped(action_space=spaces.Box(-1, 1, (1,))), 2)
    rollout, *_ = collect(worlds, Pusher(), obs, 2, 0)
    assert rollout.action.tolist() == [[[9.0], [9.0]]] * 2
    assert [float(action[0]) for action in worlds.env.envs[0].unwrapped.received] == [1.0, 1.0]


@pytest.mark.parametrize("failing", [{"obs": np.nan}, {"reward": np.inf}, {"raises": True}])
def test_a_failing_environment_stops_the_collection_by_its_index(failing):
    worlds, obs = started(numbered(lambda i: Failing("step", 1, **failing) if i == 2 else Counter()), 3)
    with pytest.raises(EnvironmentFailure, match="environment 2"):
        collect(worlds, Idle(), obs, 4, 0)


@pytest.mark.parametrize("engine", ["torch", "fused"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r._replace(reward=r.reward[:2]), r"rollout\.obs has shape \(4, 3, 4\); for 2 steps of 3 env"),
        (lambda r: r._replace(reward=r.reward.flatten()), r"rollout\.reward has shape \(12,\); it needs two"),
        (lambda r: r._replace(obs=r.obs[..., :3]), r"rollout\.obs .* it needs \(4, 3, 4\)"),
        (lambda r: r._replace(terminated=r.terminated[:2]), r"rollout\.terminated has shape \(2, 3\)"),
        (lambda r: r._replace(behavior=r.behavior[..., :1]), r"rollout\.behavior .* it needs \(4, 3, 2\)"),
    ],
)
def test_rollouts_of_another_form_are_refused(engine: str, change: Callable[[Rollout], Rollout], words: str) -> None:
    """Compiled kernels wrote beyond their arrays."""
    agent = A2C("CartPole-v1", num_envs=3, n_steps=4, net_arch=(8,), engine=engine)
    rollout, _, _ = collect(agent.worlds, agent, agent.worlds.reset()[0], 4, 0)
    with pytest.raises(ConfigError, match=words):
        agent.update(change(rollout))
    agent.update(rollout)


def test_what_a_compiled_agent_cannot_use_is_refused() -> None:
    agent = A2C("CartPole-v1", num_envs=3, n_steps=4, net_arch=(8,), engine="fused")
    rollout, _, _ = collect(agent.worlds, agent, agent.worlds.reset()[0], 4, 0)
    for action in (rollout.action + 5, rollout.action - 5, rollout.action.float()):
        with pytest.raises(ConfigError, match=r"rollout\.action must hold int64 from 0 up to \[1\]"):
            agent.update(rollout._replace(action=action))
    with pytest.raises(ConfigError, match=r"observations of shape \(4, 3\) do not fit Box"):
        agent.act(np.zeros((4, 3), np.float32))
    with pytest.raises(ConfigError, match="n_steps must be at least 1, got 0"):
        collect(agent.worlds, agent, np.zeros((3, 4), np.float32), 0, 0)
    stream = StreamAC("CartPole-v1", net_arch=(8,))
    rollout, _, _ = collect(stream.worlds, stream, stream.worlds.reset()[0], 2, 0)
    with pytest.raises(ConfigError, match="a stream learns from one step at a time, got 2"):
        stream.update(rollout)
