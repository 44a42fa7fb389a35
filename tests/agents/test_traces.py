"""Eligibility traces and step rules, with numbers computed by hand."""

import math

import pytest
import torch
from torch import nn

from agents.step_rules import AdaptiveObGD, Intentional, ObGD, StepRule
from agents.traces import Traces


def parameters() -> list[nn.Parameter]:
    return [nn.Parameter(torch.tensor([1.0, -1.0])), nn.Parameter(torch.tensor([[0.5]]))]


def traces(decay: float = 0.0, overshoot: float = 2.0, step_size: float = 1.0) -> Traces:
    return Traces(parameters(), ObGD(overshoot, step_size), decay)


def test_accumulation() -> None:
    of = traces(decay=0.5)
    for first, second in (([1.0, 2.0], [[4.0]]), ([0.0, -1.0], [[1.0]])):
        of.accumulate([torch.tensor(first), torch.tensor(second)])
    assert [e.tolist() for e in of.traces] == [[0.5, 0.0], [[3.0]]]


@pytest.mark.parametrize(
    ("delta", "step"),
    [
        (0.5, 1 / (2 * 1 * 3.5)),  # α κ max(|δ|, 1) ‖e‖₁ = 7
        (-4.0, 1 / (2 * 4 * 3.5)),  # a large δ shortens the step proportionally
    ],
)
def test_obgd(delta: float, step: float) -> None:
    of = traces()
    of.accumulate([torch.tensor([0.5, 0.0]), torch.tensor([[-3.0]])])
    assert float(of.step(torch.tensor(delta))) == pytest.approx(step)
    assert of.parameters[0].tolist() == pytest.approx([1 + step * delta * 0.5, -1])
    assert of.parameters[1].tolist() == [pytest.approx([0.5 - step * delta * 3])]


def test_a_push_is_added_to_the_step() -> None:
    of = traces(step_size=0.1)
    of.accumulate([torch.tensor([0.5, 0.0]), torch.tensor([[1.0]])])
    step = float(of.step(torch.tensor(1.0), [torch.tensor([0.0, 2.0]), torch.tensor([[-1.0]])]))
    assert step == pytest.approx(0.1), "0.1 · 2 · 1 · 1.5 = 0.3 is no reason to shorten"
    assert of.parameters[0].tolist() == pytest.approx([1 + 0.1 * 0.5, -1 + 0.1 * 2])
    assert of.parameters[1].tolist() == [pytest.approx([0.5 + 0.1 * (1 - 1)])]


def test_a_linear_prediction_does_not_overshoot() -> None:
    """w ← w + step · δ · x changes w · x by step · δ ‖x‖², at most |δ| / κ for |x| ≤ 1, |δ| ≥ 1 and α = 1."""
    x = torch.tensor([0.9, -0.3, 0.7])
    w = nn.Parameter(torch.zeros(3))
    of = Traces([w], ObGD(2.0, 1.0), 0.0)
    of.accumulate([x])
    of.step(torch.tensor(5.0))
    assert 0 < float(w.detach() @ x) < 5 / 2


def test_adaptive_obgd() -> None:
    """Two steps: v = 0.001 (δe)², then 0.999 v + 0.001 (δe)², each divided by 1 − 0.999^t."""
    w = nn.Parameter(torch.tensor([0.0, 0.0], dtype=torch.float64))
    of = Traces([w], AdaptiveObGD(2.0, 1.0, [w]), 0.0)
    v, expected = [0.0, 0.0], [0.0, 0.0]
    for t, (delta, e) in enumerate([(0.5, [2.0, -1.0]), (-3.0, [1.0, 4.0])], 1):
        of.accumulate([torch.tensor(e, dtype=torch.float64)])
        step = float(of.step(torch.tensor(delta, dtype=torch.float64)))
        v = [0.999 * old + 0.001 * (delta * x) ** 2 for old, x in zip(v, e, strict=True)]
        d = [math.sqrt(x / (1 - 0.999**t) + 1e-8) for x in v]
        length = sum(abs(x) / y for x, y in zip(e, d, strict=True))
        assert step == pytest.approx(1 / max(2 * max(abs(delta), 1) * length, 1))
        expected = [old + step * delta * x / y for old, x, y in zip(expected, e, d, strict=True)]
    assert w.tolist() == pytest.approx(expected)


