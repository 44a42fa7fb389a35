"""The watch on what the kernels share with a learner, and changes to a built agent that are refused."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from agents import A2C, ActorCritic
from agents.fused.changes import Watch
from agents.settings.values import ConfigError
from agents.streaming import StreamAC
from tests.agents.fused.test_changes import SMALL


def test_what_a_stream_shares_with_the_kernels_is_watched() -> None:
    learner = StreamAC("CartPole-v1", engine="torch", **SMALL).learner
    watch = Watch(learner)
    assert watch.change() == ""
    learner.value_traces.rule.state = learner.value_traces.rule.state.clone()
    assert watch.change() == "value_traces.rule"
    watch = Watch(learner)
    learner.average.steps = learner.average.steps.clone()
    assert watch.change() == "average.policy"
    watch = Watch(learner)
    learner.policy.head = replace(learner.policy.head, log_std_init=1.0)
    assert watch.change() == "policy"


def test_arrays_of_normalizers_that_the_kernels_share_are_watched() -> None:
    learner = A2C("CartPole-v1", normalize_observations=True, normalize_rewards=True, engine="torch", **SMALL).learner
    assert learner.obs_norm
    assert learner.reward_norm
    watch = Watch(learner)
    assert watch.change() == ""
    learner.reward_norm.returns = learner.reward_norm.returns.clone()
    assert watch.change() == "reward_norm.returns"
    watch = Watch(learner)
    learner.obs_norm.mask = torch.tensor([True, False, True, True])
    assert watch.change() == "obs_norm.mask"


@pytest.mark.parametrize("engine", ["torch", "fused"])
def test_what_cannot_take_effect_is_refused(engine: str) -> None:
    agent, stream = (cls("CartPole-v1", engine=engine, normalize_observations=True) for cls in (A2C, StreamAC))
    with pytest.raises(ConfigError, match=r"optimizer of a built agent cannot be replaced.*optimizer=module:Class"):
        agent.learner.optimizer.inner = torch.optim.Adam(agent.policy.parameters())
    for name in ("begins", "settings"):
        with pytest.raises(ConfigError, match=f"learner.{name} of a built agent cannot be replaced"):
            setattr(stream.learner, name, getattr(stream.learner, name))
    for name in ("policy", "value", "optimizer", "obs_norm"):
        with pytest.raises(ConfigError, match=f"learner.{name} of a built agent cannot be replaced"):
            setattr(agent.learner, name, copy.deepcopy(getattr(agent.learner, name)))
    stream.policy.net[0] = nn.Linear(4, 64)
    words = "does not see the change of policy.net" if engine == "fused" else "its parameters have no traces"
    with pytest.raises(ConfigError, match=words):
        stream.learn(8)


@pytest.mark.parametrize("cls", [A2C, StreamAC])
def test_other_precision_is_refused(cls: type[ActorCritic]) -> None:
    """The kernels went on in single precision, and their copy of the parameters replaced those of `double`."""
    agent = cls("CartPole-v1", engine="fused")
    agent.value.double()
    with pytest.raises(ConfigError, match=r"weight is torch\.float64, and torch's default type is torch\.float32"):
        agent.learn(8)
    agent.value.float()
    torch.set_default_dtype(torch.float64)
    try:
        with pytest.raises(ConfigError, match=r"weight is torch\.float32, and torch's default type is torch\.float64"):
            agent.learn(8)
    finally:
        torch.set_default_dtype(torch.float32)
    agent.learn(8)
