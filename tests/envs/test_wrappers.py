"""Variants of environments: stacked observations, Atari preprocessing, and which environments accept which."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from agents import A2C
from agents.evaluation import evaluate
from agents.settings.values import ConfigError
from envs import EnvironmentUsageError, Variant, make
from envs.backends.guard import guarded
from envs.backends.sync import SyncBackend
from envs.build import builder
from tests.toys import Counter, Idle, Picture, ReusedBuffer, same_step

PONG = "ALE/Pong-v5"


def rows_of(env, num_envs, variant):
    """What `make` builds, before its check of the observation space."""
    build, count = builder(env, num_envs, variant)
    return SyncBackend([guarded(build(), i, str(env)) for i in range(count)])


@pytest.mark.parametrize("backend", ["sync", "async"])
@pytest.mark.parametrize("env", [Counter, ReusedBuffer])
def test_vectors_are_stacked_and_the_first_stands_in_for_those_before_it(env, backend):
    worlds = make(env, 2, variant=Variant(frame_stack=3), backend=backend)
    assert worlds.obs_space.shape == (3, 1)
    assert worlds.reset()[0][0].tolist() == [[0], [0], [0]]
    steps = [worlds.step(np.zeros(2, np.int64)) for _ in range(4)]
    assert [infos["next_obs"][0, :, 0].tolist() for *_, infos in steps] == [
        [0, 0, 1], [0, 1, 2], [1, 2, 3], [100, 100, 101],
    ]  # fmt: skip
    assert [obs[0, :, 0].tolist() for obs, *_ in steps[2:]] == [[100, 100, 100], [100, 100, 101]]
    worlds.close()


@pytest.mark.parametrize(
    ("shape", "stacked"),
    [((6, 5), (3, 6, 5)), ((6, 5, 2), (6, 5, 6)), ((2, 6, 5), (6, 6, 5)), ((6, 5, 4, 3), (3, 6, 5, 4, 3))],
    ids=["gray", "channels last", "channels first", "four axes"],
)
def test_images_are_stacked_along_their_channels(shape, stacked):
    worlds = rows_of(lambda: Picture(shape), 2, Variant(frame_stack=3))
    assert worlds.single_observation_space == spaces.Box(0, 255, stacked, np.uint8)
    assert worlds.reset()[0].dtype == np.uint8
    steps = [worlds.step(np.zeros(2, np.int64)) for _ in range(4)]
    assert all(np.unique(infos["next_obs"][1]).tolist() == sorted({max(t - 1, 0) or 7, t or 7, t + 1})
               for t, (*_, infos) in enumerate(steps))  # fmt: skip
    last, first = steps[3][4]["next_obs"][0], steps[3][0][0]
    assert (first == 7).all()
    newest, oldest = (last[..., -2:], last[..., :2]) if shape == (6, 5, 2) else (last[-(stacked[0] // 3) :], last[:1])
    assert ((newest == 4).all(), (oldest == 2).all()) == (True, True)


def test_the_time_limit_counts_the_agents_steps():
    worlds = make(lambda: Counter(None), 1, variant=Variant(max_episode_steps=4, frame_stack=2))
    worlds.reset()
    assert [worlds.step(np.zeros(1, np.int64))[3][0] for _ in range(8)] == [False, False, False, True] * 2


@pytest.mark.parametrize(
    ("env", "variant", "backend", "kind", "words"),
    [
        ("CartPole-v1", Variant(frame_stack=2), "native", EnvironmentUsageError, "no native .* with frame_stack"),
        ("CartPole-v1", Variant(frame_stack=0), "auto", EnvironmentUsageError, "frame_stack must be positive, got 0"),
        (same_step(Counter()), Variant(frame_stack=2), "auto", EnvironmentUsageError, "frame_stack=2 cannot apply"),
        ("CartPole-v1", Variant(atari_preprocessing=True), "auto", EnvironmentUsageError, "needs an Atari id"),
        (Counter, Variant(atari_preprocessing=True), "auto", EnvironmentUsageError, "applies only to an"),
        (same_step(Counter()), Variant(atari_preprocessing=True), "auto", EnvironmentUsageError, "cannot apply to a"),
    ],
)  # fmt: skip
def test_variants_that_cannot_be_had_are_refused_in_one_line(env, variant, backend, kind, words):
    with pytest.raises(kind, match=words) as refused:
        make(env, 1, variant=variant, backend=backend)
    assert "\n" not in str(refused.value)


def test_auto_takes_no_native_worlds_for_stacked_frames():
    assert make("CartPole-v1", 1, variant=Variant(frame_stack=2)).backend == "sync"
    assert make("CartPole-v1", 1, variant=Variant(max_episode_steps=9, env_kwargs={})).backend == "native"


@pytest.mark.parametrize(("name", "value"), [("frame_stack", 0), ("frame_stack", 1.5), ("atari_preprocessing", 3)])
def test_settings_out_of_range(name, value):
    with pytest.raises(ConfigError, match=name):
        A2C("CartPole-v1", **{name: value})


def test_an_agent_is_evaluated_on_its_own_variant(tmp_path):
    agent = A2C("CartPole-v1", num_envs=2, frame_stack=3, max_episode_steps=7).learn(40)
    assert agent.policy.net[0].in_features == 12
    assert evaluate(agent, "CartPole-v1", 4).lengths.max() <= 7
    assert evaluate(agent, "CartPole-v1", 4, variant=Variant(frame_stack=3)).lengths.max() > 7
    with pytest.raises(ValueError, match="the agent was trained on observations"):
        evaluate(agent, "CartPole-v1", 4, variant=Variant())
    assert evaluate(Idle(), "CartPole-v1", 4).lengths.max() > 7
    loaded = A2C.load(agent.save(tmp_path / "agent"))
    assert loaded.variant == agent.variant == Variant(7, None, 3, False)
    assert A2C.load(tmp_path / "agent", lambda: gym.make("CartPole-v1")).variant == agent.variant


def test_stable_baselines3_takes_the_variant_too():
    from agents.sb3 import from_sb3, to_sb3

    agent = A2C("CartPole-v1", num_envs=2, frame_stack=3)
    model = to_sb3(agent)
    assert model.observation_space == agent.obs_space
    assert type(model.observation_space) is spaces.Box
    assert from_sb3(model, "CartPole-v1", variant=agent.variant).variant == agent.variant


@pytest.mark.parametrize("count", [1, 4])
def test_atari_preprocessing(count):
    worlds = rows_of(PONG, 2, Variant(max_episode_steps=9, frame_stack=count, atari_preprocessing=True))
    assert worlds.single_observation_space == spaces.Box(0, 255, (count, 84, 84), np.uint8)
    frames, ends = [], []
    for _ in range(2):
        obs, _ = worlds.reset(seed=[3, 4])
        runs = [worlds.step(np.array([2, 3])) for _ in range(20)]
        frames.append(np.stack([obs] + [infos["next_obs"] for *_, infos in runs]))
        ends.append([int(t) for t, (_, _, _, truncated, _) in enumerate(runs, 1) if truncated.all()])
    assert (frames[0].shape, frames[0].dtype) == ((21, 2, count, 84, 84), np.uint8)
    np.testing.assert_array_equal(*frames)
    assert ends == [[9, 18], [9, 18]]
    after, last = runs[8][0], frames[0][9]
    assert (after != last).any()
    if count > 1:
        np.testing.assert_array_equal(last[:, :-1], frames[0][8][:, 1:])  # the last stack of an episode continues
        assert all((after[:, k] == after[:, 0]).all() for k in range(count))  # and the next one starts anew
    inner = worlds.envs[0].unwrapped
    assert (inner._frameskip, inner.spec.kwargs["repeat_action_probability"]) == (1, 0.25)


def test_atari_frames_are_skipped_once():
    variant = Variant(env_kwargs={"frameskip": 4}, atari_preprocessing=True)
    with pytest.raises(EnvironmentUsageError, match="leave frameskip out of env_kwargs"):
        make(PONG, 1, variant=variant)


def test_an_agent_learns_on_atari():
    agent = A2C(PONG, num_envs=2, n_steps=2, frame_stack=4, atari_preprocessing=True, max_episode_steps=20)
    agent.learn(16)
    assert agent.obs_space.shape == (4, 84, 84)
    assert evaluate(agent, PONG, 2).lengths.tolist() == [20, 20]


def test_wrappers_by_name():
    names = ("gymnasium.wrappers:NormalizeReward", "gymnasium.wrappers:RecordEpisodeStatistics")
    worlds = make("Pendulum-v1", 1, variant=Variant(wrappers=names))
    assert worlds.backend == "sync"  # wrapped environments are not native
    outer = worlds.env.envs[0].env.env  # inside the layer that records actions for an exact resume
    assert type(outer) is gym.wrappers.RecordEpisodeStatistics
    assert type(outer.env) is gym.wrappers.NormalizeReward
    agent = A2C("Pendulum-v1", num_envs=2, wrappers=names).learn(20)
    assert evaluate(agent, "Pendulum-v1", 1).lengths.tolist() == [200]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nosuch:Wrapper", "ModuleNotFoundError"),
        ("gymnasium.wrappers:Nosuch", "AttributeError"),
        ("gymnasium.wrappers:TimeLimit", "TypeError"),
        ("builtins:len", "TypeError"),
        ("builtins:repr", "not a gymnasium.Env"),
    ],
)
def test_wrappers_that_do_not_fit(name, words):
    with pytest.raises(EnvironmentUsageError, match=words) as refused:
        make("CartPole-v1", 1, variant=Variant(wrappers=(name,)))
    assert name in str(refused.value)
    assert "\n" not in str(refused.value)
