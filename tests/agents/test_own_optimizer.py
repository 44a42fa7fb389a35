"""optimizer=module:Class with optimizer_kwargs: trained, saved, loaded, resumed, copied; torch engine only."""

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import Adam, AdamW, Optimizer

from agents import A2C, checkpoint
from agents.checkpoint import CheckpointError
from agents.sb3 import to_sb3
from agents.settings.values import ConfigError
from tests.agents.reinforce import Reinforce

SMALL: dict[str, Any] = {"net_arch": (8,), "seed": 5, "num_envs": 2, "n_steps": 4}


class Momentum(Optimizer):
    """v ← β v + g, θ ← θ − lr · v; for matrices, v is divided by ‖v‖, similar to Muon."""

    def __init__(self, params: Iterable[dict[str, Any]], lr: float = 1e-3, beta: float = 0.9) -> None:
        super().__init__(params, {"lr": lr, "beta": beta})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                v = self.state[p].setdefault("velocity", torch.zeros_like(p))
                v.mul_(group["beta"]).add_(p.grad)
                p.sub_(group["lr"] * (v / (v.norm() + 1e-8) if v.ndim == 2 else v))


class OneGroup(Adam):
    def __init__(self, params: Iterable[dict[str, Any]], lr: float) -> None:
        super().__init__([p for group in params for p in group["params"]], lr)


CASES: list[tuple[Any, dict[str, object] | None]] = [
    (f"{__name__}:Momentum", {"beta": 0.5}),
    (Momentum, None),
    ("torch.optim:AdamW", {"betas": (0.8, 0.99), "weight_decay": 0.1}),
    ("torch.optim:Adafactor", None),  # its ε is a pair of None and a number
    (None, {"alpha": 0.9, "weight_decay": 0.1}),
]


def parameters(agent: A2C) -> Tensor:
    return torch.cat([p.detach().flatten() for network in agent.networks for p in network.parameters()])


@pytest.mark.parametrize(("optimizer", "kwargs"), CASES)
def test_it_trains_and_resumes_exactly(optimizer: Any, kwargs: dict[str, object] | None, tmp_path: Path) -> None:
    def build() -> A2C:
        return A2C("CartPole-v1", optimizer=optimizer, optimizer_kwargs=kwargs, critic_lr_scale=2.0, **SMALL)

    whole, half = build().learn(256), build().learn(128)
    resumed = A2C.load(half.save(tmp_path / "half"))
    assert type(resumed.learner.optimizer.inner) is type(whole.learner.optimizer.inner)
    assert resumed.optimizer_kwargs == kwargs
    twin = copy.deepcopy(half)
    assert torch.equal(parameters(resumed.learn(128)), parameters(whole))
    assert torch.equal(parameters(twin.learn(128)), parameters(whole))
    assert not torch.equal(parameters(A2C("CartPole-v1", critic_lr_scale=2.0, **SMALL).learn(256)), parameters(whole))
    rates = [group["lr"] for group in whole.learner.optimizer.inner.param_groups]
    assert rates == pytest.approx([7e-4, 1.4e-3])


def test_it_is_torchs_own_step() -> None:
    """AdamW by name equals torch's AdamW on the gradients of one update."""
    agent = A2C("CartPole-v1", optimizer=AdamW, optimizer_kwargs={"betas": (0.5, 0.9)}, max_grad_norm=1e9, **SMALL)
    twin = copy.deepcopy(agent)
    agent.learn(8)
    reference = AdamW([*twin.policy.parameters(), *twin.value.parameters()], lr=7e-4, betas=(0.5, 0.9))
    for p, q in zip(
        reference.param_groups[0]["params"], [*agent.policy.parameters(), *agent.value.parameters()], strict=True
    ):
        p.grad = q.grad
    reference.step()
    torch.testing.assert_close(parameters(twin), parameters(agent), rtol=0, atol=1e-7)


@pytest.mark.parametrize(("optimizer", "kwargs"), CASES)
def test_the_fused_engine_refuses_it(optimizer: Any, kwargs: dict[str, object] | None) -> None:
    name = "optimizer" if optimizer else "optimizer_kwargs"
    with pytest.raises(
        ConfigError, match=f"fused does not fit: it steps by RMSprop or Adam as they are, {name} is set"
    ):
        A2C("CartPole-v1", engine="fused", optimizer=optimizer, optimizer_kwargs=kwargs)
    assert A2C("CartPole-v1", optimizer=optimizer, optimizer_kwargs=kwargs).engine_in_use == "torch"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"optimizer": "AdamW"}, "optimizer must be module:Class, such as torch.optim:AdamW, got 'AdamW'"),
        ({"optimizer": "nowhere:AdamW"}, "nowhere"),
        ({"optimizer": "torch.nn:Linear"}, "torch.nn:Linear cannot be built"),
        ({"optimizer": "collections:OrderedDict"}, "OrderedDict cannot be built"),
        ({"optimizer": OneGroup}, "must be a torch optimizer that keeps its two groups of parameters"),
        ({"optimizer": AdamW, "optimizer_kwargs": {"beta": 1}}, "AdamW cannot be built: TypeError.*beta"),
        ({"optimizer": AdamW, "optimizer_kwargs": {"lr": 1}}, "optimizer_kwargs must leave out lr, which is learning_"),
        ({"optimizer_kwargs": {"eps": 1}}, "optimizer_kwargs must leave out eps, which is rms_prop_eps"),
        ({"optimizer": AdamW, "use_rms_prop": False}, "use_rms_prop does nothing with an optimizer of its own"),
        ({"optimizer": AdamW, "rms_prop_eps": 1e-3}, "rms_prop_eps does nothing with an optimizer of its own"),
    ],
)
def test_what_does_not_fit_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        A2C("CartPole-v1", **settings)
    assert "\n" not in str(caught.value)


