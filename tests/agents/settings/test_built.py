"""Settings of a built agent: some may change, on both engines; the others are read-only."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch

from agents import A2C, ActorCritic
from agents.imitation.mutual import Mutual
from agents.ppo import PPO
from agents.settings.schema import setting_types
from agents.settings.values import ConfigError
from agents.streaming import StreamAC
from tests.agents.reinforce import Reinforce

CHANGES: dict[type[ActorCritic], dict[str, Any]] = {
    A2C: {
        "learning_rate": 5e-3, "gae_lambda": 0.3, "ent_coef": 0.2, "vf_coef": 2.0, "max_grad_norm": 0.01,
        "critic_lr_scale": 5.0, "target_policy_shift": 1e-6, "max_policy_shift": 1e-9, "reward_scale": 0.1,
        "reward_clip": 0.5,
    },
    StreamAC: {
        "ent_coef": 0.5, "entropy_form": "td_error", "truncation": "terminate", "max_policy_shift": 1e-9,
        "reward_scale": 0.1, "reward_clip": 0.5,
    },
}  # fmt: skip
CHANGES[PPO] = CHANGES[A2C] | {
    "n_epochs": 1, "clip_range": 1e-4, "clip_range_vf": 1e-3, "target_kl": 1e-9, "kl_coef": 50.0,
    "ent_coef": 50.0,
}  # fmt: skip
CASES = [(cls, name) for cls, changes in CHANGES.items() for name in changes]


def trained(cls: type[ActorCritic], engine: str, name: str | None) -> torch.Tensor:
    more: dict[str, Any] = {"num_envs": 2, "n_steps": 4}
    if cls is StreamAC:
        more = {"normalize_rewards": False, "sparsity": 0.0, "ent_coef": 0.1}
    if cls is PPO:
        more |= {"batch_size": 4, "n_epochs": 3}
    agent = cls("CartPole-v1", engine=engine, seed=1, net_arch=(8,), max_episode_steps=7, **more).learn(64)
    if name is not None:
        setattr(agent, name, CHANGES[cls][name])
    agent.learn(64)
    assert agent.engine_in_use == engine
    return torch.cat([p.detach().flatten() for network in agent.networks for p in network.parameters()])


@pytest.mark.parametrize(("cls", "name"), CASES)
def test_a_change_takes_effect_on_both_engines(cls: type[ActorCritic], name: str) -> None:
    reference, unchanged = trained(cls, "torch", name), trained(cls, "torch", None)
    torch.testing.assert_close(trained(cls, "fused", name), reference, rtol=2e-3, atol=2e-5)
    assert not torch.allclose(reference, unchanged, rtol=2e-3, atol=2e-5)


@pytest.mark.parametrize("cls", CHANGES)
def test_every_setting_may_change_or_is_read_only(cls: type[ActorCritic]) -> None:
    agent = cls("CartPole-v1")
    for name in ("env", *setting_types(cls)):
        before = getattr(agent, name)
        if name in CHANGES[cls] or name == "shift_excess":
            setattr(agent, name, before)
            continue
        with pytest.raises(ConfigError, match=rf"^{name} of a built agent cannot change: build another, .*{name}=…"):
            setattr(agent, name, before)
        assert getattr(agent, name) is before


@pytest.mark.parametrize("cls", CHANGES)
def test_a_change_is_checked(cls: type[ActorCritic]) -> None:
    agent = cls("CartPole-v1")
    for name, value, words in (
        ("ent_coef", -1.0, "ent_coef must not be negative, got -1.0"),
        ("reward_clip", "much", "reward_clip must be a number or null, got 'much'"),
    ):
        before = getattr(agent, name)
        with pytest.raises(ConfigError, match=words):
            setattr(agent, name, value)
        assert getattr(agent, name) == before
    agent.max_policy_shift = "1e-3"
    assert agent.max_policy_shift == 1e-3, "converted as an argument is"


def test_settings_of_your_own_class_are_yours() -> None:
    @dataclass(eq=False)
    class Own(A2C):
        own: float = 0.5

    agent, reinforce = Own("CartPole-v1"), Reinforce("CartPole-v1")
    agent.own = 0.25
    reinforce.learning_rate *= 0.5
    assert (agent.own, reinforce.learning_rate) == (0.25, 2.5e-3)
    with pytest.raises(ConfigError, match="gamma of a built agent cannot change"):
        agent.gamma = 0.5
    with pytest.raises(ConfigError, match="seed of a built agent cannot change: build another, Reinforce"):
        reinforce.seed = 1


def test_algorithms_around_a2c() -> None:
    mutual = Mutual(A2C("CartPole-v1"), peers=2)
    with pytest.raises(ConfigError, match="mutual_coef of a built agent cannot change"):
        mutual.mutual_coef = 0.5
    with pytest.raises(ConfigError, match=r"ent_coef is a setting of the wrapped agent: assign to Mutual\.agent\.ent"):
        mutual.ent_coef = 0.5  # type: ignore[attr-defined]
    mutual.agent.ent_coef = 0.5
    for name in ("env", "seed", "threads", "n_steps"):
        with pytest.raises(ConfigError, match=f"^{name} of a built agent cannot be replaced: it follows"):
            setattr(mutual, name, getattr(mutual, name))
    mutual.other = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("cls", [A2C, PPO, Reinforce, Mutual])
def test_parts_that_others_hold_are_read_only(cls: type[Any]) -> None:
    """Another object was taken and not used: the loop went on with the old worlds, the engine with the old learner."""
    agent, other = (cls(A2C("CartPole-v1", engine="torch")) if cls is Mutual else cls("CartPole-v1") for _ in range(2))
    more = {A2C: ["learner", "policy", "value"], PPO: ["learner", "shuffle"]}.get(cls, [])
    for name in ("worlds", "obs_space", "loop", *more):
        before = getattr(agent, name)
        with pytest.raises(ConfigError, match=f"^{name} of a built agent cannot be replaced: "):
            setattr(agent, name, getattr(other, name))
        assert getattr(agent, name) is before


@pytest.mark.parametrize(
    ("cls", "name", "words"),
    [
        (A2C, "ent_coeff", "A2C has no setting 'ent_coeff'; did you mean 'ent_coef'"),
        (A2C, "lr", "did you mean 'learning_rate'"),
        (A2C, "lr_schedule", "A2C has no lr_schedule: write agent.learning_rate"),
        (A2C, "clip_range", "A2C has no setting 'clip_range'"),
        (StreamAC, "learning_rate", "StreamAC has no setting 'learning_rate'"),
    ],
)
def test_names_that_nothing_reads_are_refused(cls: type[Any], name: str, words: str) -> None:
    agent = cls("CartPole-v1", engine="torch")
    with pytest.raises(ConfigError, match=words):
        setattr(agent, name, 0.1)
    agent.notes = "an attribute of your own"


def test_methods_that_ppo_does_not_call_are_refused() -> None:
    def policy_loss(self: PPO, *given: object) -> None: ...

    with pytest.raises(ConfigError, match=r"Mine\.policy_loss would never be called: PPO's loss is loss"):
        type("Mine", (PPO,), {"policy_loss": policy_loss})
    with pytest.raises(ConfigError, match="objective of a built agent cannot be replaced: PPO does not call it"):
        PPO("CartPole-v1", engine="torch").objective = policy_loss  # type: ignore[assignment, method-assign]
