"""Streaming actor-critic: deterministic actions come from averaged parameters."""

import numpy as np
import pytest
import torch

from agents.streaming import StreamAC


@pytest.mark.parametrize("engine", ["torch", "fused"])
def test_deterministic_actions_come_from_averaged_parameters(engine: str) -> None:
    """An exponential mean over a tenth of the steps, at most h; the learning policy is unaffected."""
    plain, agent = (
        StreamAC("Pendulum-v1", seed=0, net_arch=(8,), averaging_steps=steps, engine=engine)  # type: ignore[arg-type]
        for steps in (None, 3)
    )
    obs, expected = np.array([0.5, -0.5, 1.0], np.float32), list[torch.Tensor]()
    for t in range(1, 41):
        agent.learn(1)
        now = [p.detach().clone() for p in agent.policy.parameters()]
        expected = expected or now
        expected = [mean + (p - mean) / max(1, min(t / 10, 3)) for mean, p in zip(expected, now, strict=True)]
    plain.learn(40)
    average = agent.learner.average
    assert average is not None
    for p, q in zip(average.policy.parameters(), expected, strict=True):
        torch.testing.assert_close(p, q)
    for p, q in zip(agent.policy.parameters(), plain.policy.parameters(), strict=True):
        assert torch.equal(p, q)
    x = agent.learner.encoded(torch.as_tensor(obs)[None])
    action, _ = agent.predict(obs, deterministic=True)
    np.testing.assert_allclose(action, average.policy(x).mode()[0].detach().numpy(), rtol=1e-5)
    action, _ = plain.predict(obs, deterministic=True)
    np.testing.assert_allclose(action, plain.policy(x).mode()[0].detach().numpy(), rtol=1e-5)


def test_deterministic_actions_see_a_replaced_module() -> None:
    """A new activation takes effect on averaged parameters; a new layer has its own parameters."""
    agent = StreamAC("Pendulum-v1", seed=0, net_arch=(8,), sparsity=0.0, engine="torch").learn(40)
    obs, average = np.array([0.5, -0.5, 1.0], np.float32), agent.learner.average
    assert average is not None
    (at,) = [i for i, module in enumerate(agent.policy.net) if isinstance(module, torch.nn.LeakyReLU)]
    before, averaged = agent.predict(obs, deterministic=True)[0], [p.clone() for p in average.policy.parameters()]
    agent.policy.net[at] = torch.nn.Tanh()
    assert agent.predict(obs, deterministic=True)[0] != before
    assert all(map(torch.equal, average.policy.parameters(), averaged))
    agent.policy.net[0] = torch.nn.Linear(3, 8)
    agent.predict(obs, deterministic=True)
    assert torch.equal(average.policy.net[0].weight, agent.policy.net[0].weight)  # type: ignore[arg-type]
    assert [torch.equal(p, q) for p, q in zip(average.policy.parameters(), averaged, strict=True)].count(False) == 2
    agent.policy.net[0] = torch.nn.Linear(3, 8)
    assert not any(p.requires_grad for p in average.current().parameters()), "also outside of predict"
