"""A backend consists of one class and one entry."""

import numpy as np
import pytest
import torch

from agents import A2C
from agents.checkpoint import CheckpointError
from agents.evaluation import evaluate
from envs import EnvironmentUsageError, evaluation_backend, make
from envs.backends import BACKENDS, backend_class
from tests.envs.constant_backend import ConstantBackend


@pytest.mark.parametrize("name", BACKENDS)
def test_an_entry_names_the_class_of_this_backend(name):
    assert backend_class(name).backend == name
    assert evaluation_backend(name) == (name if name in ("envpool", "async") else "auto")


def test_an_unknown_backend_is_refused_before_anything_is_built():
    with pytest.raises(
        EnvironmentUsageError, match=r"backend must be one of auto, native, mujoco, .*, or module:Class, got 'x'"
    ):
        A2C("CartPole-v1", backend="x")
    with pytest.raises(EnvironmentUsageError, match="got 'x'"):
        make("CartPole-v1", backend="x")


@pytest.mark.parametrize(
    ("place", "array", "words"),
    [
        (1, np.ones(3, np.int64), r"reward as an array float64\[3\] in C order, got int64\[3\]"),
        (1, np.ones(1), r"reward as an array float64\[3\] in C order, got float64\[1\]"),
        (2, np.ones(3, np.int64), r"terminated as an array bool\[3\] in C order, got int64\[3\]"),
        (3, [False] * 3, r"truncated as an array bool\[3\] in C order, got list"),
        (0, np.zeros((3, 2), np.float32), r"obs as an array float32\[3, 1\] in C order, got float32\[3, 2\]"),
    ],
)
def test_a_backend_that_returns_other_arrays_is_told(place, array, words, monkeypatch):
    """Compiled kernels took their memory for that of the right types."""
    own = ConstantBackend.step

    def step(self, actions):
        return tuple(array if i == place else x for i, x in enumerate(own(self, actions)))

    monkeypatch.setattr(ConstantBackend, "step", step)
    monkeypatch.setitem(BACKENDS, "constant", "tests.envs.constant_backend:ConstantBackend")
    with pytest.raises(EnvironmentUsageError, match=rf"backend constant: step must return {words}"):
        A2C("anything", backend="constant", num_envs=3, engine="torch").learn(30)


@pytest.mark.parametrize("engine", ["torch", "fused"])
def test_an_agent_trains_on_a_backend_that_is_added(engine, monkeypatch):
    monkeypatch.setitem(BACKENDS, "constant", "tests.envs.constant_backend:ConstantBackend")
    agent = A2C("anything", backend="constant", num_envs=3, engine=engine, learning_rate=0.02).learn(900)
    assert (agent.worlds.backend, agent.worlds.resume) == ("constant", "new episodes")
    (value,) = agent.value(torch.zeros(1, 1)).tolist()
    assert value == pytest.approx(1.0, abs=0.05)  # the only step of an episode pays 1
    assert evaluate(agent, agent.env, 20).mean == 1.0


def test_a_backend_in_a_file_of_one_s_own(tmp_path):
    own = "tests/envs/constant_backend.py:ConstantBackend"
    agent = A2C("anything", backend=own, num_envs=3).learn(30)
    assert evaluation_backend(own) == own
    assert evaluate(agent, agent.env, 2).mean == 1.0
    file = agent.save(tmp_path / "agent")
    assert A2C.load(file).worlds.backend == "constant"
    with pytest.raises(CheckpointError, match=f"names {own}, which trust=False does not import"):
        A2C.load(file, trust=False)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("lacking:Backend", "backend lacking:Backend cannot be imported: ModuleNotFoundError: No module .*"),
        ("json:Backend", "backend json:Backend cannot be imported: AttributeError: .* no attribute 'Backend'"),
        ("json:JSONDecoder", "backend json:JSONDecoder is not a subclass of envs.backends.base.BackendEnv"),
    ],
)
def test_a_name_that_names_no_backend_is_told(name, words):
    with pytest.raises(EnvironmentUsageError, match=f"^{words}$"):
        A2C("anything", backend=name)
