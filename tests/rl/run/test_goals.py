"""Evaluations during a run and stopping conditions; an interrupted run neither repeats nor loses any."""

import itertools
import json
import math
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import agents.checkpoints
import agents.hooks
import rl.baseline
import rl.evaluate
import rl.run.recorder
import rl.train
from agents import A2C, checkpoint
from agents.checkpoint import Checkpoint
from agents.checkpoints import Checkpoints
from rl.run import summary
from tests.conftest import Command
from tests.runs import run_of, table
from tests.stress.trainings import compare

RUN = [
    "CartPole-v1", "--num-envs", 2, "--n-steps", 5, "--max-episode-steps", 30, "--total-timesteps", 400,
    "--eval-episodes", 1, "--eval-interval", 100, "--eval-interval-episodes", 2, "--log-interval", 10,
    "--checkpoint-interval", 10**6,
]  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    assert rl.train.main([*map(str, RUN), "--out", str(out)]) == 0
    return run_of(out)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces figures, which take most of a short run's time, by empty files."""

    def empty(directory: Path, *_: object) -> Path:
        path = directory / "learning_curve.png"
        path.touch()
        return path

    monkeypatch.setattr(summary, "learning_curve", empty)


def test_what_a_run_holds(undisturbed: Path) -> None:
    rows = table(undisturbed / "evaluations.csv")
    assert rows[0][:4] == ["step", "eval_mean", "eval_std", "eval_stochastic_mean"]
    assert [row[0] for row in rows[1:]] == ["100", "200", "300", "400"]
    means = [float(row[1]) for row in rows[1:]]
    best = max(range(4), key=lambda k: (means[k], k))
    written = json.loads((undisturbed / "summary.json").read_text())
    assert (written["best_eval_mean"], written["best_eval_step"]) == (pytest.approx(means[best]), 100 * (best + 1))
    assert written["stopped_by"] is None
    assert A2C.load(undisturbed, best=True).loop.step == 100 * (best + 1)
    assert A2C.load(undisturbed).loop.step == 400


def test_the_best_is_evaluated(undisturbed: Path, command: Command) -> None:
    status, out, _ = command(rl.evaluate, undisturbed, "--best", "--episodes", 2)
    step = json.loads((undisturbed / "summary.json").read_text())["best_eval_step"]
    assert (status, f"best.pt, step {step}," in out) == (0, True)
    status, _, err = command(rl.evaluate, undisturbed / "best.pt", "--best")
    assert (status, err.count("\n")) == (2, 1)
    assert "holds no best.pt" in err


MOMENTS: dict[str, tuple[object, str]] = {
    "before it begins": (rl.run.recorder.Recorder, "on_log"),
    "after its episodes": (agents.hooks, "evaluate_both"),
    "after its row": (rl.run.recorder.Recorder, "on_evaluation"),
    "before best.pt": (Checkpoints, "save"),
    "before the checkpoint": (Checkpoint, "write"),
}


def at_call(count: int, moment: str, act: Callable[[], None], patch: pytest.MonkeyPatch) -> None:
    """Acts after the `count`-th call of the function named `moment`."""
    owner, name = MOMENTS[moment]
    real, calls = getattr(owner, name), itertools.count(1)

    def disturbed(*args: object, **given: object) -> object:
        found = real(*args, **given)
        if next(calls) == count:
            act()
        return found

    patch.setattr(owner, name, disturbed)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("moment", [*MOMENTS][:3])
