"""envpool: every row is a transition of the environment, and what it cannot do is refused."""

import re
import sys

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents import A2C
from agents.evaluation import evaluate
from envs import EnvironmentFailure, EnvironmentUsageError, UnknownEnvironment, UnsupportedSpace, Variant, make
from envs.extras import install_command
from tests import toys


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
