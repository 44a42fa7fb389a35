"""Events: their order, their numbers on both engines, and what a hook may request."""

import math

import numpy as np
import pytest
import torch

from agents import A2C
from agents.hooks import Hook, Image, Log, Status, Training
from agents.logger import Logger
from agents.rollout import Episode, Metrics, Rollout
from tests.agents.reinforce import Reinforce

ENGINES = ["fused", "torch"]


def agent_of(engine: str, seed: int = 0) -> A2C:
    return A2C("CartPole-v1", num_envs=2, n_steps=5, seed=seed, engine=engine)


class Everything(Hook):
    """Records each event as (name, step)."""

    interval, step_interval = 7, 95

    def __init__(self) -> None:
        self.seen = list[tuple[str, int]]()
        self.logs, self.images = list[Log](), list[Image]()

    def on_begin(self, training: Training) -> None:
        self.seen.append(("begin", training.step))

    def on_episode(self, training: Training, episode: Episode) -> None:
        self.seen.append(("episode", training.step))

    def on_update(self, training: Training, status: Status) -> None:
        self.seen.append(("update", status.step))

    def on_log(self, training: Training, log: Log) -> None:
        self.seen.append(("log", log.step))
        self.logs.append(log)

    def on_steps(self, training: Training) -> None:
        self.seen.append(("steps", training.step))

    def on_image(self, training: Training, image: Image) -> None:
        self.images.append(image)

    def on_end(self, training: Training) -> None:
        self.seen.append(("end", training.step))

    def steps(self, name: str) -> list[int]:
        return [step for event, step in self.seen if event == name]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_order_of_events_and_the_steps_at_which_they_come(engine: str) -> None:
    hook = Everything()
    agent_of(engine).learn(400, [hook], log_interval=10)
    assert hook.seen[0] == ("begin", 0)
    assert hook.seen[-1] == ("end", 400)
    assert hook.steps("log") == [100, 200, 300, 400]
    assert hook.steps("steps") == [100, 190, 290, 380], "the first update past 95, 190, 285, 380"
    assert {70, 140, 210, 280, 350} <= set(hook.steps("update")), "each multiple of 7 updates, beside other intervals"
    at_400 = [event for event, step in hook.seen if step == 100 and event != "episode"]
    assert at_400 == ["update", "log", "steps"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_log_holds_means_of_all_updates_since_the_last(engine: str) -> None:
    updates, logs, episodes = list[dict[str, float]](), Everything(), list[float]()

    def note(status: Status) -> None:
        updates.append(status.metrics)
        episodes.extend(episode.ret for episode in status.episodes)

    agent_of(engine).learn(800, [logs, note], log_interval=40)
    assert [log.iteration for log in logs.logs] == [40, 80]
    for name in ("train/entropy", "train/value_loss"):
        rows = np.array([metrics[name] for metrics in updates]).reshape(2, 40)
        assert [log.scalars[name] for log in logs.logs] == pytest.approx(rows.mean(1).tolist())
    assert logs.logs[-1].scalars["rollout/ep_rew_mean"] == pytest.approx(np.mean(episodes[-100:]))
    assert all(type(x) is float for log in logs.logs for x in log.scalars.values())


def test_metrics_are_numbers_at_every_interval() -> None:
    """A metric is the mean over the updates that measured it; not every update measures the policy shift."""
    means, series = list[float](), list[float]()

    def note(status: Status) -> None:
        means.append(status.metrics["train/policy_shift_kl"])
        series.extend(status.series["train/policy_shift_kl"].reshape(-1).tolist())

    note.interval = 20  # type: ignore[attr-defined]
    agent_of("fused").learn(200, [note])
    assert len(series) == 20
    assert sum(map(math.isnan, series)) == 10
    assert means == pytest.approx([np.nanmean(series)])


@pytest.mark.parametrize("engine", ENGINES)
def test_hooks_change_nothing_in_training(engine: str) -> None:
    quiet, watched = agent_of(engine).learn(600), agent_of(engine).learn(600, [Everything()], log_interval=3)
    for p, q in zip(quiet.networks, watched.networks, strict=True):
        for name, value in p.state_dict().items():
            assert value.equal(q.state_dict()[name])


class Acting(Hook):
    """Changes a coefficient, records a number, shows a picture, and stops training."""

    step_interval = 100

    def on_steps(self, training: Training) -> None:
        assert isinstance(training.agent, A2C)
        training.agent.ent_coef = 0.5
        training.record("mine/step", training.step)
        training.show("mine/black", np.zeros((2, 3, 3), np.uint8))
        if training.step >= 300:
            training.stop("mine", "far enough")
            training.stop("later", "the first reason stands")


@pytest.mark.parametrize("engine", ENGINES)
def test_what_a_hook_may_ask_for(engine: str) -> None:
    log, agent = Everything(), agent_of(engine)
    agent.learn(1000, [log, Acting()], log_interval=5)
    assert agent.loop.step == 300
    assert str(agent.loop.stopped) == "mine: far enough"
    coefficients = [row.scalars["train/ent_coef"] for row in log.logs]
    assert coefficients == pytest.approx([0.0, 0.0, 0.5, 0.5, 0.5, 0.5])
    recorded = [row.scalars.get("mine/step") for row in log.logs]
    assert recorded == [None, None, 100.0, None, 200.0, None], "in the first row after it was recorded"
    assert [(image.step, image.name) for image in log.images] == [(step, "mine/black") for step in (100, 200, 300)]
    assert agent.learn(50).loop.stopped is None


def test_deferred_logs_are_the_same_rows_in_fewer_calls() -> None:
    class Deferring(Everything):
        interval, step_interval, defers_log = 1000, 2000, True

    class Prompt(Deferring):
        defers_log = False

    deferring, prompt = Deferring(), Prompt()
    for hook in (deferring, prompt):
        agent_of("fused").learn(4000, [hook], log_interval=10)
    rows, others = ([log._replace(seconds=0.0, scalars=numbers(log)) for log in h.logs] for h in (deferring, prompt))
    assert len(rows) == 40
    assert repr(rows) == repr(others)  # NaN as well
    assert (deferring.steps("update"), len(prompt.steps("update"))) == ([2000, 4000], 40)
    assert deferring.steps("steps") == prompt.steps("steps") == [2000, 4000]
    seconds = [log.seconds for log in deferring.logs]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0


def numbers(log: Log) -> dict[str, float]:
    """The numbers without those of the clock."""
    return {tag: x for tag, x in log.scalars.items() if not tag.startswith("time/")}


def test_a_failure_ends_with_on_end() -> None:
    class Failing(Everything):
        def on_log(self, training: Training, log: Log) -> None:
            raise RuntimeError("no")

    hook = Failing()
    with pytest.raises(RuntimeError, match="no"):
        agent_of("fused").learn(400, [hook], log_interval=10)
    assert hook.seen[-1] == ("end", 100)


def test_a_hook_may_choose_its_interval_when_training_begins() -> None:
    """The interval of the class counted; a chunk of the fused engine passed over the updates that the hook wanted."""

    class Chooses(Hook):
        interval = 1000

        def on_begin(self, training: Training) -> None:
            self.interval = 5

        def on_update(self, training: Training, status: Status) -> None: ...

    hook = Chooses()
    training = Training(agent_of("torch"), Status(0, 100, 0, 0.0, {}, ()), [hook], 100, Logger())
    training.begin()
    assert (training.interval, training.updates_ahead(1)) == (5, 5)


def test_an_update_may_measure_other_metrics_than_the_one_before() -> None:
    """Both metrics were logged under the name of the first, and another number of them ended in an error of torch."""

    class Now(Reinforce):
        measured = 0

        def update(self, batch: Rollout, progress: float = 0.0) -> Metrics:
            super().update(batch, progress)
            self.measured += 1
            if self.measured % 2:
                return {"train/odd": torch.tensor(float(self.measured))}
            return {"train/even": torch.tensor(20.0), "train/plain": 4.0}  # type: ignore[dict-item]

    hook = Everything()
    Now("CartPole-v1", n_steps=8, num_envs=1).learn(40, hooks=[hook], log_interval=4)
    assert [hook.logs[0].scalars[f"train/{name}"] for name in ("odd", "even", "plain")] == [2.0, 20.0, 4.0]


def test_a_comparison_of_numpy_ends_training() -> None:
    """NumPy's False is another object than Python's, and was ignored."""
    agent = A2C("CartPole-v1", num_envs=4, n_steps=8).learn(320, hooks=[lambda status: np.mean([1.0]) < 0.5])
    assert agent.loop.step == 32