def test_ctrl_c_around_an_evaluation_loses_and_doubles_nothing(
    moment: str, undisturbed: Path, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        at_call(3, moment, lambda: signal.raise_signal(signal.SIGINT), patch)
        status, out, err = command(rl.train, *RUN, "--out", tmp_path)
    assert (status, err) == (130, "")
    assert "interrupted at step 300; resume with" in out, "not a chunk later"
    run = run_of(tmp_path)
    assert command(rl.train, "--resume", run)[0] == 0
    compare(run, undisturbed)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("pause", [0.0, math.inf])
def test_a_kill_around_an_evaluation_loses_and_doubles_nothing(
    pause: float, undisturbed: Path, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill leaves the files as they are at that moment: a copy of the run is resumed in its place.

    pause: the best checkpoint is written at once, or waits for the next one.
    """
    monkeypatch.setattr(agents.checkpoints, "PAUSE", pause)
    with monkeypatch.context() as patch:
        for moment in MOMENTS:
            for count in (2, 3, 4):
                at_call(count, moment, partial(_copy, tmp_path / "whole", tmp_path / f"{moment} {count}"), patch)
        assert command(rl.train, *RUN, "--checkpoint-interval", 150, "--out", tmp_path / "whole")[0] == 0
    for copy in [f"{moment} {count}" for moment in MOMENTS for count in (2, 3, 4)]:
        run = run_of(tmp_path / copy)
        assert not (run / "summary.json").exists()
        assert command(rl.train, "--resume", run)[0] == 0
        compare(run, undisturbed)


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target)


@pytest.mark.usefixtures("undrawn")
def test_a_goal_stops_a_run_which_another_goal_lets_go_on(command: Command, tmp_path: Path) -> None:
    status, out, err = command(rl.train, *RUN, "--stop-at", 1, "--out", tmp_path)
    run = run_of(tmp_path)
    assert (status, err) == (0, "")
    assert out.splitlines()[-1].startswith("stopped by    stop_at: an evaluation of ")
    written = json.loads((run / "summary.json").read_text())
    assert (written["stopped_by"], written["total_timesteps"], written["best_eval_step"]) == ("stop_at", 100, 100)
    status, _, err = command(rl.train, "--resume", run)
    assert (status, err.count("\n")) == (2, 1)
    assert "was stopped by stop_at: an evaluation of" in err
    assert err.endswith("change --stop-at to go on\n")
    (run / "summary.json").unlink()  # as if killed before writing it
    status, out, _ = command(rl.train, "--resume", run)
    assert (status, A2C.load(run).loop.step) == (0, 100), "it is completed, not trained on"
    assert out.splitlines()[-1].startswith("stopped by    stop_at")
    status, out, _ = command(rl.train, "--resume", run, "--stop-at", "null")
    assert (status, "stopped by" in out, A2C.load(run).loop.step) == (0, False, 400)
    assert [row[0] for row in table(run / "evaluations.csv")[1:]] == ["100", "200", "300", "400"]


@pytest.mark.usefixtures("undrawn")
def test_seconds_count_on_in_a_resumed_run(command: Command, tmp_path: Path) -> None:
    argv = [*RUN, "--max-seconds", "1e-9", "--out", tmp_path]
    status, out, _ = command(rl.train, *argv)
    run = run_of(tmp_path)
    assert (status, out.splitlines()[-1].endswith("s of 1e-09 s")) == (0, True)
    step = A2C.load(run).loop.step
    assert step < 400
    spent = checkpoint.read(run).extra["goals"]["spent"]  # type: ignore[index]
    assert command(rl.train, "--resume", run, "--max-seconds", "1e-8")[0] == 0
    again = checkpoint.read(run).extra["goals"]["spent"]  # type: ignore[index]
    assert again > spent > 1e-9
    assert A2C.load(run).loop.step > step


@pytest.mark.usefixtures("undrawn")
def test_a_run_that_pauses_twice_ends_as_if_it_had_not(undisturbed: Path, command: Command, tmp_path: Path) -> None:
    status, out, _ = command(rl.train, *RUN, "--pause-at", 145, "--out", tmp_path)
    run = run_of(tmp_path)
    assert (status, out.splitlines()[-1]) == (0, "stopped by    pause_at: step 150")
    status, _, err = command(rl.train, "--resume", run)
    assert (status, err.endswith("was stopped by pause_at: step 150; change --pause-at to go on\n")) == (2, True)
    status, out, _ = command(rl.train, "--resume", run, "--pause-at", 300)
    assert (status, out.splitlines()[-1]) == (0, "stopped by    pause_at: step 300")
    assert command(rl.train, "--resume", run, "--pause-at", "null")[0] == 0
    compare(run, undisturbed)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["CartPole-v1", "--stop-at", "400"], "stop_at is for evaluations during training: set eval_interval too"),
        (["CartPole-v1", "--eval-patience", "3"], "eval_patience is for evaluations during training"),
        (["Pendulum-v1", "--eval-interval", "100", "--stop-at", "threshold"], "registers no reward threshold; name a"),
        (
            ["CartPole-v1", "--eval-interval", "100", "--stop-at", "much"],
            "--stop-at: stop_at must be a number or one of",
        ),
        (["CartPole-v1", "--max-seconds", "0"], "max_seconds must be positive or null, got 0"),
    ],
)
def test_settings_that_cannot_work(argv: list[str], words: str, command: Command, tmp_path: Path) -> None:
    status, _, err = command(rl.train, *argv, "--out", tmp_path)
    assert (status, err.count("\n"), [*tmp_path.iterdir()]) == (2, 1, [])
    assert words in err


def test_the_baseline_refuses_them(command: Command, tmp_path: Path) -> None:
    status, _, err = command(rl.baseline, "CartPole-v1", "--set", "eval_interval=100", "--out", tmp_path)
    assert (status, err.count("\n")) == (2, 1)
    assert "Stable-Baselines3's baseline has no counterpart of eval_interval" in err
