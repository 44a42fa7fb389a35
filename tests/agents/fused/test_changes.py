"""Changes to a built agent take effect on both engines; if the kernels do not see one, torch takes over and says so."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from agents import A2C, ActorCritic
from agents.ppo import PPO, Loss, Samples
from agents.rollout import Metrics, Rollout
from agents.settings.values import ConfigError
from agents.streaming import StreamAC

Change = Callable[[ActorCritic], object]
SMALL = {"net_arch": (8,), "seed": 2, "sparsity": 0.0}


def freeze(agent: ActorCritic) -> None:
    agent.policy.net[0].requires_grad_(False)


def hook(agent: ActorCritic) -> None:
    agent.value.net[0].register_forward_hook(lambda module, inputs, out: out.sin())


def gradient_hook(agent: ActorCritic) -> None:
    agent.policy.net[0].weight.register_hook(torch.zeros_like)


def activation(agent: ActorCritic) -> None:
    agent.policy.net[-2] = nn.Softplus()


def forward(agent: ActorCritic) -> None:
    layer = agent.policy.net[0]
    layer.forward = lambda x: nn.functional.linear(x, layer.weight).sin()


def weight_decay(agent: ActorCritic) -> None:
    for group in agent.learner.optimizer.inner.param_groups:
        group["weight_decay"] = 0.3


def smoothing(agent: ActorCritic) -> None:
    for group in agent.learner.optimizer.inner.param_groups:
        group["alpha"] = 0.5


def new_layer(agent: ActorCritic) -> None:
    torch.manual_seed(0)
    agent.policy.net[0] = nn.Linear(4, 8)


def objective(agent: ActorCritic) -> None:
    ours = agent.objective

    def negated(batch: Rollout, progress: float = 0.0) -> object:
        found = ours(batch, progress)
        return found._replace(loss=-found.loss)

    agent.objective = negated


def loss(agent: ActorCritic) -> None:
    ours = agent.loss

    def negated(part: Samples, progress: float = 0.0) -> Loss:
        found = ours(part, progress)
        return found._replace(total=-found.total)

    agent.loss = negated


def descend(agent: ActorCritic) -> None:
    ours = agent.learner.descend
    agent.learner.descend = lambda found, *rest: ours(found._replace(loss=-found.loss), *rest)


def update(agent: ActorCritic) -> None:
    ours = type(agent).update
    agent.update = lambda batch, progress=0.0: ours(agent, batch._replace(reward=-batch.reward), progress)


def bound(agent: ActorCritic) -> None:
    agent.learner.obs_norm.bound = 0.1


def decay(agent: ActorCritic) -> None:
    agent.learner.value_traces.decay = 0.4


def step_size(agent: ActorCritic) -> None:
    agent.learner.value_traces.rule.overshoot = 9.0


def optimizer_hook(agent: ActorCritic) -> None:
    weight = agent.policy.net[0].weight
    agent.learner.optimizer.inner.register_step_post_hook(lambda *_: weight.data.mul_(0.9))


def step(agent: ActorCritic) -> None:
    inner = agent.learner.optimizer.inner
    ours = inner.step

    def twice() -> None:
        ours()
        ours()

    inner.step = twice


def distribution(agent: ActorCritic) -> None:
    ours = agent.policy.distribution
    agent.policy.distribution = lambda raw: ours(0.5 * raw)


OF_A2C = [
    freeze, hook, gradient_hook, activation, forward, weight_decay, smoothing, new_layer, objective, descend, update,
    bound, optimizer_hook, step, distribution,
]  # fmt: skip
OF_STREAMS = [freeze, hook, gradient_hook, activation, forward, update, bound, decay, step_size]
OF_PPO = [freeze, hook, activation, weight_decay, new_layer, update, loss]
CASES = [(A2C, change) for change in OF_A2C]
CASES += [(PPO, change) for change in OF_PPO] + [(StreamAC, change) for change in OF_STREAMS]


def parameters(agent: ActorCritic) -> Tensor:
    return torch.cat([p.detach().flatten() for network in agent.networks for p in network.parameters()])


def trained(cls: type[ActorCritic], engine: str, change: Change | None) -> ActorCritic:
    more = {"n_steps": 16, "n_epochs": 2, "batch_size": 8} if cls is PPO else {}
    agent = cls("CartPole-v1", engine=engine, normalize_observations=True, **SMALL, **more).learn(64)
    if change is not None:
        change(agent)
    return agent.learn(64)


@pytest.mark.parametrize(("cls", "change"), CASES)
def test_a_change_takes_effect_on_both_engines(cls: type[ActorCritic], change: Change) -> None:
    torch_agent = trained(cls, "torch", change)
    with pytest.warns(UserWarning, match="goes on with engine torch: the compiled one does not see the change of"):
        agent = trained(cls, "auto", change)
    assert agent.engine_in_use == "torch"
    assert "not fused: it does not see the change of" in agent.describe()["engine"]
    torch.testing.assert_close(parameters(agent), parameters(torch_agent), rtol=1e-3, atol=1e-5)
    unchanged = trained(cls, "torch", None)
    assert not torch.allclose(parameters(unchanged), parameters(torch_agent), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("cls", "change"), CASES)
def test_the_compiled_engine_is_not_left_if_it_was_asked_for(cls: type[ActorCritic], change: Change) -> None:
    with pytest.raises(ConfigError, match="engine fused does not fit: it does not see the change of"):
        trained(cls, "fused", change)


@pytest.mark.parametrize("cls", [A2C, StreamAC])
@pytest.mark.parametrize("engine", ["torch", "fused"])
def test_frozen_parameters_stay(cls: type[ActorCritic], engine: str) -> None:
    agent = cls("CartPole-v1", engine="auto" if engine == "fused" else engine, **SMALL).learn(64)
    freeze(agent)
    frozen, free = agent.policy.net[0].weight.clone(), agent.policy.net[-1].weight.clone()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        agent.learn(64)
    assert torch.equal(agent.policy.net[0].weight, frozen)
    assert not torch.equal(agent.policy.net[-1].weight, free)


@pytest.mark.parametrize("cls", [A2C, StreamAC])
def test_a_hook_sees_predictions(cls: type[ActorCritic]) -> None:
    agent, seen = cls("CartPole-v1", **SMALL), []
    agent.predict(np.zeros(4, np.float32))
    assert agent.engine_in_use == "fused"
    agent.policy.net[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs))
    with pytest.warns(UserWarning, match="the hooks of policy.net.0"):
        agent.predict(np.zeros(4, np.float32))
    assert len(seen) == 1


def test_a_method_of_the_class_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, ours = [], A2C.advantages
    monkeypatch.setattr(A2C, "advantages", lambda self, *rest: seen.append(1) or ours(self, *rest))
    with pytest.warns(UserWarning, match="A2C.advantages"):
        A2C("CartPole-v1").learn(16)
    assert len(seen) == 2


def test_a_subclass_runs_on_torch() -> None:
    class Own(StreamAC):
        def learn_from(self, batch: Rollout, progress: float = 0.0) -> Metrics:
            return {**super().learn_from(batch, progress), "train/own": torch.ones(())}

    rows: list[Metrics] = []
    agent = Own("CartPole-v1").learn(3, [lambda status: rows.append(status.metrics)])
    assert agent.engine_in_use == "torch"
    assert [float(row["train/own"]) for row in rows] == [1, 1, 1]


def test_a_new_layer_learns_and_the_optimizer_forgets_the_old() -> None:
    agent = A2C("CartPole-v1", engine="torch", **SMALL).learn(64)
    new_layer(agent)
    before = agent.policy.net[0].weight.clone()
    agent.learn(64)
    assert not torch.equal(agent.policy.net[0].weight, before)
    optimizer = agent.learner.optimizer.inner
    assert optimizer.state.keys() == {p for network in agent.networks for p in network.parameters()}
    other = A2C("CartPole-v1", engine="torch", **SMALL)
    other.load_state_dict(agent.state_dict())
    assert torch.equal(parameters(other), parameters(agent))


@pytest.mark.parametrize("in_place", [True, False])
def test_a_step_count_that_is_reset_counts_from_there(in_place: bool) -> None:
    """Adam's correction of the bias starts again, as in torch."""
    more: dict[str, Any] = {"use_rms_prop": False, "n_steps": 16, **SMALL}
    both = [A2C("CartPole-v1", engine=engine, **more).learn(1280) for engine in ("torch", "fused")]
    for agent in both:
        for state in agent.learner.optimizer.inner.state.values():
            state["exp_avg"].zero_()
            state["exp_avg_sq"].zero_()
            if in_place:
                state["step"].zero_()
            else:
                state["step"] = torch.zeros(())
        agent.learn(128)
    reference, fused = both
    assert {float(state["step"]) for state in fused.learner.optimizer.inner.state.values()} == {1.0}
    torch.testing.assert_close(parameters(fused), parameters(reference), rtol=1e-3, atol=1e-5)
