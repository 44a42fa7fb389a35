"""Streaming actor-critic: both engines compute the same."""

import pytest
import torch

from agents.rollout import collect
from agents.streaming import StreamAC


def test_intents_that_cannot_be_reached_end_in_a_certain_action() -> None:
    """As published, π takes one action with probability 1 after 2,000 steps, and its gradient stays 0."""
    certain = {}
    for attainable in (False, True):
        agent = StreamAC("CartPole-v1", seed=100, step_rule="intentional", attainable_intent=attainable).learn(2_000)
        obs, _ = agent.worlds.reset()
        pi = agent.policy(agent.learner.encoded(torch.from_numpy(obs)))
        certain[attainable] = bool((pi.entropy() == 0).all())
    assert certain == {False: True, True: False}


@pytest.mark.parametrize("settings", [{"attainable_intent": True}, {"attainable_intent": False, "trace_decay": 0.8}])
def test_engines_agree_on_intents(settings: dict[str, object]) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        torch_agent, fused = (
            StreamAC("CartPole-v1", seed=4, net_arch=(16, 16), step_rule="intentional", engine=engine, **settings)  # type: ignore[arg-type]
            for engine in ("torch", "fused")
        )
        torch_agent.learn(200)
        fused.learn(200)
        for p, q in zip(torch_agent.policy.parameters(), fused.policy.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-9)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.slow
@pytest.mark.parametrize("trace_decay", [0.0, 0.8])
def test_engines_agree_in_double_precision(trace_decay: float, long: bool) -> None:
    """Both engines use the same random numbers. Only the order of sums differs; rounding errors grew to 2e-9."""
    torch.set_default_dtype(torch.float64)
    try:
        agents = [
            StreamAC("CartPole-v1", seed=4, net_arch=(16, 16), trace_decay=trace_decay, engine=engine)
            for engine in ("torch", "fused")
        ]  # type: ignore[arg-type]
        for agent in agents:
            agent.learn(10_000 if long else 1_000)
        averages = [agent.learner.average for agent in agents]
        assert averages[0]
        assert averages[1]
        pairs = [*zip(agents[0].networks, agents[1].networks, strict=True), (averages[0].policy, averages[1].policy)]
        for ours, theirs in pairs:
            for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
                torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-7)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"trace_decay": 0.9},
        {"max_policy_shift": 1e-3},
        {"truncation": "terminate"},
        {"entropy_form": "td_error"},
        {"step_rule": "adaptive"},
        {"step_rule": "adaptive", "trace_decay": 0.9},
        {"step_rule": "intentional"},
        {"step_rule": "intentional", "trace_decay": 0.9},
    ],
)
def test_engines_agree_on_gaussian_policies(settings: dict[str, object]) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        torch_agent, fused = (
            StreamAC("Pendulum-v1", seed=4, net_arch=(16, 16), max_episode_steps=50, engine=engine, **settings)  # type: ignore[arg-type]
            for engine in ("torch", "fused")
        )
        obs, _ = torch_agent.worlds.reset()
        for _ in range(200):
            rollout, obs, _ = collect(torch_agent.worlds, torch_agent, obs, 1, 0)
            expected, found = torch_agent.update(rollout), fused.update(rollout)
            assert expected.keys() == found.keys()
            for name, value in expected.items():
                torch.testing.assert_close(found[name], value.detach(), rtol=1e-6, atol=1e-9)
    finally:
        torch.set_default_dtype(torch.float32)
