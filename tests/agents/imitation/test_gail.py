"""GAIL: rewards as functions of the logit, what the inner agent receives, and what the discriminator learns from."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Generator

from agents import A2C
from agents.fused import chunk
from agents.imitation.discriminator import Transitions
from agents.imitation.gail import GAIL, imitation_reward
from agents.rollout import Rollout
from agents.settings.values import ConfigError
from envs import memory
from envs.probes import ContextAction
from tests.agents.recorded import made

LOGITS = torch.tensor([-1000.0, -20.0, -1.0, 0.0, 2.0, 1000.0], dtype=torch.float64)


@pytest.fixture
def file(tmp_path: Path) -> str:
    """100 episodes of 5 steps in CartPole."""
    obs = np.random.default_rng(0).normal(0, 1, (500, 4)).astype(np.float32)
    return made(tmp_path / "d", "CartPole-v1", obs, (obs[:, 2] > 0).astype(np.int64), length=5)


def rollout(obs: torch.Tensor, terminated: torch.Tensor, truncated: torch.Tensor) -> Rollout:
    shape = terminated.shape
    return Rollout(obs, torch.ones(shape, dtype=torch.int64), torch.full(shape, 7.0), obs + 1, terminated, truncated,
                   torch.zeros(*shape, 2))  # fmt: skip


def relabelled(gail: GAIL, batch: Rollout, monkeypatch: pytest.MonkeyPatch) -> Rollout:
    """The rollout that the A2C was given to learn from."""
    seen: list[Rollout] = []
    with monkeypatch.context() as patch:
        patch.setattr(gail.agent, "update", lambda batch, progress: seen.append(batch) or {})
        gail.update(batch)
    return seen[0]


def test_rewards_are_these_functions_of_the_logit() -> None:
    """−ln(1 − D) = ln(1 + e^x), ln D = −ln(1 + e^−x), and their sum x: finite even for an extreme logit."""
    softplus = [max(x, 0.0) + math.log1p(math.exp(-abs(x))) for x in LOGITS.tolist()]
    positive, negative = imitation_reward(LOGITS, "positive"), imitation_reward(LOGITS, "negative")
    assert positive.tolist() == pytest.approx(softplus)
    torch.testing.assert_close(negative, LOGITS - positive)
    assert torch.equal(imitation_reward(LOGITS, "logit"), LOGITS)
    assert imitation_reward(LOGITS, "constant").tolist() == [1.0] * 6


@pytest.mark.parametrize("form", ["positive", "negative", "logit", "constant"])
def test_rewards_of_a_rollout(form: str, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """r(s, a), plus γ/(1 − γ) times the absorbing state's reward only where an episode terminates."""
    gail = GAIL(A2C("CartPole-v1", gamma=0.9), demonstrations=file, reward=form, discriminator_batch=4)
    obs = torch.randn(3, 8, 4, generator=Generator().manual_seed(0))
    terminated, truncated = torch.zeros(2, 3, 8, dtype=torch.bool)
    terminated[0, 1] = truncated[1, 2] = terminated[2, 3] = truncated[2, 3] = True
    batch = rollout(obs, terminated, truncated)
    seen = relabelled(gail, batch, monkeypatch)
    transitions = Transitions(*(x.flatten(0, 1) for x in (batch.obs, batch.action, batch.next_obs, batch.terminated)))
    plain = imitation_reward(gail.discriminator.logit(gail.encoder(transitions)), form).reshape(3, 8)
    rest = imitation_reward(gail.discriminator.logit(gail.encoder.absorbing_transition()), form)
    torch.testing.assert_close(seen.reward, plain + 9 * rest * terminated, rtol=1e-5, atol=1e-6)
    assert all(x is y for x, y in zip(seen._replace(reward=batch.reward), batch, strict=True)), "nothing else changes"
    without = GAIL(A2C("CartPole-v1", gamma=1.0), demonstrations=file, reward=form, absorbing=False)
    seen = relabelled(without, batch, monkeypatch)
    plain = imitation_reward(without.discriminator.logit(without.encoder(transitions)), form).reshape(3, 8)
    torch.testing.assert_close(seen.reward, plain)


