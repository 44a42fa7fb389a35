"""Evaluation: complete episodes assigned in advance, and an unchanged agent."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents import episodes as play
from agents.a2c import A2C
from agents.evaluation import evaluate, evaluate_both, evaluate_still, has_uniform, summarize
from envs import Variant, make
from tests.toys import LINE, Counter, Idle, Numbered, OneOrNineteen, Shaped, numbered, same_step

pytestmark = pytest.mark.filterwarnings("ignore:.*share an object, therefore:UserWarning")  # in the probes
CHOICE = "envs.probes:ActionReward-v0"


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def twenty(build=OneOrNineteen):
    return same_step(*(build() for _ in range(20)))


def first_to_end(worlds, episodes):
    """Returns of the first episodes to end: an estimate that favors short episodes."""
    finished = []
    worlds.reset()
    while len(finished) < episodes:
        *_, infos = worlds.step(np.zeros(worlds.num_envs, np.int64))
        if "_episode" in infos:
            finished += infos["episode"]["r"][infos["_episode"]].tolist()
    return finished[:episodes]


def test_the_mean_is_unbiased_where_the_first_episodes_to_end_are_the_short_ones():
    assert np.mean([first_to_end(make(twenty(), seed=seed), 10) for seed in range(10)]) < 4
    means = [evaluate(Idle(), twenty(), 20, seed=seed).mean for seed in range(10)]
    assert np.mean(means) == pytest.approx(10.0, abs=3 * 9 / np.sqrt(200))


@pytest.mark.parametrize("episodes", [1, 7, 8, 20])
def test_episode_k_is_played_by_environment_k_mod_n(episodes):
    result = evaluate(Idle(), numbered(Numbered), episodes)
    k = np.arange(episodes)
    np.testing.assert_array_equal(result.returns, 100 * (k % 8) + k // 8)
    np.testing.assert_array_equal(result.lengths, k % 8 + 1)
    assert (result.returns.dtype, result.lengths.dtype) == (np.float64, np.int64)


@pytest.mark.parametrize("episodes", [1, 20, 33])
def test_an_id_gives_exactly_the_episodes_asked_for(episodes):
    result = evaluate(Idle(), "tests.toys:Counter-v0", episodes, variant=Variant(env_kwargs={"length": 4}))
    assert result.returns.tolist() == [10.0] * episodes
    assert result.lengths.tolist() == [4] * episodes
    assert (result.mean, result.std, result.cut) == (10.0, 0.0, 0)


def test_max_episode_steps_applies():
    assert evaluate(Idle(), "tests.toys:Counter-v0", 3, variant=Variant(max_episode_steps=2)).lengths.tolist() == [
        2,
        2,
        2,
    ]


def test_statistics_and_text():
    result = evaluate(Idle(), numbered(Numbered), 3, deterministic=False)
    assert result.mean == 100.0
    assert result.std == pytest.approx(np.sqrt(20000 / 3))
    assert str(result) == "100.00 ± 81.65 (mean ± std of 3 stochastic episodes)"


def test_deterministic_takes_the_mode_and_stochastic_draws():
    agent = A2C(CHOICE, num_envs=1)
    assert len(set(evaluate(agent, CHOICE, 20, deterministic=True).returns)) == 1
    assert set(evaluate(agent, CHOICE, 20, deterministic=False).returns) == {-1.0, 1.0}


@pytest.mark.parametrize("deterministic", [True, False])
def test_the_same_seed_gives_the_same_result(deterministic):
    agent = A2C("CartPole-v1", num_envs=1)
    a, b, other = (evaluate(agent, "CartPole-v1", 2, deterministic, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(a.returns, b.returns)
    assert not np.array_equal(a.returns, other.returns)


def test_the_agent_is_left_as_it_was():
    agent = A2C("CartPole-v1", num_envs=2, normalize_observations=True, normalize_rewards=True).learn(20)
    untouched = A2C("CartPole-v1", num_envs=2, normalize_observations=True, normalize_rewards=True).learn(20)
    state = torch.random.get_rng_state()
    evaluate(agent, "CartPole-v1", 4, deterministic=False)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(agent.state_dict()["predicting"], untouched.state_dict()["predicting"])
    states = [one.state_dict()["learner"] for one in (agent, untouched)]
    assert torch.equal(*(state["generator"] for state in states))
    for ours, theirs in [[state[name] for state in states] for name in ("obs_norm", "reward_norm")]:
        assert ours["count"] == theirs["count"] > 0
        assert torch.equal(ours["mean"], theirs["mean"])
        assert torch.equal(ours["m2"], theirs["m2"])
    agent.learn(20)
    untouched.learn(20)
    for ours, theirs in zip(agent.policy.parameters(), untouched.policy.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("episodes", [0, -1])
def test_at_least_one_episode_is_asked_for(episodes):
    with pytest.raises(ValueError, match=f"episodes must be at least 1, got {episodes}"):
        evaluate(Idle(), "CartPole-v1", episodes)


def test_an_environment_object_plays_one_episode_after_another_and_stays_open():
    env = Counter(4)
    result = evaluate(Idle(), env, 3)
    assert (result.returns.tolist(), result.lengths.tolist()) == ([10.0] * 3, [4] * 3)
    assert not env.closed


def test_what_a_function_built_is_closed():
    built = []

    def build():
        built.append(Counter(2))
        return built[-1]

    evaluate(Idle(), build, 2)
    assert built
    assert all(env.closed for env in built)


@pytest.mark.parametrize(
    ("env", "episodes"),
    [
        pytest.param(lambda: Counter(None), 1, id="one episode"),
        pytest.param(lambda: Counter(None), 2, id="two by one environment"),
        pytest.param(lambda: "tests.toys:Counter-v0", 25, id="id"),
        pytest.param(lambda: same_step(Counter(None), Counter(2)), 6, id="vector environment"),
    ],
)
def test_without_a_time_limit_an_episode_is_cut_off_and_the_next_starts_anew(env, episodes, monkeypatch):
    monkeypatch.setattr(play, "CUTOFF_STEPS", 3)
    made = env()
    kwargs = {"length": None} if isinstance(made, str) else None
    result = evaluate(Idle(), made, episodes, variant=Variant(env_kwargs=kwargs))
    ends = [False, True] * 3 if not isinstance(made, (str, Counter)) else [False] * episodes
    assert result.lengths.tolist() == [2 if end else 3 for end in ends]
    assert result.returns.tolist() == [3.0 if end else 6.0 for end in ends]
    assert result.cut == ends.count(False)
    assert f"; {result.cut} cut off after 3 steps)" in str(result)


@pytest.mark.parametrize("env", ["envs.probes:TimeLimit-v0", lambda: gym.make("envs.probes:TimeLimit-v0")])
def test_with_a_time_limit_nothing_is_cut_off(env, monkeypatch):
    monkeypatch.setattr(play, "CUTOFF_STEPS", 3)
    result = evaluate(Idle(), env, 2)
    assert (result.lengths.tolist(), result.cut) == ([5, 5], 0)


@pytest.mark.parametrize("env", ["envs.probes:TimeLimit-v0", "tests.toys:Counter-v0"])
def test_a_bound_on_the_steps_is_shared_equally_by_the_episodes(env):
    kwargs = {"length": None} if "Counter" in env else None  # endless; the other environment ends after 5 steps
    result = evaluate(Idle(), env, 6, variant=Variant(env_kwargs=kwargs), max_steps=20)
    assert (result.lengths.tolist(), result.cut) == ([3] * 6, 6)
    assert "; 6 cut off after 3 steps)" in str(result)
    assert evaluate(Idle(), "envs.probes:TimeLimit-v0", 6, max_steps=30).cut == 0
    assert evaluate(Idle(), "envs.probes:TimeLimit-v0", 6, max_steps=1).lengths.tolist() == [1] * 6


def test_a_watch_sees_every_step_of_both_evaluations(monkeypatch):
    monkeypatch.setattr(play, "CUTOFF_STEPS", 3)
    agent, seen = A2C(Counter(None)), []
    evaluate_both(agent, 2, 0, watch=lambda *counts: seen.append(counts))
    assert seen == [(step // 3, step) for step in range(1, 13)]


def test_both_evaluations_and_their_summary():
    agent = A2C(CHOICE, num_envs=1)
    deterministic, stochastic = evaluate_both(agent, 30, 0)
    assert (deterministic.deterministic, stochastic.deterministic) == (True, False)
    assert summarize(deterministic, stochastic) == {
        "eval_mean": deterministic.mean,
        "eval_std": 0.0,
        "eval_stochastic_mean": stochastic.mean,
        "eval_stochastic_std": stochastic.std,
        "eval_episodes": 30,
        "eval_cut": 0,
    }


def test_nothing_is_uniform_over_bounds_that_single_precision_cannot_hold() -> None:
    assert not has_uniform(spaces.Box(-1e300, 1e300, (1,), np.float64))
    assert has_uniform(spaces.Box(-2, -2, (1,), np.float32))


def above_zero(env):
    """A wrapper that raises actions to at least ¼."""
    return gym.wrappers.TransformAction(env, lambda action: action, spaces.Box(0.25, 1.0, (1,), np.float32))


def two_choices(env):
    return gym.wrappers.TransformAction(env, lambda action: action[0], spaces.MultiDiscrete([2, 2]))


def test_standing_still_is_the_action_nearest_to_zero_or_the_best_constant_one():
    target = "envs.probes:ContinuousTarget-v0"  # −(a − ½)²
    assert evaluate_still(target, 5).returns.tolist() == [-0.25] * 5
    above = Variant(wrappers=(f"{__name__}:above_zero",))
    assert evaluate_still(target, 5, variant=above).returns.tolist() == [-0.0625] * 5
    assert evaluate_still("envs.probes:ShiftedAction-v0", 5).returns.tolist() == [1.0] * 5  # of the actions −1, 0, 1
    several = Variant(wrappers=(f"{__name__}:two_choices",))
    assert evaluate_still("envs.probes:ActionReward-v0", 5, variant=several) is None


def test_standing_still_in_classic_control():
    assert 8.5 < evaluate_still("CartPole-v1").mean < 10.0
    assert set(evaluate_still("MountainCar-v0", 10).returns) == {-200.0}
    assert set(evaluate_still("MountainCarContinuous-v0", 10).returns) == {0.0}


@pytest.mark.parametrize(
    ("trained", "other"),
    [
        (spaces.Discrete(3), spaces.Box(-1, 1, (1,), np.float32)),
        (spaces.Box(-1, 1, (1,), np.float32), spaces.Discrete(3)),
        (spaces.Discrete(3), spaces.Discrete(4)),
        (spaces.MultiDiscrete([2, 3]), spaces.MultiDiscrete([3, 2])),
    ],
)
def test_other_actions_are_refused_and_what_was_built_is_closed(trained, other):
    """A choice was taken for a force and clipped, and a force for a choice and cut to a whole number."""
    agent, built = A2C(lambda: Shaped(LINE, trained), num_envs=1, engine="torch"), []

    def build():
        env = Counter(2)
        env.action_space = other
        built.append(env)
        return env

    with pytest.raises(ValueError, match=r"^the agent was trained on actions .*; Counter takes "):
        evaluate(agent, build, 2)
    assert built
    assert all(env.closed for env in built)
