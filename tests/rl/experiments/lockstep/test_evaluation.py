"""Evaluation of one model by our code and by Stable-Baselines3, and deviations that must be detected."""

import numpy as np
import pytest

from agents.a2c import A2C
from agents.evaluation import Evaluation
from agents.evaluation import evaluate as true_evaluate
from rl.experiments.lockstep import evaluation
from rl.experiments.lockstep.combinations import DEFAULT, LIMIT
from rl.experiments.lockstep.components import SIGNIFICANCE, TRAINED, Trained, evaluate
from rl.experiments.lockstep.evaluation import Comparison, compared, trained

EPISODES = 40


@pytest.mark.slow
@pytest.mark.parametrize("case", TRAINED, ids=lambda case: f"{case[0]}{'-normalized' if case[1] else ''}")
def test_same_episodes(case: Trained) -> None:
    found = evaluate(case, EPISODES)
    assert found.episodes == EPISODES
    assert (found.shortest < found.longest) == (case[0] != "Pendulum-v1")
    assert found.lengths == 0
    assert found.returns <= (1e-6 if case[0] == "Pendulum-v1" else 1e-8) < LIMIT  # Monitor rounds to six digits
    assert found.p_stochastic > SIGNIFICANCE / len(TRAINED)


# --- deviations ---


def cart_pole(normalize: bool) -> Comparison:
    return compared(trained("CartPole-v1", normalize, 20_000, DEFAULT), EPISODES, 0)


@pytest.mark.parametrize("normalize", [False, True])
def test_without_deviation(normalize: bool) -> None:
    found = cart_pole(normalize)
    assert found.lengths == found.returns == 0


def test_counting_the_first_episodes_to_finish_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def first_to_finish(agent: A2C, env: str, episodes: int, deterministic: bool, seed: int) -> Evaluation:
        many = true_evaluate(agent, env, 4 * episodes, deterministic, seed)
        ends = many.lengths.reshape(-1, evaluation._ENVS).cumsum(0).ravel()
        first = np.sort(np.argsort(ends, kind="stable")[:episodes])
        return many._replace(returns=many.returns[first], lengths=many.lengths[first])

    monkeypatch.setattr(evaluation, "evaluate", first_to_finish)
    found = cart_pole(False)
    assert found.lengths > 100
    assert found.returns > 0.1


def test_a_normalizer_that_is_not_applied_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_normalizer(agent: A2C, env: str, episodes: int, deterministic: bool, seed: int) -> Evaluation:
        plain = A2C(env, engine="torch")
        for own, other in ((plain.policy, agent.policy), (plain.value, agent.value)):
            own.load_state_dict(other.state_dict())
        return true_evaluate(plain, env, episodes, deterministic, seed)

    monkeypatch.setattr(evaluation, "evaluate", without_normalizer)
    found = cart_pole(True)
    assert found.lengths > 10
    assert found.returns > 0.1