def test_measured_on_what_the_discriminator_has_not_seen(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gail = GAIL(A2C("CartPole-v1", num_envs=4), demonstrations=file, discriminator_batch=16, absorbing=False)
    trained, measured = set[bytes](), list[bytes]()

    def rows(x: torch.Tensor) -> list[bytes]:
        return [row.numpy().tobytes() for row in x]

    step, measure = gail.discriminator.step, gail.discriminator.measure

    def spied_step(expert: torch.Tensor, policy: torch.Tensor) -> None:
        trained.update(rows(expert), rows(policy))
        step(expert, policy)

    def spied_measure(expert: torch.Tensor, policy: torch.Tensor) -> dict[str, torch.Tensor]:
        measured.extend(rows(policy))
        assert not trained & {*rows(expert), *rows(policy)}
        return measure(expert, policy)

    monkeypatch.setattr(gail.discriminator, "step", spied_step)
    monkeypatch.setattr(gail.discriminator, "measure", spied_measure)
    gail.learn(400)
    assert len(measured) == 400
    assert not set(rows(gail.expert)) & set(rows(gail.held_out))


def test_returns_are_reported_as_the_environment_gives_them(file: str) -> None:
    episodes = []
    gail = GAIL(A2C("CartPole-v1"), demonstrations=file, reward="negative")
    gail.learn(800, [lambda status: episodes.extend(status.episodes)])
    assert len(episodes) > 10
    assert all(episode.ret == episode.length for episode in episodes), "CartPole pays 1 a step"


def test_the_engines_agree(file: str) -> None:
    """The same rollouts give the same rewards with either inner engine."""
    rows: dict[str, list[float]] = {"torch": [], "fused": []}
    for engine, seen in rows.items():
        agent = A2C("CartPole-v1", n_steps=8, engine=engine, backend="sync")
        gail = GAIL(agent, demonstrations=file, discriminator_batch=64)
        assert gail.engine_in_use == engine
        gail.learn(640, [lambda status, seen=seen: seen.append(float(status.metrics["gail/reward"]))])
    assert rows["torch"] == pytest.approx(rows["fused"], rel=1e-4)


def test_it_imitates(tmp_path: Path) -> None:
    """Learns the action that matches the context, without ever seeing the environment's reward."""
    obs = np.random.default_rng(0).choice([-1, 1], (200, 1)).astype(np.float32)
    file = made(tmp_path / "d", "ContextAction-v0", obs, (obs[:, 0] > 0).astype(np.int64))
    agent = A2C("ContextAction-v0", n_steps=8, learning_rate=1e-3, engine="torch")
    gail = GAIL(
        agent, demonstrations=file, reward="logit", absorbing=False, discriminator_batch=64, discriminator_lr=0.01
    )
    gail.learn(6400)
    right = agent.policy(torch.tensor([[-1.0], [1.0]])).log_p.exp()
    assert float(right[0, 0].detach()) > 0.9
    assert float(right[1, 1].detach()) > 0.9


@pytest.mark.parametrize(
    ("own", "inner", "words"),
    [
        ({}, {"gamma": 1.0}, "set gamma below 1, or absorbing=false"),
        ({"validation_fraction": 0}, {}, "validation_fraction must lie between 0 and 1, got 0"),
        ({"discriminator_arch": (8, 0)}, {}, "discriminator_arch must be a list, each item at least 1"),
        ({"discriminator_batch": 0}, {}, "discriminator_batch must be at least 1"),
        ({"gradient_penalty": -1}, {}, "gradient_penalty must be at least 0, got -1"),
        ({"discriminator_lr": 1e31}, {}, r"discriminator_lr must be at most 1e\+30, got 1e\+31"),
        ({"reward": "airl"}, {}, "reward must be one of logit, positive, negative, constant, got 'airl'"),
        ({"episodes": 101}, {}, "asked for 101 episodes; the demonstrations have 100"),
        ({"demonstrations": ""}, {}, "name the file to learn from, demonstrations=FILE"),
    ],
)
def test_it_refuses(own: dict[str, object], inner: dict[str, float], words: str, file: str) -> None:
    with pytest.raises(ConfigError, match=words.replace("(", r"\(").replace(")", r"\)")):
        GAIL(A2C("CartPole-v1", **inner), **{"demonstrations": file, **own})


def test_memory_is_estimated_before_it_is_taken(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_machine_memory", lambda: 2**34)
    with pytest.raises(ConfigError, match=r"the discriminator needs .* GiB, .*: lower discriminator_arch"):
        GAIL(A2C("CartPole-v1"), demonstrations=file, discriminator_arch=(65_536, 65_536))
    monkeypatch.setattr(memory, "_machine_memory", lambda: 2**27)
    with pytest.raises(ConfigError, match=r"the policy's transitions need .* GiB, .*: lower buffer_size"):
        GAIL(A2C("CartPole-v1"), demonstrations=file, buffer_size=10**7)


def test_kernels_are_compiled_before_training(file: str) -> None:
    """Compiles the kernels of `act` and `update`, not those of A2C's chunks, so that training time excludes it."""
    gail = GAIL(A2C("CartPole-v1", engine="fused"), demonstrations=file)
    gail.compile()
    before = [len(kernel.signatures) for kernel in (chunk.act, chunk.load, chunk.store_learn_act)]
    gail.learn(16)
    assert [len(kernel.signatures) for kernel in (chunk.act, chunk.load, chunk.store_learn_act)] == before
    assert min(before) >= 1


def test_the_latest_transitions_are_kept(file: str) -> None:
    """The discriminator learns from the latest `buffer_size` transitions; checkpoints include the pending ones."""
    gail = GAIL(A2C("CartPole-v1"), demonstrations=file, discriminator_batch=20, buffer_size=50, absorbing=False)
    gail.learn(40)
    assert (len(gail.buffer), len(gail.pending)) == (24, 16)
    gail.learn(160)
    assert (len(gail.buffer), len(gail.pending)) == (50, 8)
    assert gail.summary().startswith("imitates 400 transitions of")


def test_an_environment_object(tmp_path: Path) -> None:
    obs = np.ones((20, 1), np.float32)
    agent = A2C(ContextAction())
    file = made(tmp_path / "d", "ContextAction-v0", obs, np.ones(20, np.int64))
    gail = GAIL(agent, demonstrations=file, discriminator_batch=16).learn(64)
    again = GAIL.load(gail.save(tmp_path / "g"), env=ContextAction())
    assert torch.equal(again.buffer, gail.buffer)


def test_its_learning_rate_may_change_at_loading(file: str, tmp_path: Path) -> None:
    agent = A2C("CartPole-v1", n_steps=8, net_arch=(8,), engine="torch")
    path = GAIL(agent, demonstrations=file, discriminator_batch=64).learn(128).save(tmp_path / "g")
    assert GAIL.load(path, discriminator_lr=1e-4).discriminator.optimizer.param_groups[0]["lr"] == 1e-4


def test_as_many_steps_of_the_discriminator_as_transitions_demand(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two per 16 transitions, for rollouts of 64 and of 8."""
    counts = []
    for n_steps in (8, 1):
        gail = GAIL(A2C("CartPole-v1", num_envs=8, n_steps=n_steps), demonstrations=file, discriminator_batch=16)
        calls = []
        monkeypatch.setattr(gail.discriminator, "step", lambda *parts, calls=calls: calls.append(len(parts[0])))
        gail.learn(128)
        counts.append(calls)
    assert counts == [[16] * 16, [16] * 16]
