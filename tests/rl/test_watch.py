"""Films of trained agents: `python -m rl.watch`."""

from importlib import import_module
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from PIL import Image

import rl.watch
from agents import A2C
from agents.episodes import episode_player
from agents.evaluation import evaluate
from agents.maths.distributions import BoundedGaussian, Categorical, DiagonalGaussian
from agents.rollout import RecurrentStates, Rollout
from rl.run.film import write_film
from rl.run.overlay import bars_of
from rl.run.readings import Reader, Reading
from tests.conftest import Command


@pytest.fixture(autouse=True)
def headless(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)


def test_a_film_shows_the_first_episode_of_the_evaluation(command: Command, tmp_path: Path) -> None:
    agent = A2C("CartPole-v1", seed=3, num_envs=1, backend="sync", engine="torch")
    file, film = agent.save(tmp_path / "agent"), tmp_path / "films" / "one.gif"
    status, out, err = command(rl.watch, file, "--out", film, "--overlay", "--height", 200)
    played = evaluate(agent, "CartPole-v1", 1, seed=3)
    assert (status, err) == (0, "")
    assert f"episode: return {played.mean:.2f}, {played.lengths[0]} steps" in out
    with Image.open(film) as pictures:
        assert pictures.n_frames == played.lengths[0] + 1
        assert pictures.size == (300 + 150, 200)  # 600 × 400 scaled to height 200, plus the panel
        first = np.asarray(pictures.convert("RGB"))
        pictures.seek(pictures.n_frames - 1)
        assert (first[:, :300] != np.asarray(pictures.convert("RGB"))[:, :300]).any()  # the pole fell
    assert list(film.parent.iterdir()) == [film]


@pytest.mark.parametrize("name", ["12:30.mp4", "100%d.gif"])
def test_names_that_ffmpeg_reads_otherwise(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert write_film(Path(name), [np.zeros((16, 16, 3), np.uint8)] * 2, 10) == 2
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("argv", [["rl.watch", "--out", "a.gif"], ["rl.evaluate"], ["rl.demos", "--episodes", "1"]])
def test_an_agent_of_an_environment_object_is_refused(argv: list[str], command: Command, tmp_path: Path) -> None:
    file = A2C(gym.make("CartPole-v1"), engine="torch").save(tmp_path / "agent")
    status, out, err = command(import_module(argv[0]), file, *argv[1:])
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert f"{file}: the agent was trained on an environment object; only one with a name can be" in err


def test_a_film_can_be_cut_and_scaled(command: Command, tmp_path: Path) -> None:
    file = A2C("Pendulum-v1", num_envs=1, backend="sync", engine="torch").save(tmp_path / "agent")
    argv = ("--out", tmp_path / "cut.mp4", "--episodes", 2, "--max-steps", 3, "--stochastic", "--height", 64)
    status, out, _ = command(rl.watch, file, *argv)
    assert status == 0
    assert out.count("3 steps") == 2
    assert "8 frames, 0.3 s" in out
    assert (tmp_path / "cut.mp4").read_bytes()[4:8] == b"ftyp"


@pytest.mark.parametrize(
    ("env_id", "argv", "words"),
    [
        ("CartPole-v1", [], "there is no display to open a window on; write a film instead: --out film.mp4"),
        ("CartPole-v1", ["--overlay"], "--overlay, --height and --fps are of films"),
        ("CartPole-v1", ["--out", "film.avi"], "a film ends in .mp4 or .gif, got film.avi"),
        ("tests.toys:Counter", ["--out", "film.mp4"], "tests.toys:Counter takes no render_mode='rgb_array'"),
        ("Blackjack-v1", ["--out", "film.mp4", "--height", "2"], "--height must be at least 16, got 2"),
        ("CartPole-v1", ["--out", "film.mp4", "--fps", "0"], "--fps must be between 0.01 and 1,000, got 0"),
        ("CartPole-v1", ["--out", "film.mp4", "--fps", "-3"], "--fps must be between 0.01 and 1,000, got -3"),
    ],
)
def test_mistakes_are_one_line(env_id: str, argv: list[str], words: str, command: Command, tmp_path: Path) -> None:
    file = A2C(env_id, num_envs=1, n_steps=2, backend="sync", engine="torch").save(tmp_path / "agent")
    status, _, err = command(rl.watch, file, *argv)
    assert (status, err.count("\n")) == (2, 1)
    assert words in err


@pytest.mark.parametrize("gru_size", [None, 4])
def test_v_and_delta_are_those_of_the_update(gru_size: int | None) -> None:
    """As given by `A2C.estimate` for a rollout of one step, whose advantage is δ."""
    agent = A2C(
        "CartPole-v1", num_envs=2, n_steps=4, engine="torch", gru_size=gru_size, reward_scale=0.5, gamma=0.9,
        normalize_observations=True, normalize_rewards=True,
    )  # fmt: skip
    agent.learn(64)
    read, state = Reader(agent), None
    with episode_player(agent, agent.env, 1, 0, None, None, None) as player:
        for step in player.play(agent, deterministic=True):
            reading, after = read(step), step.choice.state
            states = None
            if after is not None:
                states = RecurrentStates(torch.zeros_like(after) if state is None else state, after[None])
            rows = (step.obs, step.choice.action, step.reward, step.next_obs, step.terminated, step.truncated)
            batch = Rollout(*(torch.as_tensor(x)[None] for x in (*rows, step.choice.raw)), states)
            advantage, target = agent.estimate(batch._replace(reward=batch.reward.float()))
            assert reading.delta == pytest.approx(float(advantage), abs=1e-6)
            assert reading.v == pytest.approx(float(target - advantage), abs=1e-6)
            state = after
    assert step.terminated.all()


def test_bars() -> None:
    box = spaces.Box(np.array([-2.0, -np.inf], np.float32), np.array([2.0, np.inf], np.float32))
    mean, log_std = torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2)
    free = bars_of(Reading(DiagonalGaussian(mean, log_std), torch.tensor([[0.0, 3.0]]), 0, 0), box)
    assert [(bar.low, bar.high, bar.mark) for bar in free] == [
        (0.5, 1.0, 0.5),
        (pytest.approx(1 / 3), pytest.approx(2 / 3), 1),
    ]
    assert free[0].number == "+1.00 ± 1.00"
    one = spaces.Box(0, 4, (1,), np.float32)
    squashed = BoundedGaussian(torch.zeros(1, 1), torch.zeros(1, 1), torch.zeros(1), torch.full((1,), 4.0))
    (bar,) = bars_of(Reading(squashed, torch.tensor([[2.0]]), 0, 0), one)
    assert (bar.low, bar.high, bar.mark) == pytest.approx(((1 - np.tanh(1)) / 2, (1 + np.tanh(1)) / 2, 0.5))
    p = bars_of(Reading(Categorical(torch.tensor([[0.0, np.log(3)]])), torch.tensor([1]), 0, 0), spaces.Discrete(2))
    assert [(bar.label, bar.number, bar.strong) for bar in p] == [("0", "0.25", False), ("1", "0.75", True)]


def test_an_action_with_one_legal_value_has_a_bar() -> None:
    """The width of its range, 0, was divided by."""
    fixed = spaces.Box(1, 1, (1,), np.float32)
    pi = DiagonalGaussian(torch.ones(1, 1), torch.zeros(1, 1))
    (bar,) = bars_of(Reading(pi, torch.tensor([[1.0]]), 0, 0), fixed)
    assert (bar.low, bar.high, bar.mark) == (-1, 1, 0)
