"""The ten traps of Gymnasium's vector interface."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.vec_env import DummyVecEnv

from envs import EnvironmentUsageError, Variant, make
from envs.spaces import to_env_action
from tests.envs.test_worlds import INF, run
from tests.toys import Counter, Float32Vector, ReusedBuffer, Shaped, Tenth, numbered, same_step

pytestmark = pytest.mark.filterwarnings("ignore:.*share an object, therefore:UserWarning")  # in the probes


def test_trap_1_make_takes_same_step_where_make_vec_takes_next_step():
    assert gym.make_vec("CartPole-v1", 2).metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert make("CartPole-v1", 2).metadata["autoreset_mode"] is AutoresetMode.SAME_STEP


@pytest.mark.parametrize(
    "vector",
    [
        pytest.param(lambda: gym.make_vec("CartPole-v1", 2), id="own vector class"),
        pytest.param(lambda: SyncVectorEnv([Counter, Counter]), id="sync"),
        pytest.param(lambda: SyncVectorEnv([Counter], autoreset_mode=AutoresetMode.NEXT_STEP), id="sync, explicit"),
    ],
)
def test_trap_1_next_step_vector_environments_are_refused_in_one_line(vector):
    with pytest.raises(EnvironmentUsageError, match=r"NEXT_STEP.*autoreset_mode=.*SAME_STEP") as refused:
        make(vector())
    assert "\n" not in str(refused.value)


def test_trap_2_no_fake_transition_after_an_episode():
    worlds = make(numbered(lambda i: Counter(2 + i)), 2)
    worlds.reset()
    rewards = np.stack([reward for _, reward, *_ in run(worlds, 6)], 1)
    np.testing.assert_array_equal(rewards, [[1, 2, 1, 2, 1, 2], [1, 2, 3, 1, 2, 3]])


@pytest.mark.parametrize("truncates", [False, True])
def test_trap_3_next_obs_is_the_last_observation_and_obs_the_reset_one(truncates):
    worlds = make(numbered(lambda i: Counter(2 + i, truncates)), 2)
    first, _ = worlds.reset()
    steps = run(worlds, 3)
    np.testing.assert_array_equal(first[:, 0], [0, 0])
    np.testing.assert_array_equal([obs[:, 0] for obs, *_ in steps], [[1, 1], [100, 2], [101, 100]])
    np.testing.assert_array_equal([s[4]["next_obs"][:, 0] for s in steps], [[1, 1], [2, 2], [101, 3]])
    ended = [[False, False], [True, False], [False, True]]
    np.testing.assert_array_equal([s[3 if truncates else 2] for s in steps], ended)
    assert not np.any([s[2 if truncates else 3] for s in steps])
    assert all(s[4]["next_obs"].dtype == np.float32 for s in steps)


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(lambda: make(lambda: ReusedBuffer(2), 2), id="function"),
        pytest.param(lambda: make(ReusedBuffer(2)), id="object"),
        pytest.param(lambda: make(same_step(ReusedBuffer(2), ReusedBuffer(2))), id="vector environment"),
    ],
)
def test_trap_4_a_reused_observation_buffer_does_no_harm(world):
    worlds = world()
    first, _ = worlds.reset()
    steps = run(worlds, 5)
    assert first[0, 0] == 0
    assert [float(obs[0, 0]) for obs, *_ in steps] == [1, 100, 101, 200, 201]
    assert [float(infos["next_obs"][0, 0]) for *_, infos in steps] == [1, 2, 101, 102, 201]


def test_trap_4_a_vector_environment_may_reuse_its_buffers():
    worlds = make(Float32Vector())
    first, _ = worlds.reset()
    steps = run(worlds, 2)
    assert (first[0, 0], steps[0][0][0, 0], steps[1][0][0, 0]) == (0, 1, 2)
    assert (steps[0][4]["next_obs"][0, 0], steps[1][4]["next_obs"][0, 0]) == (1, 2)


def test_trap_5_statistics_are_ours_where_the_environment_keeps_its_own_in_final_info():
    worlds = make(lambda: gym.wrappers.RecordEpisodeStatistics(Counter(2)), 2)
    worlds.reset()
    _, (*_, infos) = run(worlds, 2)
    assert isinstance(infos["final_info"], dict)
    np.testing.assert_array_equal(infos["episode"]["r"], [3.0, 3.0])
    np.testing.assert_array_equal(infos["episode"]["l"], [2, 2])


def test_trap_6_the_mask_says_whose_episode_ended():
    worlds = make(numbered(lambda i: Counter(2 + i)), 3)
    worlds.reset()
    steps = run(worlds, 4)
    assert "episode" not in steps[0][4]
    assert "_episode" not in steps[0][4]
    masks = [s[4]["_episode"].tolist() for s in steps[1:]]
    assert masks == [[True, False, False], [False, True, False], [True, False, True]]


def test_trap_7_statistics_are_right_for_episodes_that_end_at_different_times():
    worlds = make(numbered(lambda i: Counter(2 + i)), 3)
    worlds.reset()
    episodes = []
    for t, (*_, infos) in enumerate(run(worlds, 6), 1):
        if "_episode" in infos:
            assert infos["episode"]["r"].dtype == np.float64
            assert infos["episode"]["l"].dtype == np.int64
            r, length = infos["episode"]["r"], infos["episode"]["l"]
            episodes += [(t, int(i), float(r[i]), int(length[i])) for i in np.flatnonzero(infos["_episode"])]
    assert episodes == [(2, 0, 3, 2), (3, 1, 6, 3), (4, 0, 3, 2), (4, 2, 10, 4), (6, 0, 3, 2), (6, 1, 6, 3)]


def test_trap_7_statistics_restart_with_a_full_reset():
    worlds = make(lambda: Counter(2), 1)
    worlds.reset()
    run(worlds, 1)
    worlds.reset()
    _, (*_, infos) = run(worlds, 2)
    assert (infos["episode"]["r"][0], infos["episode"]["l"][0]) == (3.0, 2)


def test_trap_7_statistics_survive_a_partial_reset():
    worlds = make(lambda: Counter(3), 2)
    worlds.reset()
    run(worlds, 1)
    worlds.reset(options={"reset_mask": np.array([True, False])})
    *_, infos = run(worlds, 2)[-1]
    assert infos["_episode"].tolist() == [False, True]
    assert (infos["episode"]["r"][1], infos["episode"]["l"][1]) == (6.0, 3)


def test_trap_8_reset_leaves_the_callers_options_alone():
    worlds = make(lambda: Counter(3), 2)
    worlds.reset()
    options = {"reset_mask": np.array([True, False])}
    worlds.reset(options=options)
    assert list(options) == ["reset_mask"]


def test_trap_8_disabled_mode_is_refused_in_one_line():
    with pytest.raises(EnvironmentUsageError, match="DISABLED") as refused:
        make(SyncVectorEnv([Counter], autoreset_mode=AutoresetMode.DISABLED))
    assert "\n" not in str(refused.value)


def first_observations(seed):
    return make("CartPole-v1", 8, seed).reset()[0]


def test_trap_9_two_seeds_share_no_stream():
    both = np.concatenate([first_observations(0), first_observations(1)])
    assert len(np.unique(both, axis=0)) == 16


def test_trap_9_the_same_seed_gives_the_same_observations():
    np.testing.assert_array_equal(first_observations(3), first_observations(3))


@pytest.mark.parametrize("seed", [0, 7])
def test_trap_9_a_reset_with_the_seeds_of_sb3_draws_what_sb3_draws(seed):
    theirs = DummyVecEnv([lambda: gym.make("CartPole-v1")] * 4)
    theirs.seed(seed)
    np.testing.assert_array_equal(make("CartPole-v1", 4).reset(seed=seed)[0], theirs.reset())


def test_trap_9_later_resets_do_not_replay_one_episode():
    worlds = make("CartPole-v1", 4)
    resets = np.concatenate([worlds.reset()[0] for _ in range(4)])
    assert len(np.unique(resets, axis=0)) == 16


def test_trap_9_automatic_resets_do_not_replay_one_episode():
    worlds = make("CartPole-v1", 1, variant=Variant(max_episode_steps=1))
    starts = [worlds.reset()[0], *(obs for obs, *_ in run(worlds, 7))]
    assert len(np.unique(np.concatenate(starts), axis=0)) == 8


def test_trap_9_the_action_space_is_seeded_too():
    a, b, other = (make("Pendulum-v1", 2, seed).action_space.sample() for seed in (5, 5, 6))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, other)


@pytest.mark.parametrize("env", [pytest.param(Tenth(None), id="sync"), pytest.param(Float32Vector(), id="own class")])
def test_trap_10_rewards_are_float64(env):
    worlds = make(env)
    worlds.reset()
    assert all(reward.dtype == np.float64 for _, reward, *_ in run(worlds, 2))


def test_trap_10_returns_are_added_in_float64():
    worlds = make(Tenth(1000))
    worlds.reset()
    *_, infos = run(worlds, 1000)[-1]
    assert infos["episode"]["r"][0] == pytest.approx(100.0, abs=1e-9)


def test_trap_10_discrete_actions_are_shifted_by_start():
    worlds = make("envs.probes:ShiftedAction-v0", 3)
    assert worlds.single_action_space == spaces.Discrete(3)
    assert worlds.env_action_space == spaces.Discrete(3, start=-1)
    worlds.reset()
    _, reward, *_ = worlds.step(np.array([0, 1, 2]))
    np.testing.assert_array_equal(reward, [1, -1, -1])


@pytest.mark.parametrize(
    ("space", "action", "expected"),
    [
        pytest.param(spaces.Box(-1, 1, (1,)), [[5.0], [-0.5]], [[1.0], [-0.5]], id="bounded"),
        pytest.param(
            spaces.Box(-1, 1, (2, 3)), [[-2.0, -1, 0, 1, 2, 0.5]], [[[-1.0, -1, 0], [1, 1, 0.5]]], id="shape (2, 3)"
        ),
        pytest.param(spaces.Box(-1, 1, ()), [[3.0], [0.5]], [1.0, 0.5], id="shape ()"),
        pytest.param(spaces.Box(0, INF, (1,)), [[-3.0], [1e6]], [[0.0], [1e6]], id="bounded below"),
        pytest.param(spaces.Box(-INF, 0, (1,)), [[-1e6], [3.0]], [[-1e6], [0.0]], id="bounded above"),
        pytest.param(spaces.Box(-INF, INF, (1,)), [[-1e6], [1e6]], [[-1e6], [1e6]], id="unbounded"),
        pytest.param(
            spaces.Box(np.float32([-1, 0]), np.float32([1, INF])), [[-9.0, -9], [9, 9]], [[-1.0, 0], [1, 9]], id="mixed"
        ),
        pytest.param(spaces.Box(-0.1, 0.1, (1,), np.float64), [[1.0], [-1]], [[0.1], [-0.1]], id="float64"),
    ],
)
def test_trap_10_box_actions_are_clipped_and_reshaped_for_the_environment_only(space, action, expected):
    sampled = np.array(action, np.float32)
    given = sampled.copy()
    worlds = make(lambda: Shaped(action_space=space), len(action))
    worlds.reset()
    worlds.step(sampled)
    received = np.array([env.unwrapped.received[0] for env in worlds.env.envs])
    np.testing.assert_array_equal(received, np.array(expected, space.dtype))
    assert to_env_action(space, sampled).dtype == space.dtype
    assert all(np.asarray(row) in space for row in to_env_action(space, sampled))
    np.testing.assert_array_equal(sampled, given)
