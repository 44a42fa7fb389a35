"""Eligibility traces and ObGD, by hand numbers."""

import pytest
import torch
from torch import nn

from agents.traces import Traces


def traces(overshoot: float = 2.0, step_size: float = 1.0) -> Traces:
    return Traces([nn.Parameter(torch.tensor([1.0, -1.0])), nn.Parameter(torch.tensor([[0.5]]))], overshoot, step_size)


def test_accumulation() -> None:
    of = traces()
    for first, second in (([1.0, 2.0], [[4.0]]), ([0.0, -1.0], [[1.0]])):
        of.accumulate([torch.tensor(first), torch.tensor(second)], 0.5)
    assert [e.tolist() for e in of.traces] == [[0.5, 0.0], [[3.0]]]


@pytest.mark.parametrize(
    ("delta", "step"),
    [
        (0.5, 1 / (2 * 1 * 3.5)),  # α κ max(|δ|, 1) ‖e‖₁ = 7
        (-4.0, 1 / (2 * 4 * 3.5)),  # a large δ shortens the step in proportion
    ],
)
def test_obgd(delta: float, step: float) -> None:
    of = traces()
    of.accumulate([torch.tensor([0.5, 0.0]), torch.tensor([[-3.0]])], 0.0)
    assert float(of.step(torch.tensor(delta))) == pytest.approx(step)
    assert of.parameters[0].tolist() == pytest.approx([1 + step * delta * 0.5, -1])
    assert of.parameters[1].tolist() == [pytest.approx([0.5 - step * delta * 3])]


def test_short_traces_take_the_whole_step() -> None:
    of = traces(step_size=0.1)
    of.accumulate([torch.tensor([0.5, 0.0]), torch.tensor([[1.0]])], 0.0)
    assert float(of.step(torch.tensor(1.0))) == pytest.approx(0.1), "0.1 · 2 · 1 · 1.5 = 0.3 is no reason to shorten"


def test_a_linear_prediction_does_not_overshoot() -> None:
    """w ← w + step · δ · x changes w · x by step · δ ‖x‖², at most |δ| / κ for |x| ≤ 1 and |δ| ≥ 1, α = 1."""
    x = torch.tensor([0.9, -0.3, 0.7])
    w = nn.Parameter(torch.zeros(3))
    of = Traces([w], 2.0, 1.0)
    of.accumulate([x], 0.0)
    of.step(torch.tensor(5.0))
    assert 0 < float(w.detach() @ x) < 5 / 2


def test_denormal_traces_are_flushed() -> None:
    of = traces()
    of.accumulate([torch.tensor([1e-20, 1.0]), torch.tensor([[0.0]])], 0.0)
    of.accumulate([torch.zeros(2), torch.zeros(1, 1)], 1e-15)
    assert of.traces[0].tolist() == [0.0, pytest.approx(1e-15)]


def test_state() -> None:
    of, other = traces(), traces()
    of.accumulate([torch.tensor([1.0, 2.0]), torch.tensor([[4.0]])], 0.0)
    other.load_state_dict(of.state_dict())
    of.reset()
    assert [e.tolist() for e in other.traces] == [[1.0, 2.0], [[4.0]]]
    assert not any(e.any() for e in of.traces)
