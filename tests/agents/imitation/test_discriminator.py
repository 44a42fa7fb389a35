"""GAIL's discriminator: its known optimum, its gradient penalty and spectral norm, and what it sees of a transition."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Generator

from agents.imitation.discriminator import Discriminator, TransitionEncoder, Transitions
from agents.maths import gan, information


def test_the_discriminator_finds_its_optimum() -> None:
    """Expert and policy choose between two actions with known probabilities p and q: the logit becomes ln p/q."""
    p, q = torch.tensor([0.8, 0.2]), torch.tensor([0.3, 0.7])
    one, other = torch.eye(2)
    expert, policy = torch.stack([one] * 8 + [other] * 2), torch.stack([one] * 3 + [other] * 7)
    found = Discriminator(2, (), 0.05, 0.0, False, Generator().manual_seed(0))
    for _ in range(500):
        found.step(expert, policy)
    torch.testing.assert_close(found.logit(torch.eye(2)), (p / q).log(), rtol=0, atol=1e-4)
    measured = found.measure(expert, policy)
    assert float(measured["gail/jsd"]) == pytest.approx(float(information.js(p, q)), abs=1e-6)
    assert float(measured["gail/discriminator_value"]) == pytest.approx(float(gan.optimal_value(p, q)), abs=1e-6)
    assert float(measured["gail/discriminator_accuracy"]) == pytest.approx(0.75)


def test_gradient_penalty_by_finite_differences() -> None:
    """mean (‖∇ logit‖ − 1)² between expert and policy; the derivative goes through the gradient."""
    torch.set_default_dtype(torch.float64)
    try:
        one = Discriminator(3, (4,), 1e-3, 1.0, False, Generator().manual_seed(0))
        x, y = torch.randn(2, 5, 3, generator=Generator().manual_seed(1))

        def penalty() -> torch.Tensor:
            one.generator.manual_seed(2)
            return one._gradient_penalty(x, y)

        parameters = list(one.network.parameters())
        gradients = torch.autograd.grad(penalty(), parameters, allow_unused=True)  # the last bias has no influence
        for parameter, gradient in zip(parameters, gradients, strict=True):
            for i in range(parameter.numel()):
                flat, h = parameter.data.view(-1), 1e-6
                flat[i] += h
                above = float(penalty().detach())
                flat[i] -= 2 * h
                slope = (above - float(penalty().detach())) / (2 * h)
                flat[i] += h
                assert slope == pytest.approx(0.0 if gradient is None else float(gradient.view(-1)[i]), abs=1e-8)
    finally:
        torch.set_default_dtype(torch.float32)


def test_spectral_norm_bounds_every_layer_and_leaves_the_global_generator_alone() -> None:
    """Also after large steps; computing rewards changes nothing."""
    before = torch.get_rng_state()
    one = Discriminator(3, (16, 16), 0.1, 0.0, True, Generator().manual_seed(0))
    again = Discriminator(3, (16, 16), 0.1, 0.0, True, Generator().manual_seed(0))
    assert torch.equal(before, torch.get_rng_state())
    draws = Generator().manual_seed(1)
    for _ in range(50):
        one.step(torch.randn(32, 3, generator=draws), torch.randn(32, 3, generator=draws) + 2)
    state = {name: x.clone() for name, x in one.network.state_dict().items()}
    x = torch.randn(8, 3, generator=draws)
    assert torch.equal(one.logit(x), one.logit(x))
    assert all(torch.equal(state[name], y) for name, y in one.network.state_dict().items())
    for layer in one.network[::2]:
        assert float(torch.linalg.matrix_norm(layer.weight.detach(), 2)) == pytest.approx(1, abs=0.02)
        assert float(torch.linalg.matrix_norm(layer.parametrizations.weight.original.detach(), 2)) > 2, (
            "unbounded without it"
        )
    assert torch.equal(again.logit(x), again.logit(x))
    third = Discriminator(3, (16, 16), 0.1, 0.0, True, Generator().manual_seed(0))
    assert torch.equal(again.logit(x), third.logit(x)), "the same seed gives the same network"


def test_the_encoding_of_a_transition() -> None:
    """Standardized by the expert's statistics, limited to ±10; s′ only on request, absent after termination."""
    space, actions = spaces.Box(-100, 100, (2,), np.float64), spaces.Box(-1, 1, (1,), np.float32)
    expert = Transitions(torch.tensor([[0.0, 5.0], [4.0, 5.0]], dtype=torch.float64), torch.zeros(2, 1), torch.zeros(2, 2), torch.zeros(2, dtype=torch.bool))  # fmt: skip  # noqa: E501
    transitions = Transitions(
        torch.tensor([[2.0, 5.0], [2 + 8**0.5, 99.0]], dtype=torch.float64), torch.tensor([[0.5], [3.0]]),
        torch.tensor([[2.0, 5.0], [2.0, 5.0]], dtype=torch.float64), torch.tensor([False, True]),
    )  # fmt: skip
    seen = TransitionEncoder.fit(expert, space, actions, with_next=True, absorbing=True)
    expected = [[0, 0, 0, 0.5, 0, 0, 0], [1, 10, 0, 1, 0, 0, 10]]
    torch.testing.assert_close(seen(transitions), torch.tensor(expected, dtype=torch.float32))
    assert seen.absorbing_transition().tolist() == [[0, 0, 10, 0, 0, 0, 10]]
    assert seen.size == 7
    alone = TransitionEncoder.fit(expert, space, actions, with_next=False, absorbing=True)
    torch.testing.assert_close(alone(transitions), torch.tensor(expected, dtype=torch.float32)[:, :4])
    one_row = TransitionEncoder.fit(Transitions(*(x[:1] for x in expert)), space, actions, False, True)
    assert one_row(transitions).isfinite().all()
    parts = TransitionEncoder.fit(expert, space, spaces.MultiDiscrete([2, 3]), False, True)
    assert parts(transitions._replace(action=torch.tensor([[1, 2], [0, 0]])))[:, 3:].tolist() == [[0, 1, 0, 0, 1], [1, 0, 1, 0, 0]]  # fmt: skip  # noqa: E501