def test_an_intentional_step_moves_a_linear_prediction_by_its_intent() -> None:
    """With g = x and no trace, w · x moves by exactly η δ, at any scale of x."""
    w = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    of = Traces([w], Intentional(0.5, relative=False, parameters=[w]), 0.0)
    for x in (torch.tensor([3.0, -100.0]), torch.tensor([0.01, 2.0])):
        x = x.double()
        before = float(w.detach() @ x)
        of.accumulate([x])
        of.step(torch.tensor(2.0, dtype=torch.float64))
        assert float(w.detach() @ x) - before == pytest.approx(1.0)


def test_an_intentional_step_along_a_trace() -> None:
    """One parameter, two steps, g = 2 then −1, γλ = 0.5: all numbers of the rule."""
    w = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    of = Traces([w], Intentional(0.1, relative=False, parameters=[w]), 0.5)
    v = sigma = e = expected = 0.0
    for t, g in enumerate((2.0, -1.0), 1):
        of.accumulate([torch.tensor([g], dtype=torch.float64)])
        step = float(of.step(torch.tensor(3.0, dtype=torch.float64)))
        v, e = 0.999 * v + 0.001 * g * g, 0.5 * e + g
        d = math.sqrt(v / (1 - 0.999**t)) + 1e-8
        sigma += 0.5 * (g * g / d - sigma)
        z = e * e / d
        assert step == pytest.approx(0.1 / max(math.sqrt(sigma / (1 - 0.5**t) * z), 1e-8))
        expected += step * 3.0 * e / d
    assert float(w.detach()) == pytest.approx(expected)


def test_intentional_errors_are_cut_and_relative_to_their_mean_size() -> None:
    w = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    rule = Intentional(0.05, relative=True, parameters=[w])
    g = [torch.ones(1, dtype=torch.float64)]
    for _ in range(2_000):
        step = rule.measure(g, g, torch.tensor(1.0, dtype=torch.float64), 0.0)
    assert float(step.delta) == pytest.approx(1.0)
    step = rule.measure(g, g, torch.tensor(1e6, dtype=torch.float64), 0.0)
    assert float(step.delta) < 1e6 / 20


@pytest.mark.parametrize("rule", ["obgd", "adaptive", "intentional"])
def test_state(rule: str) -> None:
    def new() -> Traces:
        own = parameters()
        rules: dict[str, StepRule] = {
            "obgd": ObGD(2.0, 1.0),
            "adaptive": AdaptiveObGD(2.0, 1.0, own),
            "intentional": Intentional(0.5, True, own),
        }
        return Traces(own, rules[rule], 0.9)

    of, other = new(), new()
    gradients = [torch.tensor([1.0, 2.0]), torch.tensor([[4.0]])]
    of.accumulate(gradients)
    of.step(torch.tensor(1.0))
    other.load_state_dict(of.state_dict())
    for p, q in zip(other.parameters, of.parameters, strict=True):
        p.data.copy_(q.data)
    for each in (of, other):
        each.accumulate(gradients)
    assert float(of.step(torch.tensor(-2.0))) == float(other.step(torch.tensor(-2.0)))
    for p, q in zip(other.parameters, of.parameters, strict=True):
        assert p.tolist() == q.tolist()


def test_traces_end_with_their_episode_or_without_decay() -> None:
    for decay, ended, left in ((0.5, False, True), (0.5, True, False), (0.0, False, False)):
        of = traces(decay)
        of.accumulate([torch.tensor([1.0, 2.0]), torch.tensor([[4.0]])])
        of.finish(ended)
        assert any(bool(e.any()) for e in of.traces) == left


def test_denormal_traces_are_flushed() -> None:
    of = traces(decay=1e-15)
    of.accumulate([torch.tensor([1e-20, 1.0]), torch.tensor([[0.0]])])
    of.accumulate([torch.zeros(2), torch.zeros(1, 1)])
    assert of.traces[0].tolist() == [0.0, pytest.approx(1e-15)]
