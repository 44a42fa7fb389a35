"""Mutual learning: independent A2Cs as peers, and the KL divergence between them."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

import envs.probes
from agents import A2C
from agents.evaluation import evaluate
from agents.imitation.mutual import Mutual
from agents.maths import information
from agents.networks.forward import Objective
from agents.rollout import Rollout, collect
from agents.settings.values import ConfigError

FEW = {"net_arch": (8,), "num_envs": 3, "n_steps": 4}
Gradient = tuple[torch.Tensor, ...]
ALL = {**FEW, "normalize_observations": True, "normalize_rewards": True, "gae_lambda": 0.9, "ent_coef": 0.01}


def part(batch: Rollout, k: int, size: int = 3) -> Rollout:
    return Rollout(*(x[:, k * size : (k + 1) * size] for x in batch[:7]))


def same(a: A2C, b: A2C) -> bool:
    parameters = ([x for network in agent.networks for x in network.parameters()] for agent in (a, b))
    return all(torch.equal(x, y) for x, y in zip(*parameters, strict=True))


def spread(mutual: Mutual) -> Mutual:
    """Spreads the policies out: untrained ones are nearly uniform."""
    with torch.no_grad():
        for peer in mutual.peer_agents:
            peer.policy.net[-1].weight.mul_(200)
    return mutual


def rollout(mutual: Mutual) -> Rollout:
    obs, _ = mutual.worlds.reset()
    return collect(mutual.worlds, mutual, obs, 5, 0)[0]


def test_peers_act_on_equally_many_observations() -> None:
    """The observations that were left over got no action."""
    mutual = Mutual(A2C("CartPole-v1", **FEW), peers=2)
    obs = np.zeros((5, 4), np.float32)
    with pytest.raises(ValueError, match="equally many observations for each of 2 peers, got 5; give a generator"):
        mutual.act(obs)
    assert len(mutual.act(obs[:4]).action) == 4
    assert len(mutual.act(obs, generator=torch.Generator()).action) == 5


def test_without_the_coefficient_peers_are_independent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each update equals that of an A2C on the same transitions; the first peer equals an A2C trained alone."""
    mutual = Mutual(A2C("CartPole-v1", seed=3, **ALL), peers=3, mutual_coef=0.0)
    alone = [A2C("CartPole-v1", seed=3 + 1_000_000 * k, engine="torch", **ALL) for k in range(3)]
    original = mutual.update

    def spied(batch: Rollout, progress: float) -> object:
        metrics = original(batch, progress)
        for k, agent in enumerate(alone):
            agent.update(part(batch, k), progress)
            assert same(agent, mutual.peer_agents[k])
        return metrics

    monkeypatch.setattr(mutual, "update", spied)
    mutual.learn(36 * 30)
    assert mutual.loop.iteration == 30
    assert not same(alone[0], alone[1])
    for agent, peer in zip(alone, mutual.peer_agents, strict=True):
        assert torch.equal(agent.learner.obs_norm.moments.m2, peer.learner.obs_norm.moments.m2)
        assert torch.equal(agent.learner.reward_norm.returns, peer.learner.reward_norm.returns)
    whole = A2C("CartPole-v1", seed=3, engine="torch", **ALL).learn(12 * 30)
    assert same(whole, mutual.agent), "its environments and random numbers are those of a run without peers"


def recording(step, peer: A2C, found: list[Gradient]):  # type: ignore[no-untyped-def]
    """Records the policy's gradient before each step."""

    def recorded(loss, *rest):  # type: ignore[no-untyped-def]
        found.append(torch.autograd.grad(loss, list(peer.policy.parameters()), retain_graph=True))
        return step(loss, *rest)

    return recorded


