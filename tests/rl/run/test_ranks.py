"""`rl.train` in several processes, started as by torchrun: the run directory equals that of one process."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

import rl.run.parts
from agents import A2C
from agents.hooks import Checkpoints, Training
from agents.ranks import RankLost, current
from rl.run.results import read_columns
from rl.run.terminal import ANTICIPATED, RunFailed
from rl.train import main
from tests.ranks import on_ranks

ARGV = [
    "CartPole-v1", "--num-envs", "4", "--n-steps", "4", "--engine", "torch", "--total-timesteps", "640",
    "--checkpoint-interval", "160", "--log-interval", "10", "--eval-episodes", "1", "--normalize-observations", "true",
]  # fmt: skip


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of a single process."""
    out = tmp_path_factory.mktemp("alone")
    assert main([*ARGV, "--out", str(out)]) == 0
    return next(out.glob("*/*/*"))


def check_equal(run: Path, alone: Path) -> None:
    for name in ("episodes.csv", "metrics.csv"):
        columns, expected = read_columns(run / name), read_columns(alone / name)
        assert columns.keys() == expected.keys()
        for key in [key for key in expected if not key.startswith("time/")]:
            np.testing.assert_allclose(columns[key], expected[key], rtol=1e-4, atol=1e-5, err_msg=key)
    ours, theirs = A2C.load(run), A2C.load(alone)
    for p, q in zip(ours.policy.parameters(), theirs.policy.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=1e-5)


def test_a_run_of_two_ranks_is_the_run_of_one_process(alone: Path, tmp_path: Path) -> None:
    def train(rank: int) -> None:
        assert main([*ARGV, "--out", str(tmp_path)]) == 0

    assert on_ranks(2, train) == [0, 0]
    (run,) = tmp_path.glob("*/*/*")
    assert {file.name for file in run.iterdir()} == {file.name for file in alone.iterdir()}
    check_equal(run, alone)


def test_when_a_rank_is_killed_the_others_say_how_to_go_on(
    alone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Fatal(Checkpoints):
        def on_steps(self, training: Training) -> None:
            super().on_steps(training)
            if current().index == 1 and training.step >= 320:
                os._exit(9)

    def train(rank: int) -> None:
        with pytest.raises(RunFailed, match=r"rank 0 of 2: another rank has ended; go on .*--resume \S+$"):
            main([*ARGV, "--out", str(tmp_path)])

    with monkeypatch.context() as patched:
        patched.setattr(rl.run.parts, "Checkpoints", Fatal)
        assert on_ranks(2, train) == [0, 9]
    (run,) = tmp_path.glob("*/*/*")
    assert main(["--resume", str(run)]) == 0
    check_equal(run, alone)


def test_a_rank_lost_before_training_is_one_line() -> None:
    assert issubclass(RankLost, ANTICIPATED)
