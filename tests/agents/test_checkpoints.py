"""Checkpoints during training: when they are saved, which are kept, and that of the best evaluation."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

import agents.checkpoints
import agents.hooks
from agents import A2C, checkpoint, registry
from agents.checkpoint import CheckpointError
from agents.hooks import Checkpoints, Evaluations, Status
from tests.agents.test_hooks import Seen, agent_of


@pytest.mark.parametrize(("pause", "files"), [(0, (100, 200, 400)), (math.inf, (100, 520))])
def test_the_best_is_the_later_of_equals_and_may_wait_for_a_checkpoint(
    means: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pause: float, files: tuple[int, ...]
) -> None:
    monkeypatch.setattr(agents.checkpoints, "PAUSE", pause)
    means(3, 5, 4, 5, 2)
    seen, evaluations, agent = Seen(), Evaluations(100), agent_of()
    agent.learn(520, [evaluations, Checkpoints(tmp_path, 10**6, keep=1), seen])
    assert [evaluated.best for evaluated in seen.evaluations] == [True, True, False, True, False]
    assert [evaluated.since_best for evaluated in seen.evaluations] == [0, 0, 1, 0, 1]
    assert (evaluations.best, evaluations.best_step) == (5.0, 400)
    assert seen.files == [f"step-{step:012}.pt" for step in files]
    best = A2C.load(tmp_path, best=True)
    assert best.loop.step == 400
    assert registry.load(tmp_path, best=True).loop.step == 400
    agent.save(tmp_path / "checkpoints" / f"step-{520:012}")
    assert A2C.load(tmp_path).loop.step == 520
    assert not [*tmp_path.glob("checkpoints/best-*")]


def test_the_best_that_waits_outlives_a_failure(
    means: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents.checkpoints, "PAUSE", math.inf)
    means(3, 5, 4)
    agent, parameters = agent_of(), dict[str, Tensor]()

    def fail(status: Status) -> None:
        if status.step == 200:
            parameters.update({name: value.clone() for name, value in agent.policy.state_dict().items()})
        if status.step == 300:
            raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        agent.learn(400, [Evaluations(100), Checkpoints(tmp_path, 10**6), fail])
    best = A2C.load(tmp_path, best=True)
    assert best.loop.step == 200
    assert all(torch.equal(value, parameters[name]) for name, value in best.policy.state_dict().items())


@pytest.mark.parametrize("step", [200, 300])  # before the checkpoint, and together with it
def test_a_kill_before_the_best_is_in_its_place_is_made_up_for(
    means: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    monkeypatch.setattr(agents.checkpoints, "PAUSE", math.inf)
    means(3, 5, 4 if step == 200 else 6)
    saved = Checkpoints(tmp_path, 10**6)
    agent = agent_of()
    saved.save(agent)

    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "_make_best", kill)
        with pytest.raises(KeyboardInterrupt):
            agent.learn(300, [Evaluations(100), saved])
    assert not (tmp_path / "best.pt").exists()
    for _ in range(2):
        Checkpoints(tmp_path, 10**6).recover_best(step)
        assert (A2C.load(tmp_path, best=True).loop.step, A2C.load(tmp_path).loop.step) == (step, 300)
        assert not [*tmp_path.glob("checkpoints/best-*")]
        (tmp_path / "checkpoints" / "best-000000000100.pt").touch()  # from an earlier kill


def test_without_an_interval_checkpoints_are_seconds_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents.checkpoints, "STEP_INTERVAL", 100)
    for pause, expected in ((0, [100, 200, 300]), (math.inf, [100])):
        monkeypatch.setattr(agents.checkpoints, "PAUSE", pause)
        agent_of().learn(330, [Checkpoints(tmp_path / str(pause), keep=None)])
        folder = tmp_path / str(pause) / "checkpoints"
        assert [A2C.load(path).loop.step for path in checkpoint.in_order(folder)] == expected


def test_checkpoints_keep_the_latest(tmp_path: Path) -> None:
    for keep, expected in ((2, [200, 300]), (None, [100, 200, 300])):
        agent_of().learn(330, [Checkpoints(tmp_path / str(keep), 100, keep)])
        folder = tmp_path / str(keep) / "checkpoints"
        assert [A2C.load(path).loop.step for path in checkpoint.in_order(folder)] == expected
    with pytest.raises(CheckpointError, match=r"holds no best\.pt; a run directory does if it was trained with eval_"):
        A2C.load(tmp_path / "2", best=True)


def test_the_latest_checkpoint_stays_where_steps_are_counted_anew(tmp_path: Path) -> None:
    agent = agent_of().learn(330, [Checkpoints(tmp_path, 100)])
    agent.learn(130, [Checkpoints(tmp_path, 100)], reset_num_timesteps=True)
    kept = [A2C.load(path).loop.step for path in checkpoint.in_order(tmp_path / "checkpoints")]
    assert kept == [100, 300], "the latest, and the one with the most steps"
