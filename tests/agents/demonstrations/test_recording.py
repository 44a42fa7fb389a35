"""Demonstrations are the transitions of the evaluation's episodes; and the command that records them."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents import A2C
from agents import episodes as play
from agents.demonstrations import DemonstrationError, Demonstrations, record
from agents.rollout import Context
from envs import EnvironmentFailure, Variant
from envs.spaces import to_env_action, to_policy_action
from rl import evaluate
from tests.matrix import ACTIONS, OBSERVATIONS, Match
from tests.toys import Counter, Failing, Idle, Numbered, Shaped, numbered, same_step

pytestmark = pytest.mark.filterwarnings("ignore:.*share an object, therefore:UserWarning")  # in the probes
AGENTS = {
    "discrete, normalized": ("CartPole-v1", {"normalize_observations": True}),
    "continuous": ("Pendulum-v1", {"max_episode_steps": 20}),
    "Dict observations": ("envs.probes:GridWorld-v0", {}),
    "shifted choices": ("envs.probes:ShiftedAction-v0", {}),
    "masks": ("envs.probes:ForbiddenAction-v0", {}),
    "recurrent": ("envs.probes:Recall-v0", {"gru_size": 4}),
    "frames": ("CartPole-v1", {"frame_stack": 3, "max_episode_steps": 15}),
}


def agent_of(case: str) -> A2C:
    env_id, settings = AGENTS[case]
    return A2C(env_id, num_envs=2, engine="torch", **settings).learn(20)


def same(a: Demonstrations, b: Demonstrations) -> bool:
    def equal(x: object, y: object) -> bool:
        if isinstance(x, np.ndarray) and isinstance(y, np.ndarray):
            return x.dtype == y.dtype and np.array_equal(x, y)
        return x == y

    return all(equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("case", AGENTS)
def test_episodes_are_those_of_evaluation(case: str, deterministic: bool) -> None:
    agent = agent_of(case)
    expected = evaluate(agent, agent.env, 23, deterministic, seed=5)
    demonstrations = record(agent, agent.env, 23, 5, deterministic)
    np.testing.assert_allclose(demonstrations.returns, expected.returns, rtol=1e-6)
    assert [stop - start for start, stop in demonstrations.episodes] == expected.lengths.tolist()
    assert same(demonstrations, record(agent, agent.env, 23, 5, deterministic))


@pytest.mark.parametrize("case", AGENTS)
def test_rows_are_full_transitions_of_the_agent(case: str) -> None:
    agent = agent_of(case)
    d = record(agent, agent.env, 6)
    ended = d.terminated | d.truncated
    assert np.flatnonzero(ended).tolist() == [stop - 1 for _, stop in d.episodes]
    np.testing.assert_array_equal(d.obs[1:][~ended[:-1]], d.next_obs[:-1][~ended[:-1]])
    assert d.obs.dtype == agent.obs_space.dtype
    assert d.obs.shape[1:] == agent.obs_space.shape
    for start, stop in d.episodes:  # the actor's actions on these observations, one after another
        state = None
        for row in range(start, stop):
            legal = None if d.legal is None else d.legal[row : row + 1]
            choice = agent.act(d.obs[row : row + 1], True, None, Context(legal, state))
            np.testing.assert_allclose(choice.action.numpy()[0], d.action[row], atol=1e-6)
            state = choice.state


def test_transitions_of_known_episodes_in_order_of_assignment() -> None:
    d = record(Idle(), numbered(Numbered), 11)  # environment i of 8 plays episodes of i + 1 steps
    k = np.arange(11)
    np.testing.assert_array_equal(d.returns, 100 * (k % 8) + k // 8)
    assert d.episodes[:3] == [(0, 1), (1, 3), (3, 6)]
    assert d.obs[:6, 0].tolist() == [0, 0, 1, 0, 1, 2]
    assert d.next_obs[:6, 0].tolist() == [1, 1, 2, 1, 2, 3]
    assert d.reward[:6].tolist() == [0, 0, 100, 0, 0, 200]
    assert d.terminated[:6].tolist() == [True, False, True, False, False, True]
    assert not d.truncated.any()
    assert d.obs[-6:, 0].tolist() == [100, 100, 101, 100, 101, 102]
    assert d.transitions == sum(range(1, 9)) + 1 + 2 + 3
    assert (d.env_id, d.legal) == ("Numbered", None)
    kinds = [array.dtype.name for array in (d.action, d.reward, d.terminated, d.truncated, d.episode_start)]
    assert kinds == ["int64", "float32", "bool", "bool", "bool"]


def test_masks_are_kept() -> None:
    agent = agent_of("masks")
    d = record(agent, agent.env, 9)
    assert d.legal is not None
    assert d.legal.sum(1).tolist() == [1] * 9
    np.testing.assert_array_equal(d.action, d.legal.argmax(1))


def test_without_a_time_limit_an_episode_is_cut_off_and_truncated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "CUTOFF_STEPS", 3)
    d = record(Idle(), same_step(Counter(None), Counter(2)), 4)
    assert [stop - start for start, stop in d.episodes] == [3, 2, 3, 2]
    assert np.flatnonzero(d.truncated).tolist() == [2, 7]
    assert d.next_obs[2, 0] == 3  # not the observation after the reset
    assert d.metadata["cut_off_after"] == 3


def test_what_is_told_about_them() -> None:
    d = record(Idle(), "tests.toys:Counter-v0", 2, 7, False, Variant(max_episode_steps=2))
    assert {key: d.metadata[key] for key in d.metadata.keys() - {"versions"}} == {
        "actor": "Idle", "observation_space": "Box(-inf, inf, (1,), float32)", "action_space": "Discrete(2)",
        "choices": [2], "variant": {"max_episode_steps": 2}, "backend": "sync", "seed": 7, "deterministic": False,
        "cut_off_after": None,
    }  # fmt: skip
    assert d.metadata["versions"].keys() >= {"python", "torch", "gymnasium", "numpy"}


def upright(obs: np.ndarray) -> np.ndarray:
    return np.where(obs[:, 2] + obs[:, 3] > 0, 1, 0)


def test_a_function_of_observations_plays() -> None:
    d = record(upright, "CartPole-v1", 22)
    assert d.returns.min() > 195
    np.testing.assert_array_equal(d.action, upright(d.obs))
    assert (d.metadata["actor"], d.metadata["deterministic"]) == ("upright", None)


@pytest.mark.parametrize("case", ACTIONS)
def test_a_function_acts_in_the_environments_own_actions(case: str) -> None:
    space = ACTIONS[case]
    agent = A2C(lambda: Match(OBSERVATIONS["Dict"], space), num_envs=2, engine="torch")
    for player in (agent, lambda obs: np.stack([space.sample() for _ in obs])):
        d = record(player, lambda: Match(OBSERVATIONS["Dict"], space), 10)
        assert d.obs.shape == (10, spaces.flatdim(OBSERVATIONS["Dict"]))
        worlds = agent.worlds
        assert (d.action.shape[1:], d.action.dtype) == (
            agent.act(worlds.reset()[0]).action.shape[1:],
            np.float32 if isinstance(space, spaces.Box) else np.int64,
        )
        env_action = to_env_action(space, d.action)
        assert all(space.contains(action) for action in env_action)
        clipped = to_policy_action(space, env_action)
        np.testing.assert_array_equal(to_env_action(space, clipped), env_action)


@pytest.mark.parametrize(
    ("space", "actions", "words"),
    [
        (spaces.Discrete(3, start=2), [2, 5], r"action 5 in row 1 is not of Discrete\(3, start=2\)"),
        (spaces.Discrete(3), [0, -1], "action -1 in row 1"),
        (spaces.Discrete(3), [0.5, 1.0], r"actions are float64\[2\]; Discrete\(3\) needs whole numbers of shape \[N\]"),
        (spaces.Discrete(3), [0], "1 actions for a batch of 2 observations"),
        (spaces.Discrete(3), 0, "1 actions for a batch of 2 observations"),
        (spaces.MultiDiscrete([2, 2]), [[0, 0], [0, 2]], r"action \[0, 2\] in row 1"),
        (spaces.MultiDiscrete([2, 2]), [0, 1], r"whole numbers of shape \[N, 2\]"),
        (spaces.MultiBinary(1), [[0], [2]], r"action \[2\] in row 1"),
        (spaces.Box(-1, 1, (1,)), [[0.0], [np.nan]], "not finite in row 1"),
        (spaces.Box(-1, 1, (1,)), [[0], [1]], r"actions are int64\[2, 1\]; .* needs numbers of shape \[N, 1\]"),
        (spaces.Box(-1, 1, (1,)), [["a"], ["b"]], "needs numbers"),
    ],
)
def test_what_a_function_must_return(space: spaces.Space, actions: object, words: str) -> None:
    with pytest.raises(DemonstrationError, match=words):
        record(lambda _: actions, same_step(*(Shaped(action_space=space) for _ in range(2))), 2)


def test_usage() -> None:
    with pytest.raises(ValueError, match="episodes must be at least 1, got 0"):
        record(upright, "CartPole-v1", 0)
    with pytest.raises(ValueError, match="was trained on observations"):
        record(A2C("CartPole-v1", num_envs=1), "Acrobot-v1", 1)
    with pytest.raises(EnvironmentFailure, match="out of tea"):
        record(Idle(), Failing("step", 1, raises=True), 1)


def test_the_agent_is_left_as_it_was() -> None:
    agent, untouched = (A2C("CartPole-v1", num_envs=2, engine="torch").learn(20) for _ in range(2))
    state = torch.random.get_rng_state()
    record(agent, "CartPole-v1", 2, deterministic=False)
    assert torch.equal(torch.random.get_rng_state(), state)
    agent.learn(20)
    untouched.learn(20)
    for ours, theirs in zip(agent.policy.parameters(), untouched.policy.parameters(), strict=True):
        assert torch.equal(ours, theirs)
