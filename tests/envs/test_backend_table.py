"""A backend consists of one class and one entry."""

import pytest
import torch

from agents import A2C
from agents.evaluation import evaluate
from envs import EnvironmentUsageError, evaluation_backend, make
from envs.backends import BACKENDS, backend_class


@pytest.mark.parametrize("name", BACKENDS)
def test_an_entry_names_the_class_of_this_backend(name):
    assert backend_class(name).backend == name
    assert evaluation_backend(name) == (name if name in ("envpool", "async") else "auto")


def test_an_unknown_backend_is_refused_before_anything_is_built():
    with pytest.raises(
        EnvironmentUsageError, match="backend must be one of auto, native, mujoco, sync, async, envpool, got 'x'"
    ):
        A2C("CartPole-v1", backend="x")
    with pytest.raises(EnvironmentUsageError, match="got 'x'"):
        make("CartPole-v1", backend="x")


@pytest.mark.parametrize("engine", ["torch", "fused"])
def test_an_agent_trains_on_a_backend_that_is_added(engine, monkeypatch):
    monkeypatch.setitem(BACKENDS, "constant", "tests.envs.constant_backend:ConstantBackend")
    agent = A2C("anything", backend="constant", num_envs=3, engine=engine, learning_rate=0.02).learn(900)
    assert (agent.worlds.backend, agent.worlds.resume) == ("constant", "new episodes")
    (value,) = agent.value(torch.zeros(1, 1)).tolist()
    assert value == pytest.approx(1.0, abs=0.05)  # the only step of an episode pays 1
    assert evaluate(agent, agent.env, 20).mean == 1.0
