"""An environment with hidden state is restored by replaying its episode, or says that it cannot be."""

import numpy as np
import pytest
from gymnasium import spaces

from agents import checkpoint
from envs import Variant, make, replay
from envs.replay import Recorded
from tests import odd, toys
from tests.envs.test_snapshot import assert_same, play, reloaded


def interrupted(build, k, path, steps=40):
    """Plays k steps, saves, and continues in old and fresh worlds. Returns whether they came back, and both records."""
    worlds, fresh = build(0), build(1)
    worlds.reset()
    actions = [worlds.action_space.sample() for _ in range(k + steps)]
    play(worlds, actions[:k])
    state = reloaded(worlds.state_dict(), path / "state.pt")
    restored = fresh.load_state_dict(state)
    record = play(worlds, actions[k:])
    again = play(fresh, actions[k:]) if restored else None
    for one in (worlds, fresh):
        one.close()
    return restored, record, again


@pytest.mark.parametrize("env_id", ["LunarLander-v3", "HalfCheetah-v5", "Ant-v5"])
@pytest.mark.parametrize(("k", "backend"), [(0, "sync"), (7, "sync"), (25, "sync"), (110, "sync"), (110, "async")])
def test_box2d_and_mujoco_go_on_exactly(env_id, k, backend, tmp_path):
    restored, record, again = interrupted(
        lambda seed: make(env_id, 2, seed, variant=Variant(max_episode_steps=25), backend=backend), k, tmp_path
    )
    assert restored
    assert_same(record, again)
    assert sum(row[7].sum() for row in record) >= 2


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(lambda seed: make("LunarLander-v3", 1, seed, variant=Variant(frame_stack=3)), id="frames"),
        pytest.param(
            lambda seed: make("LunarLander-v3", 1, seed, variant=Variant(env_kwargs={"enable_wind": True})), id="wind"
        ),
        pytest.param(
            lambda seed: make(
                "HalfCheetah-v5", 1, seed, variant=Variant(wrappers=("gymnasium.wrappers:RecordEpisodeStatistics",))
            ),
            id="statistics",
        ),
        pytest.param(lambda seed: make(odd.Rebuilt, 3, seed), id="Discrete"),
        *(
            pytest.param(lambda seed, space=space: make(lambda: odd.Rebuilt(space), 3, seed), id=str(space))
            for space in (
                spaces.MultiDiscrete([3, 2]), spaces.MultiBinary(3), spaces.Box(-1, 1, (2,)), spaces.Box(-1, 1, ()),
                spaces.Discrete(3, start=2),
            )
        ),
        pytest.param(lambda seed: make(toys.same_step(odd.Rebuilt(), odd.Rebuilt()), seed=seed), id="vector"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("span", [0, 7, 2_000])
@pytest.mark.parametrize("k", [3, 18])
def test_other_environments_go_on_exactly(build, k, span, tmp_path, monkeypatch):
    """For any number of replayed episodes."""
    monkeypatch.setattr(replay, "SPAN", span)
    restored, record, again = interrupted(build, k, tmp_path)
    assert restored
    assert_same(record, again)


def test_a_second_checkpoint_holds_the_same(tmp_path):
    """For restored worlds that have not been stepped since."""
    worlds, fresh = (make("LunarLander-v3", 2, seed) for seed in (0, 1))
    worlds.reset()
    play(worlds, np.full((90, 2), 2))
    checkpoint.save(tmp_path / "a.pt", worlds.state_dict())
    assert fresh.load_state_dict(checkpoint.load(tmp_path / "a.pt"))
    checkpoint.save(tmp_path / "b.pt", fresh.state_dict())
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()


def test_an_episode_that_went_differently_is_not_resumed(tmp_path):
    restored, _, _ = interrupted(lambda seed: make(odd.Forgetful, 1, seed), 3, tmp_path)
    assert restored is False


@pytest.mark.parametrize("change", ["actions", "outcome", "start", "resets"])
def test_a_changed_record_is_not_resumed(change):
    worlds, fresh = (make("LunarLander-v3", 1, seed) for seed in (0, 1))
    worlds.reset()
    play(worlds, np.full((20, 1), 2))
    state = worlds.state_dict()
    record = state["snapshots"][0]
    if change == "actions":
        record["actions"][5] = 1
    elif change == "resets":
        record["resets"].append(9)
    elif change == "outcome":
        record["outcome"] = record["outcome"][::-1]
    else:
        record["start"] = record["start"][1:]
    assert fresh.load_state_dict(state) is False
    fresh.reset()
    assert np.isfinite(play(fresh, np.full((5, 1), 2))[-1][0]).all()


class Lazy(odd.Odd):
    """Builds its engine at the first reset, then keeps it."""

    engine = None

    def reset(self, *, seed=None, options=None):
        self.engine = self.engine or toys.Idle()
        return super().reset(seed=seed)

    def advance(self):
        self.engine.seen.append(1)
        return float(len(self.engine.seen))


def test_an_object_that_outlives_a_reset_may_hide_state(monkeypatch):
    monkeypatch.setattr(replay, "SPAN", 0)
    worlds = make(Lazy, 1)
    worlds.reset()
    assert worlds.resume == "replay"
    worlds.reset()
    assert worlds.resume == "new episodes"


@pytest.mark.parametrize("env_id", ["BipedalWalker-v3", "CarRacing-v3"])
def test_a_box2d_world_that_outlives_a_reset(env_id):
    """It orders contacts by its history, so the same episode goes differently in a fresh world."""
    worlds = make(env_id, 1)
    worlds.reset()
    assert worlds.resume == "new episodes"
    worlds.close()


def test_options_of_a_reset_are_not_recorded():
    worlds = make(odd.Rebuilt, 1)
    worlds.reset(options={"level": 3})
    assert worlds.resume == "new episodes"


def test_a_long_episode_is_not_recorded(monkeypatch):
    monkeypatch.setattr(replay, "LONGEST", 2)
    worlds = make(odd.Rebuilt, 1)
    worlds.reset()
    said = []
    for _ in range(6):
        play(worlds, np.zeros((1, 1), np.int64))
        said.append(worlds.resume)
    assert said == ["replay", "replay", "new episodes", "new episodes", "replay", "replay"]


class Interrupted(odd.Rebuilt):
    """Raises KeyboardInterrupt in the third step."""

    def step(self, action):
        answer = super().step(action)
        if self.episodes == 1 and len(self.engine.seen) == 4:
            raise KeyboardInterrupt
        return answer


def test_a_step_that_was_interrupted_is_not_replayed(tmp_path):
    worlds, actions = make(Interrupted, 1), np.ones((3, 1), np.int64)
    worlds.reset()
    with pytest.raises(KeyboardInterrupt):
        play(worlds, actions)
    assert worlds.resume == "new episodes"
    worlds.reset()
    assert worlds.resume == "replay"
    play(worlds, actions)
    fresh = make(Interrupted, 1, 1)
    assert fresh.load_state_dict(reloaded(worlds.state_dict(), tmp_path / "state.pt"))
    assert_same(play(fresh, actions), play(worlds, actions))


def test_plain_data_is_stepped_without_recording():
    kinds = {}
    for env in ("FrozenLake-v1", "LunarLander-v3"):
        worlds = make(env, 1)
        worlds.reset()
        kinds[env] = isinstance(worlds.env._stepped[0], Recorded)
    assert kinds == {"FrozenLake-v1": False, "LunarLander-v3": True}


class Late(odd.Odd):
    """Plain data until the first step of an episode of three steps."""

    engine = None

    def reset(self, *, seed=None, options=None):
        self.engine = None
        return super().reset(seed=seed)

    def step(self, action):
        self.engine = self.engine or toys.Idle()
        self.engine.seen.append(1)
        return np.zeros(1), 0.0, len(self.engine.seen) == 3, False, {}


def test_state_that_is_hidden_later_is_recorded_from_the_next_reset():
    worlds, actions = make(Late, 1), np.zeros((1, 1), np.int64)
    worlds.reset()
    said = [worlds.resume]
    for _ in range(4):
        play(worlds, actions)
        said.append(worlds.resume)
    assert said == ["state", "new episodes", "new episodes", "state", "replay"]
