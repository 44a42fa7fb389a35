"""Sinks and films: what a run sends elsewhere; training is not affected."""

import io
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import rl.train
from agents import A2C
from agents.events import Log
from agents.hooks import Hook, Training
from envs.extras import install_command
from rl.run.sinks import link, process
from rl.run.sinks.base import ROWS, Described, Pixels, Sink
from rl.run.sinks.hook import Sinks
from rl.run.sinks.process import Ping, Scalars
from tests.conftest import Command
from tests.runs import run_of, table

SHORT = [
    "--num-envs",
    "2",
    "--n-steps",
    "5",
    "--engine",
    "torch",
    "--backend",
    "sync",
    "--set",
    "eval_episodes=1",
    "--log-interval",
    "10",
]


def new_agent() -> A2C:
    return A2C("CartPole-v1", num_envs=2, n_steps=5, engine="torch", backend="sync")


def described(directory: Path, step: int = 0) -> Described:
    return Described(directory, "CartPole-v1", "a2c", 0, {"gamma": 0.99, "net_arch": (64, 64)}, step)


class Rows(Hook):
    def __init__(self) -> None:
        self.logs: list[Log] = []

    def on_log(self, training: Training, log: Log) -> None:
        self.logs.append(log)
        training.show("eval/film", np.zeros((3, 8, 10, 3), np.uint8))


def events(directory: Path) -> EventAccumulator:
    read = EventAccumulator(str(directory / "tensorboard"), {"scalars": 0, "images": 0})
    read.Reload()
    return read


def test_tensorboard_reads_back_what_was_logged(tmp_path: Path) -> None:
    sinks, rows = Sinks(["tensorboard"], described(tmp_path)), Rows()
    new_agent().learn(400, hooks=[rows, sinks], log_interval=10)
    sinks.close()
    read = events(tmp_path)
    assert [(event.step, event.value) for event in read.Scalars("train/value_loss")] == [
        (log.step, pytest.approx(log.scalars["train/value_loss"])) for log in rows.logs
    ]
    assert [event.step for event in read.Scalars("time/fps")] == [100, 200, 300, 400]
    last = {tag: read.Scalars(tag)[-1].value for tag in read.Tags()["scalars"]}
    assert last["train/entropy_loss"] == -last["train/entropy"]
    assert (last["train/n_updates"], last["time/total_timesteps"]) == (40, 400)
    assert {"rollout/ep_rew_mean", "rollout/ep_len_mean", "train/policy_loss", "train/explained_variance",
            "train/learning_rate", "time/time_elapsed", "time/iterations"} <= {*last}  # fmt: skip
    film = read.Images("eval/film")[-1]
    assert (film.step, film.width, film.height, film.encoded_image_string[:6]) == (400, 10, 8, b"GIF89a")


def test_a_resumed_run_doubles_nothing(tmp_path: Path) -> None:
    """Killed at step 400, after a checkpoint at 200."""
    agent, sinks = new_agent(), Sinks(["tensorboard"], described(tmp_path))
    agent.learn(200, hooks=[sinks], log_interval=10)
    file = agent.save(tmp_path / "agent")
    agent.learn(200, hooks=[sinks], log_interval=10)
    sinks.close()
    again = Sinks(["tensorboard"], described(tmp_path, step=200))
    A2C.load(file).learn(400, hooks=[again], log_interval=10)
    again.close()
    assert [event.step for event in events(tmp_path).Scalars("train/entropy")] == [100, 200, 300, 400, 500, 600]


def test_rows_that_cannot_be_read_are_not_sent_again(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "metrics.csv").write_text("step,iteration\n100,ten\n")
    sinks = Sinks(["tensorboard"], described(tmp_path, step=200))
    agent = new_agent()
    agent.learn(200, log_interval=10)
    agent.learn(200, hooks=[sinks], log_interval=10)
    sinks.close()
    assert "warning: log: rows from before cannot be sent again: " in capfd.readouterr().err
    assert [event.step for event in events(tmp_path).Scalars("train/entropy")] == [300, 400]