def test_the_loss_of_a_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    """L_A2C + λ · mean KL(π_j‖π_k) over the other peers, with all policies as before the first step; π_j is fixed."""
    mutual = spread(Mutual(A2C("CartPole-v1", **FEW), peers=3, mutual_coef="linear(0.4, 0)"))
    batch, expected = rollout(mutual), []
    for k, peer in enumerate(mutual.peer_agents):
        own = peer.objective(part(batch, k), 0.5)
        q = own.pi.raw.double().log_softmax(-1)
        others = [
            mutual.peer_agents[j].policy(own.inputs.x).raw.detach().double().log_softmax(-1) for j in range(3) if j != k
        ]
        kl = torch.stack([(p.exp() * (p - q)).sum(-1).mean() for p in others]).mean()
        assert float(kl.detach()) > 0.01
        expected.append((own.loss + 0.2 * kl, peer))
    gradients = [torch.autograd.grad(loss, list(peer.policy.parameters())) for loss, peer in expected]
    descended, recorded = list[Objective](), list[list[Gradient]]()
    for peer in mutual.peer_agents:
        descend = peer.learner.descend
        monkeypatch.setattr(
            peer.learner, "descend", lambda of, *rest, descend=descend: descended.append(of) or descend(of, *rest)
        )
        monkeypatch.setattr(
            peer.learner.optimizer, "step", recording(peer.learner.optimizer.step, peer, found := list[Gradient]())
        )
        recorded.append(found)
    mutual.update(batch, 0.5)
    for objective, (loss, _), (got,), gradient in zip(descended, expected, recorded, gradients, strict=True):
        torch.testing.assert_close(objective.loss.double(), loss.double(), rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(got, gradient, rtol=1e-4, atol=1e-6)


def test_peers_differ_in_all_that_is_random() -> None:
    mutual = Mutual(A2C("CartPole-v1", **FEW), peers=3)
    batch = rollout(mutual)
    starts = [tuple(batch.obs[0, i].tolist()) for i in range(9)]
    assert len(set(starts)) == 9
    assert not any(same(mutual.peer_agents[0], mutual.peer_agents[k]) for k in (1, 2))
    assert len({peer.seed for peer in mutual.peer_agents}) == 3
    assert len({tuple(peer.learner.generator.get_state().tolist()) for peer in mutual.peer_agents}) == 3


def test_each_acts_in_its_own_environments() -> None:
    mutual = spread(Mutual(A2C("CartPole-v1", **FEW), peers=2))
    batch = rollout(mutual)
    for k, peer in enumerate(mutual.peer_agents):
        own = part(batch, k)
        torch.testing.assert_close(own.behavior, peer.policy(own.obs).raw.detach())


@pytest.mark.parametrize("peers", [2, 4])
def test_diversity(peers: int) -> None:
    """The generalized JS divergence on each peer's states, between 0 (all equal) and ln K."""
    mutual = spread(Mutual(A2C("CartPole-v1", **FEW), peers=peers))
    batch = rollout(mutual)
    each = []
    for k in range(peers):
        obs = part(batch, k).obs
        together = torch.stack([peer.policy(obs).raw.detach() for peer in mutual.peer_agents], -2)
        each.append(information.generalized_js_from_logits(together).mean())
    found = float(mutual.update(batch)["train/peer_diversity"])
    assert found == pytest.approx(float(torch.stack(each).mean()), rel=1e-5)
    assert 0.01 < found < math.log(peers)
    for peer in mutual.peer_agents[1:]:
        peer.policy.load_state_dict(mutual.agent.policy.state_dict())
    metrics = mutual.update(rollout(mutual))
    assert float(metrics["train/peer_diversity"]) == pytest.approx(0, abs=1e-7)
    assert float(metrics["train/peer_kl"]) == pytest.approx(0, abs=1e-7)


def test_they_draw_nearer(tmp_path: Path) -> None:
    """With a large coefficient, distant peers come to agree."""
    mutual = spread(Mutual(A2C("CartPole-v1", learning_rate=3e-3, **FEW), mutual_coef=10.0))
    seen: list[float] = []
    mutual.learn(24 * 200, [lambda status: seen.append(float(status.metrics["train/peer_kl"]))])
    assert sum(seen[-20:]) < 0.1 * sum(seen[:20])


def test_the_first_is_evaluated() -> None:
    mutual = spread(Mutual(A2C("CartPole-v1", **FEW), peers=2))
    for deterministic in (True, False):
        both = [evaluate(x, "CartPole-v1", 8, 0, deterministic) for x in (mutual, mutual.agent, mutual.peer_agents[1])]
        assert both[0].returns.tolist() == both[1].returns.tolist() != both[2].returns.tolist()


@pytest.mark.parametrize("env_id", ["ContinuousTarget-v0", "ForbiddenAction-v0", "ShiftedAction-v0"])
def test_other_worlds(env_id: str) -> None:
    """Continuous actions have no diversity; forbidden actions are forbidden to all peers; `start` may be any number."""
    seen: list[set[str]] = []
    mutual = Mutual(A2C(env_id, **FEW), mutual_coef=0.5)
    mutual.learn(240, [lambda status: seen.append({k for k, x in status.metrics.items() if math.isfinite(x)})])
    assert ("train/peer_diversity" in seen[-1]) == (env_id != "ContinuousTarget-v0")
    assert {"train/peer_kl", "train/policy_shift_kl", "train/grad_norm"} <= seen[-1]


def test_peers_obey_the_step_timeout() -> None:
    mutual = Mutual(A2C("CartPole-v1", num_envs=1, n_steps=2, backend="async", step_timeout=60.0))
    assert mutual.worlds.env._timeout == 60.0
    mutual.worlds.close()
    mutual.agent.worlds.close()


def test_it_refuses(tmp_path: Path) -> None:
    for own, inner, words in (
        ({"peers": 1}, {}, "peers must be at least 2, got 1"),
        ({"mutual_coef": -0.1}, {}, "mutual_coef must be at least 0, got -0.1"),
        ({}, {"engine": "fused"}, "engine fused does not fit: mutual learning adds a term"),
        ({}, {"gru_size": 3}, "mutual learning supports neither recurrent policies nor gSDE: leave gru_size"),
    ):
        with pytest.raises(ConfigError, match=words):
            Mutual(A2C("CartPole-v1", **{**FEW, **inner}), **own)
    with pytest.raises(ConfigError, match="builds environments for every peer: pass an environment id"):
        Mutual(A2C(envs.probes.ContextAction()))