def test_loading_names_it(tmp_path: Path) -> None:
    path = A2C("CartPole-v1", optimizer=Momentum, **SMALL).learn(64).save(tmp_path / "own")
    assert checkpoint.read(path).imports() == [f"{__name__}:Momentum"]
    with pytest.raises(CheckpointError, match="Momentum, which trust=False does not import"):
        A2C.load(path, trust=False)


def test_a_local_class_is_refused_at_save(tmp_path: Path) -> None:
    class Local(AdamW):
        pass

    agent = A2C("CartPole-v1", optimizer=Local, **SMALL).learn(64)
    with pytest.raises(ConfigError, match=r"optimizer cannot be saved.*define it at the top level of a module"):
        agent.save(tmp_path / "local")


def test_it_is_not_converted() -> None:
    with pytest.raises(ConfigError, match=r"optimizer is .*, for which Stable-Baselines3's A2C has no counterpart"):
        to_sb3(A2C("CartPole-v1", optimizer=AdamW))


@pytest.mark.parametrize(
    ("saved", "changed", "name", "value"),
    [
        ({}, {"rms_prop_eps": 1e-2}, "eps", 1e-2),
        ({"use_rms_prop": False}, {"rms_prop_eps": 1e-2}, "eps", 1e-2),
        ({}, {"optimizer_kwargs": {"weight_decay": 0.3}}, "weight_decay", 0.3),
        ({"optimizer_kwargs": {"alpha": 0.9}}, {"optimizer_kwargs": None}, "alpha", 0.99),
        ({"optimizer": AdamW}, {"optimizer_kwargs": {"betas": (0.5, 0.9)}}, "betas", (0.5, 0.9)),
    ],
)
def test_numbers_that_are_changed_at_loading(
    saved: dict[str, Any], changed: dict[str, Any], name: str, value: object, tmp_path: Path
) -> None:
    agent = A2C("CartPole-v1", **SMALL, **saved).learn(64)
    loaded = A2C.load(agent.save(tmp_path / "a"), **changed).learn(8)
    assert [group[name] for group in loaded.learner.optimizer.inner.param_groups] == [value, value]
    assert loaded.engine_in_use == ("torch" if loaded.optimizer or loaded.optimizer_kwargs else "fused")
    moments = (next(iter(a.learner.optimizer.inner.state.values()))["step"] for a in (agent, loaded))
    assert [*map(float, moments)] == [8, 9]


def test_numbers_that_were_edited_in_training_are_loaded(tmp_path: Path) -> None:
    agent = A2C("CartPole-v1", optimizer=AdamW, **SMALL).learn(64)
    for group in agent.learner.optimizer.inner.param_groups:
        group["weight_decay"] = 0.3
    loaded = A2C.load(agent.save(tmp_path / "a"), optimizer_kwargs={"betas": [0.5, 0.9]})
    assert loaded.learner.optimizer.inner.param_groups[1]["weight_decay"] == 0.3


@pytest.mark.parametrize("changed", [{"use_rms_prop": False}, {"optimizer": AdamW}, {"optimizer": Momentum}])
def test_another_optimizer_begins_with_a_state_of_its_own(changed: dict[str, Any], tmp_path: Path) -> None:
    agent = A2C("CartPole-v1", **SMALL).learn(64)
    loaded = A2C.load(agent.save(tmp_path / "a"), **changed)
    assert torch.equal(parameters(loaded), parameters(agent))
    inner = loaded.learn(8).learner.optimizer.inner
    assert all("square_avg" not in state for state in inner.state.values())
    assert all(float(state.get("step", 1)) == 1 for state in inner.state.values())


def test_the_learning_rate_of_an_algorithm_of_your_own(tmp_path: Path) -> None:
    path = Reinforce("CartPole-v1", num_envs=2).learn(128).save(tmp_path / "a")
    assert Reinforce.load(path, learning_rate=1e-4).optimizer.param_groups[0]["lr"] == 1e-4
    assert Reinforce.load(path).optimizer.param_groups[0]["lr"] == 5e-3