def same_policy(one: A2C, other: A2C) -> bool:
    pairs = zip(one.policy.parameters(), other.policy.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


class Fake:
    def __init__(self, fails_at: int | None, calls: list[str]) -> None:
        self.fails_at, self.calls, self.held = fails_at, calls, dict[str, int]()

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        if step == self.fails_at:
            raise OSError("the server\nis gone")
        self.calls.append(f"log {step}")

    def show(self, step: int, tag: str, pixels: Pixels) -> None:
        self.calls.append(f"show {step} {tag} {pixels.shape}")

    def finish(self, summary: Mapping[str, float]) -> None:
        self.calls.append(f"finish {dict(summary)}")

    def close(self) -> None:
        self.calls.append("close")


def test_a_sink_that_fails_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad, answers = list[str](), list[str](), io.BytesIO()
    made: dict[str, Callable[[], Sink]] = {"wandb": lambda: Fake(200, bad), "mlflow": lambda: Fake(None, good)}
    monkeypatch.setattr(process, "_open", lambda name, run: made[name]())
    rows = [Scalars(ROWS, step, {}) for step in (100, 200, 300)]
    process.work([*made], described(tmp_path), [*rows, Ping()], answers)
    assert capsys.readouterr().err == (
        "warning: log=wandb: the server is gone; it receives nothing more, the CSV files are complete\n"
    )
    assert (bad, good) == (["log 100"], ["log 100", "log 200", "log 300", "close"])
    assert len(answers.getvalue()) == 1


class Fatal(Hook):
    """Kills the sinks' process once the sinks have the first row."""

    def __init__(self, sinks: Sinks) -> None:
        self.sinks = sinks

    def on_log(self, training: Training, log: Log) -> None:
        if log.step == 100:
            self.sinks.wait()
            assert self.sinks._link is not None
            self.sinks._link._process.kill()
            self.sinks._link._process.wait()


def test_a_process_of_sinks_that_dies_ends_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sinks, agent, alone = Sinks(["tensorboard"], described(tmp_path)), new_agent(), new_agent()
    agent.learn(400, hooks=[sinks, Fatal(sinks)], log_interval=10)
    sinks.wait()
    sinks.close()
    alone.learn(400, log_interval=10)
    assert capsys.readouterr().err == (
        "warning: log=tensorboard: their process died; it receives nothing more, the CSV files are complete\n"
    )
    assert same_policy(agent, alone)


def test_a_process_of_sinks_that_cannot_start_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(link.subprocess, "Popen", full)
    sinks, agent = Sinks(["tensorboard"], described(tmp_path)), new_agent()
    agent.learn(400, hooks=[sinks], log_interval=10)
    sinks.wait()
    sinks.close()
    assert agent.loop.step == 400
    assert capsys.readouterr().err == (
        "warning: log=tensorboard: their process cannot start: [Errno 12] Cannot allocate memory; "
        "it receives nothing more, the CSV files are complete\n"
    )


def test_training_is_the_same_with_sinks_and_films(command: Command, tmp_path: Path) -> None:
    """Compares a run with sinks and films to one without."""
    watching = ["--log", "tensorboard", "--record-interval", "200"]
    steps = ("--total-timesteps", "400")
    for name, extra in (("with", watching), ("without", [])):
        assert command(rl.train, "CartPole-v1", *SHORT, *steps, *extra, "--out", tmp_path / name)[::2] == (0, "")
    one, other = (run_of(tmp_path / name) for name in ("with", "without"))
    for file in ("metrics.csv", "episodes.csv"):
        assert table(one / file) == table(other / file)
    assert same_policy(A2C.load(one), A2C.load(other))
    films = sorted(path.name for path in (one / "films").iterdir())
    assert films == ["step-000000000200.mp4", "step-000000000400.mp4"]
    read = events(one)
    assert [image.step for image in read.Images("film")] == [200, 400]
    assert [image.step for image in read.Images("figures/learning_curve")] == [400]
    assert "final/eval_mean" in read.Tags()["scalars"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["CartPole-v1", "--log", "tensorbord"], "log takes tensorboard, wandb, mlflow, trackio, got 'tensorbord'"),
        (["CartPole-v1", "--log", "[tensorboard,tensorboard]"], "log names a sink twice"),
        (["tests.toys:Counter", "--record-interval", "100"], "tests.toys:Counter takes no render_mode='rgb_array'"),
    ],
)
def test_what_cannot_be_had_is_said_before_the_run(
    argv: list[str], words: str, command: Command, tmp_path: Path
) -> None:
    status, _, err = command(rl.train, *argv, *SHORT, "--out", tmp_path / "runs")
    assert (status, err.count("\n")) == (2, 1)
    assert words in err
    assert not (tmp_path / "runs").exists()


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(
        ValueError, match=re.escape(f"log=trackio needs the extra trackio: {install_command('trackio')}")
    ):
        Sinks(["trackio"], described(tmp_path))
