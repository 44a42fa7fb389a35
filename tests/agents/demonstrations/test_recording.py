"""Demonstrations are the transitions of the evaluation's episodes; and the command that records them."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces

import rl.demos
from agents import A2C, checkpoint
from agents import episodes as play
from agents.demonstrations import DemonstrationError, Demonstrations, load, record
from agents.rollout import Context
from envs import EnvironmentFailure, Variant
from envs.spaces import to_env_action, to_policy_action
from rl import evaluate
from tests import ROOT
from tests.conftest import Command
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


# --- choosing among episodes ---


def five() -> Demonstrations:
    return record(Idle(), numbered(Numbered), 5)  # episode k has k + 1 steps and returns 100 k


def test_take_and_select() -> None:
    d = five()
    assert d.take(2).returns.tolist() == [0, 100]
    assert d.select([3, 1]).returns.tolist() == [300, 100]
    assert d.select([3, 1]).episodes == [(0, 4), (4, 6)]
    for episodes in (0, 6):
        with pytest.raises(DemonstrationError, match=f"asked for {episodes} episodes; the demonstrations have 5"):
            d.take(episodes)


@pytest.mark.parametrize(("fraction", "held"), [(0.01, 1), (0.2, 1), (0.5, 2), (0.6, 3), (0.99, 4)])
def test_split_holds_out_whole_episodes(fraction: float, held: int) -> None:
    d = five()
    train, held_out = d.split(fraction, seed=1)
    assert len(held_out.episodes) == held
    assert sorted([*train.returns, *held_out.returns]) == d.returns.tolist()
    assert same(train, d.split(fraction, seed=1)[0])
    assert len({tuple(d.split(0.2, seed)[1].returns) for seed in range(20)}) == 5


def test_one_episode_is_cut_in_two() -> None:
    d = five().select([4])
    train, held_out = d.split(0.3, seed=0)
    assert (train.transitions, held_out.transitions) == (3, 2)
    assert np.concatenate([train.obs, held_out.obs]).tolist() == d.obs.tolist()
    assert (train.truncated.tolist(), train.terminated.any()) == ([False, False, True], np.False_)
    assert held_out.episode_start.tolist() == [True, False]
    assert d.truncated.tolist() == [False] * 5
    assert d.episode_start.tolist() == [True] + [False] * 4


def test_what_cannot_be_split() -> None:
    with pytest.raises(DemonstrationError, match="a single transition cannot be split"):
        five().take(1).split(0.5)
    for fraction in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match="fraction must lie between 0 and 1"):
            five().split(fraction)


# --- the command ---


@pytest.fixture
def demos(command: Command) -> Command:
    return lambda *argv: command(rl.demos, *argv)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory with everything that the command reads."""
    agent = A2C("CartPole-v1", num_envs=2, seed=3, engine="torch").learn(20)
    agent.save(tmp_path / "run/checkpoints/step-000000000020.pt")
    return tmp_path / "run"


def test_the_command_records_the_final_evaluation(run: Path) -> None:
    argv = [sys.executable, "-m", "rl.demos", str(run), "--episodes", "21"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    file = run / "demonstrations.npz"
    agent = A2C.load(checkpoint.newest(run / "checkpoints"))
    expected = evaluate(agent, "CartPole-v1", 21, seed=3)
    d = load(file, obs_space=agent.obs_space, action_space=agent.worlds.env_action_space, env_id="CartPole-v1")
    np.testing.assert_array_equal(d.returns, expected.returns)
    assert {key: d.metadata[key] for key in ("run", "checkpoint", "step", "seed", "deterministic")} == {
        "run": str(run), "checkpoint": "step-000000000020.pt", "step": 20, "seed": 3, "deterministic": True,
    }  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines()[1:] == [
        str(expected), f"{d.transitions:,} transitions, {file}, {file.stat().st_size:,} bytes",
    ]  # fmt: skip


def test_the_same_command_writes_the_same_bytes(demos: Command, run: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert demos(run, "--episodes", 3, "--stochastic", "--seed", 4, "--out", tmp_path / f"{name}.npz")[0] == 0
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert demos(run, "--episodes", 3, "--stochastic", "--seed", 5, "--out", tmp_path / "c.npz")[0] == 0
    a, c = load(tmp_path / "a.npz"), load(tmp_path / "c.npz")
    assert (a.metadata["deterministic"], a.metadata["seed"], c.metadata["seed"]) == (False, 4, 5)
    assert not same(a, c)


def test_a_checkpoint_file_and_a_least_return(demos: Command, run: Path) -> None:
    file = run / "checkpoints/step-000000000020.pt"
    assert demos(file, "--episodes", "8", "--stochastic")[0] == 0
    everything = load(run / "checkpoints/demonstrations.npz")
    least = float(np.median(everything.returns))
    status, out, _ = demos(file, "--episodes", "8", "--stochastic", "--min-return", least)
    kept = load(run / "checkpoints/demonstrations.npz")
    assert status == 0
    assert kept.returns.tolist() == [ret for ret in everything.returns if ret >= least]
    assert f"{len(kept.returns)} of 8 episodes returned at least {least:g}" in out
    assert (kept.metadata["min_return"], kept.metadata["played"]) == (least, 8)


def test_the_command_counts_what_was_cut_off(demos: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "CUTOFF_STEPS", 2)
    agent = A2C("tests.toys:Counter-v0", num_envs=1, engine="torch", env_kwargs={"length": None})
    status, out, _ = demos(agent.save(tmp_path / "endless"), "--episodes", "3")
    assert status == 0
    assert "3.00 ± 0.00 (mean ± std of 3 deterministic episodes; 3 cut off after 2 steps)" in out


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "the following arguments are required: --episodes"),
        (["--episodes", "0"], "--episodes must be at least 1"),
        (["--episodes", "many"], "--episodes must be a whole number, got 'many'"),
        (["--episodes", "1", "--seed", "-1"], "--seed must be at least 0, got -1"),
        (["--episodes", "2", "--min-return", "1e9"], "the best of 2 episodes returned"),
        (["--episodes", "2", "--min-return", "nan"], "--min-return must be a number"),
        (["--episodes", "1", "--outfile", "x"], "did you mean '--out'"),
        (["--episodes", "1", "--out", "."], "is a directory; name a file in it"),
    ],
)
def test_mistakes_are_one_line(demos: Command, run: Path, flags: list[str], words: str) -> None:
    status, _, err = demos(run, *flags)
    assert (status, err.count("\n")) == (2, 1)
    assert re.search(re.escape(words), err)
    assert not (run / "demonstrations.npz").exists()


def test_a_run_that_is_not_there(demos: Command, tmp_path: Path) -> None:
    for run in (tmp_path, tmp_path / "missing"):
        status, _, err = demos(run, "--episodes", "1")
        assert (status, err.count("\n")) == (2, 1)
        assert "no checkpoint" in err


def test_nowhere_to_write(demos: Command, run: Path) -> None:
    status, _, err = demos(run, "--episodes", "1", "--out", "/dev/null/x.npz")
    assert (status, err.count("\n")) == (1, 1)
