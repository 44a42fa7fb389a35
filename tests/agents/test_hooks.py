"""Evaluations during training and stopping conditions; neither these nor checkpoints change what is learned."""

import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import torch

import agents.hooks
from agents import A2C, registry
from agents.evaluation import evaluate
from agents.hooks import Checkpoints, Evaluated, Evaluations, Hook, MaxSeconds, Patience, StopAt, Training
from agents.settings.values import ConfigError
from envs.streams import stream_seeds
from tests.toys import Shaped

CASES: dict[str, tuple[str, str, dict[str, object]]] = {
    "fused, compiled environment": ("a2c", "CartPole-v1", {"n_steps": 5, "normalize_observations": True}),
    "fused, environment in Python": ("a2c", "CartPole-v1", {"backend": "sync", "normalize_rewards": True}),
    "recurrent": ("a2c", "CartPole-v1", {"gru_size": 8, "normalize_observations": True, "engine": "torch"}),
    "noise that depends on the state": ("a2c", "Pendulum-v1", {"use_sde": True, "sde_sample_freq": 4}),
    "ppo": ("ppo", "CartPole-v1", {"n_steps": 16, "batch_size": 16}),
    "stream": ("stream", "CartPole-v1", {"num_envs": 1}),
    "global generators": ("a2c", "tests.agents.test_hooks:GlobalDraws", {"engine": "torch"}),
}


class GlobalDraws(Shaped):
    """Draws rewards from the global generators, which an environment should not do."""

    def __init__(self) -> None:
        super().__init__(gym.spaces.Box(-1, 1, (2,), np.float32), gym.spaces.Discrete(2))

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, object]]:
        obs, _, terminated, truncated, info = super().step(action)
        drawn = random.random() + np.random.rand() + float(torch.rand(()))  # noqa: NPY002
        return obs, drawn, terminated, truncated, info


def trained(case: str, hooks: list[Hook], path: Path) -> bytes:
    """The checkpoint after training, without wall-clock time."""
    name, env_id, settings = CASES[case]
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    agent = registry.build(name, env_id, {"num_envs": 2, "seed": 1, "max_episode_steps": 30, **settings})
    agent.learn(160, hooks)
    agent.loop.seconds = 0.0
    file = agent.save(path)
    agent.worlds.close()
    return file.read_bytes() + repr(random.getstate()).encode() + np.random.bytes(8) + torch.rand(2).numpy().tobytes()  # noqa: NPY002


@pytest.mark.parametrize("case", CASES)
def test_training_is_the_same_with_and_without(case: str, tmp_path: Path) -> None:
    evaluations = Evaluations(50, episodes=3)
    watched = trained(case, [evaluations, StopAt(1e9), Checkpoints(tmp_path / "run", 40)], tmp_path / "a")
    assert (evaluations.step, evaluations.since_best + 1) >= (150, 1), "three evaluations"
    assert watched == trained(case, [], tmp_path / "a")


class Seen(Hook):
    def __init__(self) -> None:
        self.evaluations, self.files = list[Evaluated](), list[str]()

    def on_evaluation(self, training: Training, evaluated: Evaluated) -> None:
        self.evaluations.append(evaluated)

    def on_checkpoint(self, training: Training, path: Path) -> None:
        self.files.append(path.name)


def agent_of(**settings: object) -> A2C:
    return A2C.build_from("CartPole-v1", {"num_envs": 2, "n_steps": 5, "max_episode_steps": 20, **settings})


def test_evaluations_are_those_of_evaluate_on_seeds_of_their_own() -> None:
    seen, agent = Seen(), agent_of(seed=7)
    agent.learn(300, [Evaluations(150, episodes=4), seen])
    assert [evaluated.step for evaluated in seen.evaluations] == [150, 300]
    last, seed = seen.evaluations[-1], stream_seeds(7, "evaluation in training", 1)[0]
    for found, deterministic in ((last.deterministic, True), (last.stochastic, False)):
        expected = evaluate(agent, "CartPole-v1", 4, deterministic, seed)
        np.testing.assert_array_equal(found.returns, expected.returns)
        assert found.deterministic is deterministic
    others = evaluate(agent, "CartPole-v1", 4, False, 7).returns
    assert others.tolist() != last.stochastic.returns.tolist(), "the final evaluation plays other episodes"


@pytest.mark.parametrize(
    ("hook", "step", "words"),
    [
        (StopAt(5), 200, "stop_at: an evaluation of 5.00, the goal is 5"),
        (Patience(2), 500, "eval_patience: no better evaluation in 2"),
    ],
)
def test_evaluations_stop_training(hook: Hook, step: int, words: str, means: Callable[..., None]) -> None:
    means(3, 5, 5, 4, 4, 4)
    agent = agent_of().learn(1000, [Evaluations(100), hook])
    assert (agent.loop.step, str(agent.loop.stopped)) == (step, words)


def test_seconds_stop_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that advances one second per reading: once at the beginning, once after each chunk."""
    ticks = iter(range(1000))
    monkeypatch.setattr(agents.hooks, "time", SimpleNamespace(perf_counter=lambda: float(next(ticks))))
    clock = MaxSeconds(3)
    agent = agent_of(engine="torch").learn(1000, [clock])
    assert (agent.loop.step, clock.spent) == (30, 3.0)
    assert str(agent.loop.stopped) == "max_seconds: 3.0 s of 3 s"
    clock.seconds = 5.0
    assert agent.learn(1000, [clock]).loop.step == 50, "with the time of the first call"


def test_a_missed_evaluation_is_made_up_for() -> None:
    class Impatient(Hook):
        step_interval = 100

        def on_steps(self, training: Training) -> None:
            training.stop("impatient")

    agent, seen, evaluations = agent_of(), Seen(), Evaluations(100, episodes=2)
    agent.learn(300, [Impatient(), evaluations, seen])
    assert (agent.loop.step, seen.evaluations, evaluations.step) == (100, [], 0)
    again = Evaluations(100, episodes=2)
    again.load_state_dict(evaluations.state_dict())
    agent.learn(50, [again, seen])
    assert [evaluated.step for evaluated in seen.evaluations] == [100]
    agent.learn(10, [again, seen])
    assert len(seen.evaluations) == 1, "once"
    agent.learn(100, [again, seen], reset_num_timesteps=True)
    assert [evaluated.step for evaluated in seen.evaluations] == [100, 100]


def test_the_best_of_one_agent_is_not_that_of_the_next() -> None:
    evaluations = Evaluations(100, episodes=2)
    agent_of().learn(200, [evaluations])
    evaluations.best, seen = 1e6, Seen()
    agent_of().learn(100, [evaluations, seen])
    assert evaluations.best_step == 100
    assert [evaluated.best for evaluated in seen.evaluations] == [True]


def test_the_environment_that_is_trained_on_is_not_evaluated_on() -> None:
    agent = A2C(gym.make("CartPole-v1"), n_steps=5)
    with pytest.raises(ConfigError, match=r"^Evaluations would end the episodes of the environment object .* as env=$"):
        agent.learn(100, [Evaluations(50)])
    seen = Seen()
    agent.learn(100, [Evaluations(50, 2, env=gym.make("CartPole-v1")), seen])
    assert len(seen.evaluations) == 2
